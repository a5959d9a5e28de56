//! What two answers of `/metrics` show about the time between them. Pure.

use std::collections::BTreeMap;

use super::gpu::reading::{Facts, Reading, State};
use super::prometheus::{Sample, Scrape};
use crate::metric::Metric;
use crate::record::telemetry::ServerCounts;

/// Why a metric has no value if the server's answer lacks its line.
pub(super) const NOT_REPORTED: &str = "the engine does not report it";

/// Names of one counter over the versions of vLLM, newest first.
const QUERIES: [&str; 2] = [
    "vllm:prefix_cache_queries_total",
    "vllm:gpu_prefix_cache_queries_total",
];
const HITS: [&str; 2] = [
    "vllm:prefix_cache_hits_total",
    "vllm:gpu_prefix_cache_hits_total",
];

/// Why there is no difference of two answers that came from different servers.
pub(super) const SEVERAL_SERVERS: &str = "several servers (replicas) share this address, so two answers of /metrics may come from different ones";

/// Counters that never decrease while a server lives.
pub(super) const COUNTERS: [&str; 4] = [
    "vllm:generation_tokens_total",
    "vllm:prompt_tokens_total",
    "vllm:request_success_total",
    "vllm:num_preemptions_total",
];

/// Whether that name of `/metrics` is used. Histogram buckets are most of an answer, and are not used.
pub(super) fn is_looked_at(name: &str) -> bool {
    let of_ours = ["vllm:", "perfgate_simulated_"];
    name == "process_start_time_seconds"
        || (of_ours.iter().any(|prefix| name.starts_with(prefix)) && !name.ends_with("_bucket"))
}

/// Metrics with a value, and why the others have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// In base units; all finite.
    pub metrics: BTreeMap<Metric, f64>,
    /// A reason, which continues the sentence "not measured, because".
    pub not_measured: BTreeMap<Metric, String>,
}

impl Findings {
    /// Takes a value or the reason why there is none, unless a value exists: the first source wins, and the last reason
    /// stays.
    pub fn fill(&mut self, metric: Metric, found: impl FnOnce() -> Result<f64, String>) {
        if !self.metrics.contains_key(&metric) {
            self.record(metric, found());
        }
    }

    /// Takes the reason why metrics have no value.
    pub(super) fn record_none(&mut self, metrics: &[Metric], reason: &str) {
        for metric in metrics {
            self.record(*metric, Err(reason.to_owned()));
        }
    }

    /// Takes a value or the reason why there is none, in place of what was known. A value that is not finite is dropped.
    pub(super) fn record(&mut self, metric: Metric, found: Result<f64, String>) {
        let reason = match found {
            Ok(value) if value.is_finite() => {
                self.not_measured.remove(&metric);
                self.metrics.insert(metric, value);
                return;
            }
            Ok(value) => format!("the reported value is not finite ({value})"),
            Err(reason) => reason,
        };
        self.metrics.remove(&metric);
        self.not_measured.insert(metric, reason);
    }
}

/// What the counters of a server show about the time between two answers.
pub fn between(before: &Scrape, after: &Scrape) -> Findings {
    let mut findings = Findings::default();
    let hit_rate = hit_rate(before, after);
    let preemptions = grown(before, after, &["vllm:num_preemptions_total"]);
    findings.record(Metric::SERVER_QUEUE_TIME, queue_time(before, after));
    findings.record(Metric::SERVER_PREFIX_CACHE_HIT_RATE, hit_rate);
    findings.record(Metric::SERVER_PREEMPTIONS, preemptions);
    findings.record(Metric::KV_CACHE_TOKENS, cache_tokens(after));
    findings
}

