//! Memory of the server under test: figures from the engine, and memory of its processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::launch::{MemoryProbe, Target};
use crate::metric::Metric;
use crate::record::FROM_BLOCKS;
use crate::record::telemetry::EngineMemory;
use crate::telemetry::{EngineLog, Observed};

/// Samples the main memory of a server until `finish`.
#[derive(Debug)]
pub(crate) struct HostMemory {
    /// Bytes; 0 without a sample.
    peak: Arc<AtomicU64>,
    probe: MemoryProbe,
    task: JoinHandle<()>,
}

impl HostMemory {
    /// Samples every `interval` in the background.
    pub(crate) fn watch(probe: MemoryProbe, interval: Duration) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let (seen, asked) = (Arc::clone(&peak), probe.clone());
        let task = tokio::spawn(async move {
            loop {
                look(&asked, &seen).await;
                tokio::time::sleep(interval).await;
            }
        });
        Self { peak, probe, task }
    }

    /// Takes a last sample and returns the peak in bytes, if known.
    pub(crate) async fn finish(self) -> Option<u64> {
        self.task.abort();
        look(&self.probe, &self.peak).await;
        Some(self.peak.load(Ordering::Relaxed)).filter(|peak| *peak > 0)
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Time limit, so that an engine without an answer does not delay the end of a repeat.
const PATIENCE: Duration = Duration::from_secs(5);

async fn look(probe: &MemoryProbe, peak: &AtomicU64) {
    if let Ok(Some(bytes)) = tokio::time::timeout(PATIENCE, probe.in_use()).await {
        peak.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// Adds the capacity of the KV cache: from the engine's `/metrics` or log, else blocks × block size. Returns the source;
/// `None` if unknown.
fn add_cache(log: &EngineLog, seen: &mut Observed) -> Option<&'static str> {
    let metric = Metric::KV_CACHE_TOKENS;
    if seen.findings.metrics.contains_key(&metric) {
        return Some("metrics");
    }
    let sources = [
        ("log", log.memory.kv_cache_tokens),
        (FROM_BLOCKS, seen.kv_cache_blocks),
    ];
    let found = sources
        .into_iter()
        .find_map(|(from, tokens)| Some((from, tokens?)));
    seen.findings.fill(metric, || {
        found
            .map(|(_, tokens)| tokens)
            .ok_or_else(|| "neither the engine's /metrics nor its log contains it".to_owned())
    });
    found.map(|(from, _)| from)
}

/// Adds figures from the start log and process memory to the telemetry; the server's `/metrics` take precedence over its
/// log.
pub(crate) fn add(target: &Target, host_peak: Option<u64>, seen: &mut Observed) {
    let lines = target.first_log_lines();
    let log = EngineLog::read(lines.iter().map(String::as_str));
    let started_here = target.startup().is_some();
    let unseen = || "perfgate did not start the server, so it has no start log".to_owned();
    seen.findings.fill(Metric::ENGINE_MEMORY_PEAK, || {
        if started_here {
            log.engine_memory()
        } else {
            Err(unseen())
        }
    });
    let cache_from = add_cache(&log, seen);
    #[expect(
        clippy::cast_precision_loss,
        reason = "bytes of main memory, far below 2^53"
    )]
    seen.findings
        .fill(Metric::HOST_MEMORY_PEAK, || match host_peak {
            Some(bytes) => Ok(bytes as f64),
            None if started_here => Err("its processes are not accessible".to_owned()),
            None => Err("the server is external".to_owned()),
        });
    let parts = EngineMemory {
        kv_cache_fixed: seen.kv_cache_fixed,
        kv_cache_from: cache_from.map(str::to_owned),
        ..log.memory
    };
    if parts != EngineMemory::default() {
        seen.telemetry.engine_memory = Some(parts);
    }
}
