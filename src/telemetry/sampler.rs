//! The background task that watches a server and its GPUs during one repeat.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::gpu::{self, GpuSource};
use super::prometheus::Scrape;
use super::series::{Row, Series};
use super::server::{self, Findings, GpuReading, NOT_REPORTED};
use crate::http;
use crate::measure::ServerFigures;
use crate::metric::Metric;
use crate::record::format::Gpu;

/// Why there is nothing of a server without metrics.
const NO_METRICS: &str = "the server has no /metrics";

/// What comes from the difference of two answers of `/metrics`.
const FROM_METRICS: [&str; 4] = [
    "server.queue_time",
    "server.prefix_cache_hit_rate",
    "server.preemptions",
    "kv_cache.tokens",
];

/// What was seen during one repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Values in base units, all finite.
    pub metrics: BTreeMap<Metric, f64>,
    /// Why the other metrics of telemetry have no value.
    pub not_measured: BTreeMap<Metric, String>,
    /// Columns over time: `time` (seconds), `gpu_memory` (bytes, of the fullest GPU), `gpu_utilization` (ratio, mean of
    /// the GPUs), `running`, `waiting` (requests).
    pub telemetry: BTreeMap<String, Value>,
    /// The GPUs; empty where none was found, `None` where that could not be found out.
    pub gpus: Option<Vec<Gpu>>,
    /// GPU driver version.
    pub driver: Option<String>,
    /// The server's own counts of the repeat, where its `/metrics` answered before and after.
    pub server: Option<ServerFigures>,
    /// Whether somebody fixed the size of the KV cache.
    pub kv_cache_fixed: Option<bool>,
}

/// Watches until it is told to finish.
#[derive(Debug)]
pub struct Sampler {
    stop: CancellationToken,
    task: JoinHandle<Observed>,
}

