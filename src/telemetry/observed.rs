//! What is sampled during one repeat, and the observations.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::gpu::reading::Facts;
use super::gpu::summary::GpuSummary;
use super::gpu::{Account, NO_GPU, Search, validity};
use super::server::Findings;
use crate::measure::{Concerns, ServerFigures};
use crate::metric::Metric;
use crate::record::format::Gpu;
use crate::record::telemetry::Telemetry;
use crate::stats;

/// Observations of one repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The metrics of telemetry, and why others have no value.
    pub findings: Findings,
    /// Columns over time: `time` (seconds), `gpu_memory` (bytes, of the fullest GPU), `gpu_utilization` (ratio, mean of
    /// the GPUs), `gpu_clock_sm` (MHz, of the slowest), `gpu_power` (watts, of all), `gpu_temperature` (°C, of the hottest),
    /// `running`, `waiting` (requests), `kv_cache_usage` (ratio); beside them `gpus`, one [`GpuSummary`] each.
    pub telemetry: Telemetry,
    /// Why the repeat does not count, and warnings about the GPUs.
    pub concerns: Concerns,
    /// The GPUs; empty if none was found, `None` if unknown.
    pub gpus: Option<Vec<Gpu>>,
    /// GPU driver version.
    pub driver: Option<String>,
    /// Newest CUDA version that the driver runs.
    pub cuda: Option<String>,
    /// Whether all SM clocks were steady under load; `None` if unknown.
    pub clocks_steady: Option<bool>,
    /// The server's own counts of the repeat, if its `/metrics` answered before and after.
    pub server: Option<ServerFigures>,
    /// When the server's process started, Unix time, if its `/metrics` has it and only one process answers.
    pub process_start: Option<f64>,
    /// Whether the size of the KV cache is configured to be fixed.
    pub kv_cache_fixed: Option<bool>,
    /// Tokens that fit into the KV cache as blocks × block size: for an engine that reports no figure.
    pub kv_cache_blocks: Option<f64>,
}

/// What to sample, and how often.
#[derive(Clone, Debug)]
pub struct Looking {
    /// The GPUs of this machine; `None` if the server runs on another one. A simulated server reports its own.
    pub gpus: Option<Search>,
    /// Interval for the server's metrics, and for GPUs through a program.
    pub interval: Duration,
    /// Interval for GPUs through the driver's library.
    pub gpu_interval: Duration,
    /// The server's processes, if known.
    pub server: Option<BTreeSet<u32>>,
    /// Whether the server uses these GPUs, so that their state affects the results.
    pub gpus_matter: bool,
}

impl Default for Looking {
    /// All GPUs of this machine, at the default intervals.
    fn default() -> Self {
        Self {
            gpus: Some(Search::default()),
            interval: Duration::from_secs(1),
            gpu_interval: Duration::from_millis(100),
            server: None,
            gpus_matter: true,
        }
    }
}

impl Observed {
    /// Adds what the samples of the GPUs show. `looked`: whether the GPUs were sampled; `matter`: whether the server uses
    /// these GPUs.
    pub(super) fn add_gpus(&mut self, account: &Account, looked: bool, matter: bool) {
        let summaries = account.summaries();
        let reason = account.reason();
        let known = |value: Option<f64>, what: &str| {
            match (&reason, value) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(value)) => Ok(value),
            (None, None) if account.facts().any(Facts::is_of_unknown_slice) => Err(
                "the GPU is divided (MIG) and the server's slice is unknown; set CUDA_VISIBLE_DEVICES=MIG-…"
                    .to_owned(),
            ),
            (None, None) => Err(format!("the driver does not report {what}")),
        }
        };
        let of_all = |figure: fn(&GpuSummary) -> Option<f64>| summaries.iter().filter_map(figure);
        let peak = of_all(|gpu| gpu.memory_peak_bytes).reduce(f64::max);
        let means: Vec<f64> = of_all(|gpu| gpu.utilization_mean).collect();
        let peak = known(peak, "the memory in use");
        let mean = known(stats::mean(&means), "the utilisation");
        self.findings.record(Metric::GPU_MEMORY_PEAK, peak);
        self.findings.record(Metric::GPU_UTILIZATION_MEAN, mean);
        if matter {
            self.concerns = validity::concerns(&summaries, account.lost());
        }
        let of_none = looked && reason.as_deref() == Some(NO_GPU);
        self.gpus = (!summaries.is_empty() || of_none)
            .then(|| account.facts().map(Facts::described).collect());
        self.driver = account.facts().find_map(|facts| facts.driver.clone());
        self.cuda = account.facts().find_map(|facts| facts.cuda.clone());
        let steady: Vec<Option<bool>> = summaries.iter().map(|gpu| gpu.clock_steady).collect();
        self.clocks_steady = if steady.contains(&Some(false)) {
            Some(false)
        } else {
            (!steady.is_empty() && !steady.contains(&None)).then_some(true)
        };
        if !summaries.is_empty() {
            let summaries = without_unknown(serde_json::json!(summaries));
            self.telemetry.rest.insert("gpus".to_owned(), summaries);
        }
    }
}

/// The same without `null`: unknown figures are left out.
fn without_unknown(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_unknown).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_unknown(value)))
            .collect(),
        known @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => known,
    }
}