/// The server's latencies and token counts, for comparison with the client's figures, beside the `peaks` of its samples.
pub fn figures(before: &Scrape, after: &Scrape, peaks: &ServerCounts) -> ServerCounts {
    let counted = |name: &str| grown(before, after, &[name]).ok();
    // Mean of a histogram, by its newest name that the server has.
    let mean = |names: &[&str]| {
        names.iter().find_map(|name| {
            let sum = counted(&format!("{name}_sum"))?;
            let count = counted(&format!("{name}_count"))?;
            (count > 0.0)
                .then_some(sum / count)
                .filter(|mean| mean.is_finite())
        })
    };
    ServerCounts {
        requests: counted("vllm:request_success_total"),
        prompt_tokens: counted("vllm:prompt_tokens_total"),
        output_tokens: counted("vllm:generation_tokens_total"),
        ttft_mean: mean(&["vllm:time_to_first_token_seconds"]),
        // Gone since 0.16: per gap, so it is not TPOT.
        itl_mean: mean(&[
            "vllm:inter_token_latency_seconds",
            "vllm:time_per_output_token_seconds",
        ]),
        tpot_mean: mean(&["vllm:request_time_per_output_token_seconds"]),
        e2e_mean: mean(&["vllm:e2e_request_latency_seconds"]),
        queue_mean: mean(&["vllm:request_queue_time_seconds"]),
        prefill_mean: mean(&["vllm:request_prefill_time_seconds"]),
        decode_mean: mean(&["vllm:request_decode_time_seconds"]),
        preemptions: counted("vllm:num_preemptions_total"),
        ..peaks.clone()
    }
}

/// Mean time in the queue, in seconds, of the requests that left it.
fn queue_time(before: &Scrape, after: &Scrape) -> Result<f64, String> {
    let sum = grown(before, after, &["vllm:request_queue_time_seconds_sum"])?;
    let count = grown(before, after, &["vllm:request_queue_time_seconds_count"])?;
    share(sum, count, "no request left the server's queue")
}

/// Tokens found in the prefix cache / tokens looked up.
fn hit_rate(before: &Scrape, after: &Scrape) -> Result<f64, String> {
    let hits = grown(before, after, &HITS)?;
    let queries = grown(before, after, &QUERIES)?;
    share(hits, queries, "no token was looked up in the prefix cache")
}

fn share(part: f64, whole: f64, if_none: &str) -> Result<f64, String> {
    if whole > 0.0 {
        Ok(part / whole)
    } else {
        Err(if_none.to_owned())
    }
}

/// By how much a counter has grown.
fn grown(before: &Scrape, after: &Scrape, names: &[&str]) -> Result<f64, String> {
    let name = names
        .iter()
        .find(|name| after.sum(name).is_some())
        .ok_or(NOT_REPORTED)?;
    // A missing counter counts as 0.
    let growth = after.sum(name).unwrap_or(f64::NAN) - before.sum(name).unwrap_or(0.0);
    if growth < 0.0 {
        return Err(format!(
            "the server's counter `{name}` decreased: the server was restarted"
        ));
    }
    Ok(growth)
}

/// Tokens that fit into the KV caches of all engines, as reported by the engines: a label (0.33 and later), or a separate
/// metric.
fn cache_tokens(scrape: &Scrape) -> Result<f64, String> {
    let own = |engine: &Sample| label(engine, "kv_cache_size_tokens");
    let of_metric = || scrape.sum("vllm:kv_cache_size_tokens");
    of_all_engines(scrape, own)
        .or_else(|| of_metric().filter(|tokens| *tokens > 0.0))
        .ok_or_else(|| NOT_REPORTED.to_owned())
}

/// The same as blocks × block size. In a model with several kinds of layers the groups share their blocks, so this is
/// several times too high: only for engines that report no figure.
pub fn cache_tokens_of_blocks(scrape: &Scrape) -> Option<f64> {
    of_all_engines(scrape, |engine| {
        Some(label(engine, "num_gpu_blocks")? * label(engine, "block_size")?)
    })
}

/// Sum over the engines; `None` if one of them lacks it.
fn of_all_engines(scrape: &Scrape, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let engines = scrape.samples("vllm:cache_config_info").iter();
    let known = engines.map(|engine| of(engine).filter(|tokens| *tokens > 0.0));
    let total = known.sum::<Option<f64>>()?;
    (total > 0.0 && total.is_finite()).then_some(total)
}