impl Sampler {
    /// Looks once, and then every `interval` (about a second) in the background. The first look is over when this
    /// returns, so the load may start.
    pub async fn start(base_url: &str, source: GpuSource, interval: Duration) -> Self {
        let mut watch = Watch::new(base_url, source);
        watch.look().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch.until(stop.clone(), interval));
        Self { stop, task }
    }

    /// Looks a last time, and says what was seen.
    pub async fn finish(mut self) -> Observed {
        self.stop.cancel();
        match (&mut self.task).await {
            Ok(observed) => observed,
            Err(error) => {
                let mut findings = Findings::default();
                for id in FROM_METRICS.iter().chain(&FROM_LOOKS) {
                    findings.record(id, Err(format!("the sampler broke: {error}")));
                }
                Observed {
                    not_measured: findings.not_measured,
                    ..Observed::default()
                }
            }
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What comes from all looks.
const FROM_LOOKS: [&str; 3] = [
    "gpu_memory.peak",
    "gpu_utilization.mean",
    "engine_memory.peak",
];

/// What is known so far.
struct Watch {
    http: Result<reqwest::Client, String>,
    url: String,
    source: GpuSource,
    began: Instant,
    first: Option<Result<Scrape, String>>,
    last: Result<Scrape, String>,
    gpus: Result<Vec<GpuReading>, String>,
    memory_peak: Option<f64>,
    engine_peak: Option<f64>,
    utilization_sum: f64,
    utilization_count: u32,
    looks: u32,
    /// Looks at the GPUs that failed, and why the last of them did.
    blind: (u32, String),
    series: Series,
}

impl Watch {
    fn new(base_url: &str, source: GpuSource) -> Self {
        Self {
            http: http::client().map_err(|error| format!("cannot set up the HTTP client: {error}")),
            url: format!("{}/metrics", base_url.trim_end_matches('/')),
            source,
            began: Instant::now(),
            first: None,
            last: Err(NO_METRICS.to_owned()),
            gpus: Err(gpu::NO_GPU.to_owned()),
            memory_peak: None,
            engine_peak: None,
            utilization_sum: 0.0,
            utilization_count: 0,
            looks: 0,
            blind: (0, String::new()),
            series: Series::default(),
        }
    }

    async fn until(mut self, stop: CancellationToken, interval: Duration) -> Observed {
        let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and that look is over.
        ticks.tick().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.look().await,
            }
        }
        self.look().await;
        self.conclude()
    }

    /// One look at the server and the GPUs.
    async fn look(&mut self) {
        let time = self.began.elapsed().as_secs_f64();
        let scrape = self.scrape().await;
        let simulated = scrape
            .as_ref()
            .map(server::simulated_gpus)
            .unwrap_or_default();
        let read = if simulated.is_empty() {
            self.source.read().await
        } else {
            Ok(simulated)
        };
        self.looks += 1;
        let mut row = Row {
            time,
            ..Row::default()
        };
        if let Ok(scrape) = &scrape {
            row.running = scrape.sum("vllm:num_requests_running");
            row.waiting = scrape.sum("vllm:num_requests_waiting");
            self.engine_peak = larger(self.engine_peak, server::engine_memory(scrape));
        }
        match read {
            Ok(gpus) => {
                row.gpu_memory = gpus
                    .iter()
                    .fold(None, |peak, gpu| larger(peak, gpu.memory_used));
                row.gpu_utilization = mean(gpus.iter().filter_map(|gpu| gpu.utilization));
                self.gpus = Ok(gpus);
            }
            Err(reason) => {
                self.blind = (self.blind.0 + 1, reason.clone());
                // One failed look does not undo what was seen before.
                if self.gpus.is_err() {
                    self.gpus = Err(reason);
                }
            }
        }
        self.memory_peak = larger(self.memory_peak, row.gpu_memory);
        if let Some(utilization) = row.gpu_utilization {
            self.utilization_sum += utilization;
            self.utilization_count += 1;
        }
        self.series.push(row);
        if self.first.is_none() {
            self.first = Some(scrape.clone());
        }
        self.last = scrape;
    }

    async fn scrape(&self) -> Result<Scrape, String> {
        let http = self.http.as_ref().map_err(Clone::clone)?;
        let failed = |error: reqwest::Error| format!("/metrics: {}", http::in_words(&error));
        let response = http.get(&self.url).send().await.map_err(failed)?;
        let status = response.status();
        if status == reqwest::StatusCode::NOT_FOUND {
            return Err(NO_METRICS.to_owned());
        }
        if !status.is_success() {
            return Err(format!("/metrics answered HTTP {}", status.as_u16()));
        }
        let text = response.text().await.map_err(failed)?;
        Scrape::parse(&text).map_err(|error| error.to_string())
    }

    fn conclude(self) -> Observed {
        let mut findings = match (&self.first, &self.last) {
            (Some(Ok(before)), Ok(after)) => server::between(before, after),
            (Some(Err(reason)), _) | (_, Err(reason)) => nothing_from_metrics(reason),
            (None, Ok(_)) => nothing_from_metrics(NO_METRICS),
        };
        findings.record(
            "gpu_memory.peak",
            self.of_gpus(self.memory_peak, "the memory in use"),
        );
        findings.record(
            "gpu_utilization.mean",
            self.of_gpus(self.utilization(), "the utilisation"),
        );
        findings.record(
            "engine_memory.peak",
            self.engine_peak.ok_or_else(|| match &self.last {
                Ok(_) => NOT_REPORTED.to_owned(),
                Err(reason) => reason.clone(),
            }),
        );
        let server = match (&self.first, &self.last) {
            (Some(Ok(before)), Ok(after)) => Some(server::figures(before, after)),
            (Some(_) | None, _) => None,
        };
        Observed {
            server,
            kv_cache_fixed: self.last.as_ref().ok().and_then(server::cache_is_fixed),
            metrics: findings.metrics,
            not_measured: findings.not_measured,
            telemetry: self.series.into_columns(),
            driver: self
                .gpus
                .iter()
                .flatten()
                .find_map(|gpu| gpu.driver.clone()),
            gpus: match &self.gpus {
                Ok(gpus) => Some(gpu::described(gpus)),
                Err(reason) if reason == gpu::NO_GPU && self.source != GpuSource::None => {
                    Some(Vec::new())
                }
                Err(_) => None,
            },
        }
    }
}

