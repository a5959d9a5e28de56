//! The Prometheus text of `/metrics`, with vLLM's names.

use std::fmt::{Display, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Engine, Sequence};
use super::options::Options;
use crate::{clock, stats};

/// Bucket bounds in seconds, as coarse as vLLM's own.
const BOUNDS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// Bucket bounds of the lateness, most of them below 1 ms.
const LATENESS_BOUNDS: [f64; 8] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01,
];

/// Number of recent latenesses that are kept for exact percentiles.
const LATENESSES: usize = 100_000;

/// Times of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimes {
    sequence: Sequence,
    arrived: Instant,
    pub(super) admitted: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl RequestTimes {
    pub(super) fn new(sequence: Sequence, arrived: Instant) -> Self {
        Self {
            sequence,
            arrived,
            admitted: None,
            first: None,
            last: None,
        }
    }
}

/// Lateness of tokens against the engine's schedule, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// Steps measured.
    pub steps: u64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

#[derive(Clone, Debug)]
struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(&BOUNDS)
    }
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len()],
            sum: 0.0,
            count: 0,
        }
    }

    fn add(&mut self, value: Duration) {
        let value = value.as_secs_f64();
        for (count, bound) in self.counts.iter_mut().zip(self.bounds) {
            *count += u64::from(value <= *bound);
        }
        self.sum += value;
        self.count += 1;
    }

    fn write(&self, name: &str, labels: &str, text: &mut String) {
        let mut line = |suffix: &str, extra: &str, value: &dyn Display| {
            let comma = if labels.is_empty() || extra.is_empty() {
                ""
            } else {
                ","
            };
            let _ = writeln!(text, "{name}{suffix}{{{labels}{comma}{extra}}} {value}");
        };
        for (count, bound) in self.counts.iter().zip(self.bounds) {
            line("_bucket", &format!("le=\"{bound}\""), count);
        }
        line("_bucket", "le=\"+Inf\"", &self.count);
        line("_sum", "", &self.sum);
        line("_count", "", &self.count);
    }
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    cache_usage: f64,
    prompt_tokens: u64,
    generation_tokens: u64,
    stopped: u64,
    busy: f64,
    /// Time and busy time of the previous scrape.
    scraped: Option<(Instant, f64)>,
    ttft: Histogram,
    itl: Histogram,
    e2e: Histogram,
    queue: Histogram,
    prefill: Histogram,
    decode: Histogram,
    lateness: Histogram,
    kept: Vec<f64>,
}

/// Counters, written by the engine's thread and read by `/metrics`. The lock is held for a few additions.
#[derive(Debug)]
pub(super) struct Metrics {
    options: Options,
    began: Instant,
    /// Unix time of the start.
    started: f64,
    state: Mutex<State>,
}