/// A label of the cache's configuration, as a number.
fn label(engine: &Sample, name: &str) -> Option<f64> {
    engine.labels.get(name)?.parse().ok()
}

/// Share of the KV cache in use, 0 to 1, of the fullest engine.
pub(super) fn cache_usage(scrape: &Scrape) -> Option<f64> {
    ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]
        .iter()
        .find_map(|name| {
            let engines = scrape.samples(name).iter();
            engines.map(|engine| engine.value).reduce(f64::max)
        })
}

/// Whether the size of the KV cache is configured to be fixed, so that it cannot shrink when the engine grows; `None` if
/// the server does not report it.
pub fn cache_is_fixed(scrape: &Scrape) -> Option<bool> {
    let engines = scrape.samples("vllm:cache_config_info");
    let given = |name: &str| {
        let value = |engine: &Sample| engine.labels.get(name).cloned();
        engines
            .iter()
            .filter_map(value)
            .any(|value| !matches!(value.as_str(), "" | "None" | "null" | "0"))
    };
    (!engines.is_empty())
        .then(|| given("kv_cache_memory_bytes") || given("num_gpu_blocks_override"))
}

/// The GPUs of a simulated server; empty for a real one.
pub fn simulated_gpus(scrape: &Scrape) -> Vec<Reading> {
    let of = |name: &str, gpu: Option<&String>| {
        let is_same = |sample: &&Sample| sample.labels.get("gpu") == gpu;
        let sample = scrape.samples(name).iter().find(is_same);
        sample.map(|sample| sample.value)
    };
    scrape
        .samples("perfgate_simulated_gpu_memory_used_bytes")
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            let gpu = sample.labels.get("gpu");
            Reading {
                facts: Facts {
                    index: u32::try_from(index).ok(),
                    name: sample.labels.get("name").cloned().unwrap_or_default(),
                    memory: of("perfgate_simulated_gpu_memory_total_bytes", gpu),
                    ..Facts::default()
                },
                now: State {
                    memory_used: Some(sample.value),
                    utilization: of("perfgate_simulated_gpu_utilization_ratio", gpu),
                    ..State::default()
                },
            }
        })
        .collect()
}