impl Watch {
    fn utilization(&self) -> Option<f64> {
        (self.utilization_count > 0)
            .then(|| self.utilization_sum / f64::from(self.utilization_count))
    }

    /// A figure of the GPUs, unless most looks were blind: a peak seen by half an eye is too low.
    fn of_gpus(&self, value: Option<f64>, what: &str) -> Result<f64, String> {
        if let Err(reason) = &self.gpus {
            return Err(reason.clone());
        }
        let (failed, reason) = &self.blind;
        if failed * 2 > self.looks {
            return Err(format!(
                "{failed} of {} looks at the GPUs failed: {reason}",
                self.looks
            ));
        }
        value.ok_or_else(|| format!("the driver does not report {what}"))
    }
}

fn nothing_from_metrics(reason: &str) -> Findings {
    let mut findings = Findings::default();
    for id in FROM_METRICS {
        findings.record(id, Err(reason.to_owned()));
    }
    findings
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (found, None) | (None, found) => found,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    const OFTEN: Duration = Duration::from_millis(20);

    /// A server whose `/metrics` answers with one text after the other, and then always with the last.
    async fn serve(answers: Vec<String>) -> String {
        let asked = Arc::new(AtomicUsize::new(0));
        let metrics = get(move || {
            let index = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            std::future::ready(answers[index].clone())
        });
        listen(Router::new().route("/metrics", metrics)).await
    }

    async fn listen(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn observe(url: &str, source: GpuSource) -> Observed {
        let sampler = Sampler::start(url, source, OFTEN).await;
        tokio::time::sleep(OFTEN * 5).await;
        sampler.finish().await
    }

    fn nvidia_smi(folder: &Path, script: &str) -> GpuSource {
        let program = folder.join("nvidia-smi");
        crate::files::write_atomically(&program, format!("#!/bin/sh\n{script}\n").as_bytes())
            .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        GpuSource::NvidiaSmi {
            program,
            devices: Vec::new(),
        }
    }

    fn missing() -> GpuSource {
        GpuSource::NvidiaSmi {
            program: "no-such-nvidia-smi".into(),
            devices: Vec::new(),
        }
    }

    fn value(observed: &Observed, id: &str) -> Option<f64> {
        observed.metrics.get(&Metric::parse(id).unwrap()).copied()
    }

    fn reasons(observed: &Observed) -> String {
        let lines = observed
            .not_measured
            .iter()
            .map(|(metric, reason)| format!("{metric}: {reason}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn a_simulated_server_tells_its_gpus_itself() {
        let answer = |used: u64, preemptions: u64| {
            format!(
                "perfgate_simulated_gpu_memory_used_bytes{{gpu=\"0\",name=\"H100\"}} {used}\n\
                 perfgate_simulated_gpu_memory_total_bytes{{gpu=\"0\",name=\"H100\"}} 80\n\
                 perfgate_simulated_gpu_utilization_ratio{{gpu=\"0\",name=\"H100\"}} 0.5\n\
                 perfgate_simulated_engine_memory_bytes 30\n\
                 vllm:num_preemptions_total {preemptions}\n\
                 vllm:num_requests_running 4\n"
            )
        };
        let url = serve(vec![answer(60, 1), answer(75, 2), answer(70, 4)]).await;
        let observed = observe(&url, missing()).await;
        assert_eq!(value(&observed, "gpu_memory.peak"), Some(75.0));
        assert_eq!(value(&observed, "gpu_utilization.mean"), Some(0.5));
        assert_eq!(value(&observed, "engine_memory.peak"), Some(30.0));
        assert_eq!(value(&observed, "server.preemptions"), Some(3.0));
        let gpus = observed.gpus.as_ref().unwrap();
        assert_eq!(
            (gpus[0].name.as_str(), gpus[0].memory_bytes),
            ("H100", Some(80))
        );
        assert_eq!(observed.telemetry["running"][0], 4.0);
        insta::assert_snapshot!(reasons(&observed), @"
        kv_cache.tokens: the engine does not report it
        server.prefix_cache_hit_rate: the engine does not report it
        server.queue_time: the engine does not report it
        ");
    }

    #[tokio::test]
    async fn a_real_gpu_is_asked_through_nvidia_smi() {
        let folder = tempfile::tempdir().unwrap();
        let source = nvidia_smi(
            folder.path(),
            "echo 'NVIDIA L4, 23034, 1000, 40, 550.1'; echo 'NVIDIA L4, 23034, 2000, 60, 550.1'",
        );
        let url = serve(vec!["vllm:num_requests_running 1\n".to_owned()]).await;
        let observed = observe(&url, source).await;
        assert_eq!(
            value(&observed, "gpu_memory.peak"),
            Some(2000.0 * 1_048_576.0)
        );
        assert_eq!(value(&observed, "gpu_utilization.mean"), Some(0.5));
        assert_eq!(observed.gpus.as_ref().unwrap().len(), 2);
        assert_eq!(observed.driver.as_deref(), Some("550.1"));
        assert_eq!(observed.environment().driver.as_deref(), Some("550.1"));
    }

    #[tokio::test]
    async fn nothing_to_see_gives_a_reason_for_every_metric() {
        let url = listen(Router::new()).await;
        let observed = observe(&url, missing()).await;
        assert!(observed.metrics.is_empty());
        assert_eq!(observed.gpus, Some(Vec::new()));
        insta::assert_snapshot!(reasons(&observed), @"
        engine_memory.peak: the server has no /metrics
        gpu_memory.peak: no GPU was found
        gpu_utilization.mean: no GPU was found
        kv_cache.tokens: the server has no /metrics
        server.preemptions: the server has no /metrics
        server.prefix_cache_hit_rate: the server has no /metrics
        server.queue_time: the server has no /metrics
        ");
    }

    #[tokio::test]
    async fn a_server_that_is_gone_at_the_end_has_no_difference() {
        let url = serve(vec![
            "vllm:num_preemptions_total 1\n".to_owned(),
            "rubb".to_owned(),
        ])
        .await;
        let observed = observe(&url, GpuSource::None).await;
        assert_eq!(observed.gpus, None);
        insta::assert_snapshot!(reasons(&observed), @"
        engine_memory.peak: line 1 of /metrics: there is a name without a value
        gpu_memory.peak: no GPU was found
        gpu_utilization.mean: no GPU was found
        kv_cache.tokens: line 1 of /metrics: there is a name without a value
        server.preemptions: line 1 of /metrics: there is a name without a value
        server.prefix_cache_hit_rate: line 1 of /metrics: there is a name without a value
        server.queue_time: line 1 of /metrics: there is a name without a value
        ");
    }

    #[tokio::test]
    async fn gpus_that_most_looks_could_not_see_have_no_peak() {
        let folder = tempfile::tempdir().unwrap();
        let once = folder.path().join("once");
        let source = nvidia_smi(
            folder.path(),
            &format!(
                "if mkdir {}; then echo 'L4, 23034, 1000, 40, 550.1'; else echo 'GPU is lost'; exit 15; fi",
                once.display()
            ),
        );
        let url = serve(vec!["a 1\n".to_owned()]).await;
        let observed = observe(&url, source).await;
        assert_eq!(value(&observed, "gpu_memory.peak"), None);
        let reason = &observed.not_measured[&Metric::parse("gpu_memory.peak").unwrap()];
        assert!(
            reason.ends_with(
                "looks at the GPUs failed: nvidia-smi failed (exit status: 15): GPU is lost"
            ),
            "{reason}"
        );
    }
}