impl Metrics {
    pub(super) fn new(options: &Options) -> Self {
        let state = State {
            lateness: Histogram::new(&LATENESS_BOUNDS),
            ..State::default()
        };
        Self {
            options: options.clone(),
            began: Instant::now(),
            started: clock::unix_time().as_secs_f64(),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counters are consistent after every addition, so a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn engine_state(&self, engine: &Engine, busy: f64) {
        let mut state = self.state();
        state.running = engine.running();
        state.waiting = engine.waiting();
        state.cache_usage = engine.cache_usage();
        state.busy += busy;
    }

    pub(super) fn idle(&self) {
        let mut state = self.state();
        state.running = 0;
        state.waiting = 0;
        state.cache_usage = 0.0;
    }

    pub(super) fn late(&self, by: Duration) {
        let mut state = self.state();
        state.lateness.add(by);
        if state.kept.len() == LATENESSES {
            state.kept.clear();
        }
        state.kept.push(by.as_secs_f64());
    }

    pub(super) fn token(&self, times: &mut RequestTimes, at: Instant) {
        let mut state = self.state();
        state.generation_tokens += 1;
        match times.last {
            None => {
                times.first = Some(at);
                state.prompt_tokens += u64::from(times.sequence.prompt);
                state.ttft.add(at.saturating_duration_since(times.arrived));
            }
            Some(last) => state.itl.add(at.saturating_duration_since(last)),
        }
        times.last = Some(at);
    }

    pub(super) fn finished(&self, times: &RequestTimes, at: Instant) {
        let mut state = self.state();
        state.stopped += 1;
        state.e2e.add(at.saturating_duration_since(times.arrived));
        if let (Some(admitted), Some(first)) = (times.admitted, times.first) {
            state
                .queue
                .add(admitted.saturating_duration_since(times.arrived));
            state.prefill.add(first.saturating_duration_since(admitted));
            state.decode.add(at.saturating_duration_since(first));
        }
    }

    pub(super) fn lateness(&self) -> Lateness {
        let state = self.state();
        let share = |share| stats::quantile(&state.kept, share).unwrap_or(0.0);
        Lateness {
            steps: state.lateness.count,
            p50: share(0.5),
            p99: share(0.99),
            max: share(1.0),
        }
    }

    /// The whole text. Utilisation counts from the previous scrape.
    pub(super) fn text(&self) -> String {
        let mut state = self.state();
        let now = Instant::now();
        let (since, busy) = state.scraped.unwrap_or((self.began, 0.0));
        let elapsed = now.saturating_duration_since(since).as_secs_f64();
        let utilization = if elapsed > 0.0 {
            ((state.busy - busy) / elapsed).clamp(0.0, 1.0)
        } else {
            0.0
        };
        state.scraped = Some((now, state.busy));

        let model = self
            .options
            .model
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let labels = format!("engine=\"0\",model_name=\"{model}\"");
        // Without labels and with two decimals, as Python's client writes it.
        let mut text = format!(
            "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {:.2}\n",
            self.started
        );
        state.write_values(&labels, &mut text);
        write_device(&self.options, &labels, utilization, &mut text);
        state.write_histograms(&labels, &mut text);
        text
    }
}

fn write_value(text: &mut String, kind: &str, name: &str, labels: &str, value: &dyn Display) {
    let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{{{labels}}} {value}");
}

impl State {
    fn write_values(&self, labels: &str, text: &mut String) {
        let mut gauge = |name, value: &dyn Display| write_value(text, "gauge", name, labels, value);
        gauge("vllm:num_requests_running", &self.running);
        gauge("vllm:num_requests_waiting", &self.waiting);
        gauge("vllm:kv_cache_usage_perc", &self.cache_usage);
        let mut counter = |name, labels: &str, value: u64| {
            write_value(text, "counter", name, labels, &value);
        };
        counter("vllm:prompt_tokens_total", labels, self.prompt_tokens);
        counter(
            "vllm:generation_tokens_total",
            labels,
            self.generation_tokens,
        );
        counter("vllm:num_preemptions_total", labels, 0);
        counter(
            "vllm:prefix_cache_queries_total",
            labels,
            self.prompt_tokens,
        );
        counter("vllm:prefix_cache_hits_total", labels, 0);
        let finished = format!("{labels},finished_reason=\"length\"");
        counter("vllm:request_success_total", &finished, self.stopped);
    }

    fn write_histograms(&self, labels: &str, text: &mut String) {
        let lateness = "perfgate_simulated_schedule_lateness_seconds";
        for (name, labels, histogram) in [
            ("vllm:time_to_first_token_seconds", labels, &self.ttft),
            ("vllm:inter_token_latency_seconds", labels, &self.itl),
            ("vllm:e2e_request_latency_seconds", labels, &self.e2e),
            ("vllm:request_queue_time_seconds", labels, &self.queue),
            ("vllm:request_prefill_time_seconds", labels, &self.prefill),
            ("vllm:request_decode_time_seconds", labels, &self.decode),
            (lateness, "", &self.lateness),
        ] {
            let _ = writeln!(text, "# TYPE {name} histogram");
            histogram.write(name, labels, text);
        }
    }
}

fn write_device(options: &Options, labels: &str, utilization: f64, text: &mut String) {
    let tokens = options.cache_tokens();
    let blocks = tokens / 16;
    let cache = format!(
        "{labels},block_size=\"16\",num_gpu_blocks=\"{blocks}\",kv_cache_size_tokens=\"{tokens}\",gpu_memory_utilization=\"0.9\""
    );
    write_value(text, "gauge", "vllm:cache_config_info", &cache, &1);
    let gpu = "gpu=\"0\",name=\"Simulated GPU 80GB\"";
    let mut gauge = |name: &str, value: &dyn Display| {
        let name = format!("perfgate_simulated_{name}");
        write_value(text, "gauge", &name, gpu, value);
    };
    if options.has_gpu {
        gauge("gpu_memory_used_bytes", &options.memory_used());
        gauge("gpu_memory_total_bytes", &options.gpu_memory);
        gauge("gpu_utilization_ratio", &utilization);
    }
    gauge("engine_memory_bytes", &options.engine_memory());
}