/// Bytes outside the KV cache; only the simulator reports them.
pub fn engine_memory(scrape: &Scrape) -> Option<f64> {
    scrape
        .samples("perfgate_simulated_engine_memory_bytes")
        .iter()
        .map(|sample| sample.value)
        .reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: &str =
        include_str!("../../tests/fixtures/vllm-0.32-cpu/metrics/after-start-idle.txt");
    const RUNNING: &str = include_str!("../../tests/fixtures/vllm-0.32-cpu/metrics/8-running.txt");

    fn scrape(text: &str) -> Scrape {
        Scrape::parse(text, |_| true).unwrap()
    }

    fn found(findings: &Findings) -> String {
        let values = findings
            .metrics
            .iter()
            .map(|(metric, value)| format!("{metric}: {value:.6}"));
        let reasons = findings
            .not_measured
            .iter()
            .map(|(metric, reason)| format!("{metric}: {reason}"));
        values.chain(reasons).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn two_answers_of_a_real_vllm_give_the_difference() {
        let findings = between(&scrape(IDLE), &scrape(RUNNING));
        insta::assert_snapshot!(found(&findings), @"
        kv_cache.tokens: 524288.000000
        server.preemptions: 0.000000
        server.prefix_cache_hit_rate: 0.000000
        server.queue_time: 0.000029
        ");
    }

    #[test]
    fn older_names_are_found_and_blocks_are_not_a_figure_of_the_engine() {
        let before = scrape(
            "vllm:gpu_prefix_cache_queries_total 100\nvllm:gpu_prefix_cache_hits_total 10\n",
        );
        let after = scrape(
            "vllm:gpu_prefix_cache_queries_total 300\nvllm:gpu_prefix_cache_hits_total 60\n\
             vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\",kv_cache_size_tokens=\"None\"} 1\n\
             vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"50\",engine=\"1\"} 1\n",
        );
        assert_eq!(cache_tokens_of_blocks(&after), Some(2400.0));
        insta::assert_snapshot!(found(&between(&before, &after)), @"
        server.prefix_cache_hit_rate: 0.250000
        kv_cache.tokens: the engine does not report it
        server.preemptions: the engine does not report it
        server.queue_time: the engine does not report it
        ");
    }

    #[test]
    fn a_server_that_was_restarted_in_between_has_no_difference() {
        let findings = between(
            &scrape("vllm:num_preemptions_total 5"),
            &scrape("vllm:num_preemptions_total 1"),
        );
        assert!(
            !findings
                .metrics
                .contains_key(&Metric::parse("server.preemptions").unwrap())
        );
        insta::assert_snapshot!(found(&findings), @"
        kv_cache.tokens: the engine does not report it
        server.preemptions: the server's counter `vllm:num_preemptions_total` decreased: the server was restarted
        server.prefix_cache_hit_rate: the engine does not report it
        server.queue_time: the engine does not report it
        ");
    }

    #[test]
    fn the_latencies_of_a_real_vllm_are_means_of_its_histograms() {
        let after_load = scrape(include_str!(
            "../../tests/fixtures/vllm-0.32-cpu/metrics/after-load-asleep.txt"
        ));
        let counts = figures(&scrape(IDLE), &after_load, &ServerCounts::default());
        insta::assert_json_snapshot!(serde_json::to_value(counts).unwrap());
    }

    #[test]
    fn whether_the_cache_is_fixed_is_read_from_its_configuration() {
        assert_eq!(cache_is_fixed(&scrape(IDLE)), Some(true));
        let free = "vllm:cache_config_info{kv_cache_memory_bytes=\"None\",num_gpu_blocks_override=\"None\"} 1";
        assert_eq!(cache_is_fixed(&scrape(free)), Some(false));
        assert_eq!(cache_is_fixed(&scrape("a 1")), None);
    }

    #[test]
    fn a_reason_replaces_a_value() {
        let mut findings = Findings::default();
        findings.record(Metric::SERVER_PREEMPTIONS, Ok(5.0));
        findings.record_none(&[Metric::SERVER_PREEMPTIONS], SEVERAL_SERVERS);
        assert!(findings.metrics.is_empty());
        assert_eq!(findings.not_measured.len(), 1);
    }

    #[test]
    fn a_value_that_is_not_finite_is_dropped() {
        let mut findings = Findings::default();
        findings.record(Metric::KV_CACHE_TOKENS, Ok(f64::NAN));
        insta::assert_snapshot!(found(&findings), @"kv_cache.tokens: the reported value is not finite (NaN)");
        // A later source may have a value, and sources after that are not used.
        findings.fill(Metric::KV_CACHE_TOKENS, || Ok(5.0));
        findings.fill(Metric::KV_CACHE_TOKENS, || Err("not used".to_owned()));
        insta::assert_snapshot!(found(&findings), @"kv_cache.tokens: 5.000000");
    }

    #[test]
    fn the_gpus_of_a_simulated_server_are_read_separately() {
        let scrape = scrape(
            "perfgate_simulated_gpu_memory_used_bytes{gpu=\"0\",name=\"H100\"} 70\n\
             perfgate_simulated_gpu_memory_used_bytes{gpu=\"1\",name=\"H100\"} 71\n\
             perfgate_simulated_gpu_memory_total_bytes{gpu=\"0\",name=\"H100\"} 80\n\
             perfgate_simulated_gpu_utilization_ratio{gpu=\"1\",name=\"H100\"} 0.5\n\
             perfgate_simulated_engine_memory_bytes 30\n",
        );
        let gpus = simulated_gpus(&scrape);
        assert_eq!(gpus.len(), 2);
        let figures = |gpu: &Reading| (gpu.facts.memory, gpu.now.utilization);
        assert_eq!(figures(&gpus[0]), (Some(80.0), None));
        assert_eq!(figures(&gpus[1]), (None, Some(0.5)));
        assert_eq!(engine_memory(&scrape), Some(30.0));
    }
}
