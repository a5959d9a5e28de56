//! The background task that watches a server and its GPUs during one repeat.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::continuity::{Answers, Continuity};
use super::gpu::watch::{self, Pace};
use super::gpu::{Account, Moment, SourceName};
use super::larger;
use super::observed::{Looking, Observed};
use super::prometheus::Scrape;
use super::series::{Row, Series};
use super::server::{self, NOT_REPORTED};
use crate::measure::ServerFigures;
use crate::metric::Metric;
use crate::record::telemetry::ServerCounts;
use crate::{clock, http};

/// Reason for a server without metrics.
const NO_METRICS: &str = "the server has no /metrics";

/// Metrics from the difference of two answers of `/metrics`.
const FROM_METRICS: [Metric; 4] = [
    Metric::SERVER_QUEUE_TIME,
    Metric::SERVER_PREFIX_CACHE_HIT_RATE,
    Metric::SERVER_PREEMPTIONS,
    Metric::KV_CACHE_TOKENS,
];

/// Those that are counted, and so need both answers from one process.
const FROM_COUNTERS: [Metric; 3] = [
    Metric::SERVER_QUEUE_TIME,
    Metric::SERVER_PREFIX_CACHE_HIT_RATE,
    Metric::SERVER_PREEMPTIONS,
];

/// Samples until it is finished.
#[derive(Debug)]
pub struct Sampler {
    stop: CancellationToken,
    task: JoinHandle<Observed>,
}

impl Sampler {
    /// Samples once, and then regularly in the background. The first sample is complete when this returns, so the load may
    /// start.
    pub async fn start(base_url: &str, looking: Looking) -> Self {
        let interval = looking.interval;
        let mut watch = Watch::new(base_url, looking);
        watch.look().await;
        let stop = CancellationToken::new();
        let task = tokio::spawn(watch.until(stop.clone(), interval));
        Self { stop, task }
    }

    /// Takes a last sample, and returns the observations.
    pub async fn finish(mut self) -> Observed {
        self.stop.cancel();
        match (&mut self.task).await {
            Ok(observed) => observed,
            Err(error) => {
                let mut observed = Observed::default();
                let reason = format!("the sampler crashed: {error}");
                observed.findings.record_none(&FROM_METRICS, &reason);
                observed.findings.record_none(&FROM_SAMPLES, &reason);
                observed
            }
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Metrics from all samples.
const FROM_SAMPLES: [Metric; 3] = [
    Metric::GPU_MEMORY_PEAK,
    Metric::GPU_UTILIZATION_MEAN,
    Metric::ENGINE_MEMORY_PEAK,
];

/// Observations so far.
struct Watch {
    http: Result<reqwest::Client, String>,
    url: String,
    looking: Looking,
    /// Why the server's metrics are not requested again: reading them would take CPU time from the measurement.
    too_long: Option<String>,
    began: Instant,
    first: Option<Result<Scrape, String>>,
    last: Result<Scrape, String>,
    gpus: Gpus,
    engine_peak: Option<f64>,
    peaks: ServerCounts,
    answers: Answers,
    series: Series,
}

/// Source of the GPU figures, once decided.
enum Gpus {
    /// The server has not answered yet.
    NotAsked,
    /// The simulated server.
    Simulated(Account),
    /// This machine.
    Local(watch::Watch),
    /// None.
    Nowhere,
}

impl Watch {
    fn new(base_url: &str, looking: Looking) -> Self {
        Self {
            http: http::client(base_url)
                .map_err(|error| format!("cannot create the HTTP client: {error}")),
            url: format!("{}/metrics", base_url.trim_end_matches('/')),
            looking,
            too_long: None,
            began: Instant::now(),
            first: None,
            last: Err(NO_METRICS.to_owned()),
            gpus: Gpus::NotAsked,
            engine_peak: None,
            peaks: ServerCounts::default(),
            answers: Answers::since(clock::unix_time().as_secs_f64()),
            series: Series::default(),
        }
    }

    async fn until(mut self, stop: CancellationToken, interval: Duration) -> Observed {
        let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, and that sample is complete.
        ticks.tick().await;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.look().await,
            }
        }
        if let Gpus::Local(watch) = &mut self.gpus {
            watch.finish().await;
        }
        self.look().await;
        self.conclude()
    }

    /// One sample of the server and the GPUs.
    async fn look(&mut self) {
        let time = self.began.elapsed().as_secs_f64();
        let scrape = self.scrape().await;
        let gpus = self.moment(scrape.as_ref().ok()).await;
        let mut row = Row {
            time,
            gpus,
            ..Row::default()
        };
        if let Ok(scrape) = &scrape {
            self.answers.take(scrape);
            row.running = scrape.sum("vllm:num_requests_running");
            row.waiting = scrape.sum("vllm:num_requests_waiting");
            row.kv_cache_usage = server::cache_usage(scrape);
            let peaks = &mut self.peaks;
            peaks.running_peak = larger(peaks.running_peak, row.running);
            peaks.waiting_peak = larger(peaks.waiting_peak, row.waiting);
            peaks.kv_cache_usage_peak = larger(peaks.kv_cache_usage_peak, row.kv_cache_usage);
            self.engine_peak = larger(self.engine_peak, server::engine_memory(scrape));
        }
        self.series.push(row);
        if self.first.is_none() {
            self.first = Some(scrape.clone());
        }
        self.last = scrape;
    }

    /// The GPUs since the last moment. The first answer of the server decides whether it reports them itself.
    async fn moment(&mut self, scrape: Option<&Scrape>) -> Moment {
        let simulated = scrape.map(server::simulated_gpus).unwrap_or_default();
        if matches!(self.gpus, Gpus::NotAsked) {
            self.gpus = match &self.looking.gpus {
                _ if !simulated.is_empty() => Gpus::Simulated(Account::new(None)),
                None => Gpus::Nowhere,
                Some(search) => {
                    let pace = Pace {
                        library: self.looking.gpu_interval,
                        program: self.looking.interval,
                    };
                    let server = self.looking.server.clone();
                    Gpus::Local(watch::Watch::start(search, pace, server).await)
                }
            };
        }
        match &mut self.gpus {
            Gpus::Simulated(account) => {
                let look = if simulated.is_empty() {
                    Err("the simulated server does not report its GPUs".to_owned())
                } else {
                    Ok(simulated)
                };
                account.take(SourceName::Simulator, look);
                account.drain()
            }
            Gpus::Local(watch) => watch.account().drain(),
            Gpus::NotAsked | Gpus::Nowhere => Moment::default(),
        }
    }

    async fn scrape(&mut self) -> Result<Scrape, String> {
        if let Some(reason) = &self.too_long {
            return Err(reason.clone());
        }
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
        let body = match http::body(response).await {
            Ok(body) => body,
            Err(error @ http::BodyError::TooLong) => {
                let reason = format!("/metrics: {error}");
                self.too_long = Some(reason.clone());
                return Err(reason);
            }
            Err(error) => return Err(format!("/metrics: {error}")),
        };
        let text = String::from_utf8_lossy(&body);
        Scrape::parse(&text, server::is_looked_at).map_err(|error| error.to_string())
    }

    fn conclude(self) -> Observed {
        let mut observed = Observed::default();
        let both = match (&self.first, &self.last) {
            (Some(Ok(before)), Ok(after)) => Ok((before, after)),
            (Some(Err(reason)), _) | (_, Err(reason)) => Err(reason.as_str()),
            (None, Ok(_)) => Err(NO_METRICS),
        };
        match both {
            Ok((before, after)) => observed.findings = server::between(before, after),
            Err(reason) => observed.findings.record_none(&FROM_METRICS, reason),
        }
        let continuity = self.answers.continuity();
        if continuity == Continuity::SeveralServers {
            let reason = server::SEVERAL_SERVERS;
            observed.findings.record_none(&FROM_COUNTERS, reason);
            // Differences between figures of two servers are meaningless.
            observed.server = Some(ServerFigures {
                several_servers: true,
                ..ServerFigures::default()
            });
        } else if let Ok((before, after)) = both {
            observed.server = Some(ServerFigures {
                counts: server::figures(before, after, &self.peaks),
                restarted: continuity == Continuity::Restarted,
                several_servers: false,
            });
        }
        let last = self.last.as_ref();
        let engine_peak = self.engine_peak.ok_or_else(|| match last {
            Ok(_) => NOT_REPORTED.to_owned(),
            Err(reason) => reason.clone(),
        });
        observed
            .findings
            .record(Metric::ENGINE_MEMORY_PEAK, engine_peak);
        observed.process_start = self.answers.process_start();
        observed.kv_cache_fixed = last.ok().and_then(server::cache_is_fixed);
        observed.kv_cache_blocks = last.ok().and_then(server::cache_tokens_of_blocks);
        observed.telemetry.series = self.series.into_columns();
        match &self.gpus {
            Gpus::NotAsked | Gpus::Nowhere => {
                observed.add_gpus(&Account::new(None), false, false);
            }
            Gpus::Simulated(account) => observed.add_gpus(account, true, true),
            Gpus::Local(watch) => {
                observed.add_gpus(&watch.account(), true, self.looking.gpus_matter);
            }
        }
        observed
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::get;

    use super::super::gpu::{Search, fixture};
    use super::*;
    use crate::record::telemetry::SeriesName;

    const OFTEN: Duration = Duration::from_millis(20);

    /// A server owner `/metrics` answers with one text after the other, and then always with the last one.
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

    async fn observe(url: &str, gpus: Option<Search>) -> Observed {
        let looking = Looking {
            gpus,
            interval: OFTEN,
            gpu_interval: OFTEN,
            ..Looking::default()
        };
        let sampler = Sampler::start(url, looking).await;
        tokio::time::sleep(OFTEN * 5).await;
        sampler.finish().await
    }

    fn through(nvidia_smi: PathBuf) -> Search {
        Search {
            nvml_library: Some("libno-such-ml.so.9".into()),
            nvidia_smi,
            amd_smi: "no-such-amd-smi".into(),
            ..Search::default()
        }
    }

    fn missing() -> Search {
        through("no-such-nvidia-smi".into())
    }

    fn value(observed: &Observed, id: &str) -> Option<f64> {
        observed
            .findings
            .metrics
            .get(&Metric::parse(id).unwrap())
            .copied()
    }

    fn reasons(observed: &Observed) -> String {
        let lines = observed
            .findings
            .not_measured
            .iter()
            .map(|(metric, reason)| format!("{metric}: {reason}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn a_simulated_server_reports_its_gpus() {
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
        let observed = observe(&url, Some(missing())).await;
        assert_eq!(value(&observed, "gpu_memory.peak"), Some(75.0));
        assert_eq!(value(&observed, "gpu_utilization.mean"), Some(0.5));
        assert_eq!(value(&observed, "engine_memory.peak"), Some(30.0));
        assert_eq!(value(&observed, "server.preemptions"), Some(3.0));
        let gpus = observed.gpus.as_ref().unwrap();
        assert_eq!(
            (gpus[0].name.as_str(), gpus[0].memory_bytes),
            ("H100", Some(80))
        );
        assert_eq!(
            observed.telemetry.series[&SeriesName::Running][0],
            Some(4.0)
        );
        insta::assert_snapshot!(reasons(&observed), @"
        kv_cache.tokens: the engine does not report it
        server.prefix_cache_hit_rate: the engine does not report it
        server.queue_time: the engine does not report it
        ");
    }

    #[tokio::test]
    async fn a_real_gpu_is_read_through_nvidia_smi() {
        let folder = tempfile::tempdir().unwrap();
        let lines = ["NVIDIA L4, 23034, 1000, 40", "NVIDIA L4, 23034, 2000, 60"];
        let source = through(fixture::nvidia_smi(folder.path(), &lines));
        let url = serve(vec!["vllm:num_requests_running 1\n".to_owned()]).await;
        let observed = observe(&url, Some(source)).await;
        assert_eq!(
            value(&observed, "gpu_memory.peak"),
            Some(2000.0 * 1_048_576.0)
        );
        assert_eq!(value(&observed, "gpu_utilization.mean"), Some(0.5));
        assert_eq!(observed.gpus.as_ref().unwrap().len(), 2);
        assert_eq!(observed.driver.as_deref(), Some("550.1"));
        assert_eq!(observed.environment(None).driver.as_deref(), Some("550.1"));
        assert_eq!(observed.telemetry.rest["gpus"][1]["source"], "nvidia-smi");
        assert_eq!(
            observed.telemetry.series[&SeriesName::GpuPower][0],
            Some(600.0)
        );
        // Persistence mode is off, which gives a warning.
        assert_eq!(
            (observed.concerns.void, observed.concerns.warnings.len()),
            (None, 2)
        );
    }

    #[tokio::test]
    async fn without_any_source_every_metric_has_a_reason() {
        let url = listen(Router::new()).await;
        let observed = observe(&url, Some(missing())).await;
        assert!(observed.findings.metrics.is_empty());
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
    async fn a_server_that_has_ended_has_no_difference() {
        let url = serve(vec![
            "vllm:num_preemptions_total 1\n".to_owned(),
            "rubb".to_owned(),
        ])
        .await;
        let observed = observe(&url, None).await;
        assert_eq!(observed.gpus, None);
        insta::assert_snapshot!(reasons(&observed), @"
        engine_memory.peak: line 1 of /metrics: a name has no value
        gpu_memory.peak: no GPU was found
        gpu_utilization.mean: no GPU was found
        kv_cache.tokens: line 1 of /metrics: a name has no value
        server.preemptions: line 1 of /metrics: a name has no value
        server.prefix_cache_hit_rate: line 1 of /metrics: a name has no value
        server.queue_time: line 1 of /metrics: a name has no value
        ");
    }

    #[tokio::test]
    async fn endless_metrics_are_read_up_to_a_limit_and_not_requested_again() {
        let endless = "# a comment\n".repeat(http::LONGEST_ANSWER / 12 + 2);
        let url = serve(vec![endless, "vllm:num_preemptions_total 1\n".to_owned()]).await;
        let observed = observe(&url, None).await;
        let reason = &observed.findings.not_measured[&Metric::parse("server.preemptions").unwrap()];
        assert_eq!(reason, "/metrics: the answer is longer than 16 MiB");
        assert_eq!(observed.server, None);
    }

    #[tokio::test]
    async fn gpus_with_mostly_failed_samples_have_no_peak() {
        let folder = tempfile::tempdir().unwrap();
        let once = folder.path().join("once");
        let script = format!(
            "case \"$1\" in --query-gpu*) if mkdir {}; then echo '{}'; else echo 'Unknown Error'; exit 15; fi;; esac",
            once.display(),
            fixture::line(0, "L4, 23034, 1000, 40")
        );
        let source = through(fixture::program(folder.path(), &script));
        let url = serve(vec!["a 1\n".to_owned()]).await;
        let observed = observe(&url, Some(source)).await;
        assert_eq!(value(&observed, "gpu_memory.peak"), None);
        let reason = &observed.findings.not_measured[&Metric::parse("gpu_memory.peak").unwrap()];
        assert!(
            reason.ends_with(
                "GPU samples failed: nvidia-smi failed (exit status: 15): Unknown Error"
            ),
            "{reason}"
        );
    }
}
