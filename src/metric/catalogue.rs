//! The catalogue itself: data, in the order in which reports list it.

use super::Better::{Higher, Lower, Neither};
use super::Unit::{Bytes, Count, Ratio, RequestsPerSecond, Seconds, Tokens, TokensPerSecond};
use super::{Definition, Latency, Metric, Statistic};

/// The six figures that every report shows, measured or not (TTFT and TPOT with two percentiles each).
pub const ALWAYS_SHOWN: [Metric; 8] = [
    Metric::QPS,
    Metric::TTFT_P50,
    Metric::TTFT_P95,
    Metric::TPOT_P50,
    Metric::TPOT_P95,
    Metric::THROUGHPUT,
    Metric::GPU_MEMORY_PEAK,
    Metric::GPU_UTILIZATION_MEAN,
];

/// The families of latencies, by the first part of their ids.
pub const LATENCIES: [(&str, Latency); 4] = [
    ("ttft", Latency::Ttft),
    ("tpot", Latency::Tpot),
    ("itl", Latency::Itl),
    ("e2e", Latency::E2e),
];

/// The version of each latency's definition, by the first part of the ids, as results record it (1 if absent). Version 2: a
/// failed request counts as the slowest in percentiles; TPOT divides by the tokens after the first chunk; TPOT and ITL need an
/// observed gap.
pub const VERSIONS: [(&str, u32); 4] = [("ttft", 2), ("tpot", 2), ("itl", 2), ("e2e", 2)];

/// The statistics of a latency, by the last part of their ids.
pub const STATISTICS: [(&str, Statistic); 5] = [
    ("mean", Statistic::Mean),
    ("p50", Statistic::Quantile(0.50)),
    ("p90", Statistic::Quantile(0.90)),
    ("p95", Statistic::Quantile(0.95)),
    ("p99", Statistic::Quantile(0.99)),
];

/// One constant of [`Metric`] per line, and the list of all of them in this order. Code names a metric by its constant: a name
/// that does not exist fails the build.
macro_rules! catalogue {
    ($($constant:ident: $id:literal, $label:literal, $unit:expr, $better:expr, $description:literal;)*) => {
        impl Metric {
            $(
                #[doc = concat!("`", $id, "`: ", $description, ".")]
                pub const $constant: Self = Self(&Definition {
                    id: $id,
                    label: $label,
                    unit: $unit,
                    better: $better,
                    description: $description,
                });
            )*
        }

        pub(super) const ALL: &[Metric] = &[$(Metric::$constant),*];

        #[cfg(test)]
        pub(super) const CONSTANTS: &[(&str, Metric)] = &[$((stringify!($constant), Metric::$constant)),*];
    };
}

#[rustfmt::skip]
catalogue! {
    QPS: "qps", "QPS", RequestsPerSecond, Higher, "Completed requests / measured wall time of the repeat";
    TTFT_MEAN: "ttft.mean", "TTFT mean", Seconds, Lower, "Request start to the first chunk that carries generated text; mean";
    TTFT_P50: "ttft.p50", "TTFT P50", Seconds, Lower, "Request start to the first chunk that carries generated text; 50th percentile";
    TTFT_P90: "ttft.p90", "TTFT P90", Seconds, Lower, "Request start to the first chunk that carries generated text; 90th percentile";
    TTFT_P95: "ttft.p95", "TTFT P95", Seconds, Lower, "Request start to the first chunk that carries generated text; 95th percentile";
    TTFT_P99: "ttft.p99", "TTFT P99", Seconds, Lower, "Request start to the first chunk that carries generated text; 99th percentile";
    TPOT_MEAN: "tpot.mean", "TPOT mean", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; mean";
    TPOT_P50: "tpot.p50", "TPOT P50", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 50th percentile";
    TPOT_P90: "tpot.p90", "TPOT P90", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 90th percentile";
    TPOT_P95: "tpot.p95", "TPOT P95", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 95th percentile";
    TPOT_P99: "tpot.p99", "TPOT P99", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 99th percentile";
    ITL_MEAN: "itl.mean", "ITL mean", Seconds, Lower, "Gap between successive token-carrying chunks; mean";
    ITL_P50: "itl.p50", "ITL P50", Seconds, Lower, "Gap between successive token-carrying chunks; 50th percentile";
    ITL_P90: "itl.p90", "ITL P90", Seconds, Lower, "Gap between successive token-carrying chunks; 90th percentile";
    ITL_P95: "itl.p95", "ITL P95", Seconds, Lower, "Gap between successive token-carrying chunks; 95th percentile";
    ITL_P99: "itl.p99", "ITL P99", Seconds, Lower, "Gap between successive token-carrying chunks; 99th percentile";
    E2E_MEAN: "e2e.mean", "E2E mean", Seconds, Lower, "Request start to the last byte of the response; mean";
    E2E_P50: "e2e.p50", "E2E P50", Seconds, Lower, "Request start to the last byte of the response; 50th percentile";
    E2E_P90: "e2e.p90", "E2E P90", Seconds, Lower, "Request start to the last byte of the response; 90th percentile";
    E2E_P95: "e2e.p95", "E2E P95", Seconds, Lower, "Request start to the last byte of the response; 95th percentile";
    E2E_P99: "e2e.p99", "E2E P99", Seconds, Lower, "Request start to the last byte of the response; 99th percentile";
    THROUGHPUT: "throughput", "throughput", TokensPerSecond, Higher, "Output tokens / measured wall time";
    THROUGHPUT_STEADY: "throughput.steady", "steady throughput", TokensPerSecond, Higher, "Output tokens / wall time without ramp-up and drain";
    TOTAL_THROUGHPUT: "total_throughput", "total throughput", TokensPerSecond, Higher, "Prompt and output tokens / measured wall time";
    GOODPUT: "goodput", "goodput", RequestsPerSecond, Higher, "Requests per second that met every limit of the `slo`";
    ERROR_RATE: "error_rate", "error rate", Ratio, Lower, "Failed, timed-out or truncated requests / all requests";
    GPU_MEMORY_PEAK: "gpu_memory.peak", "peak GPU memory", Bytes, Lower, "Highest device memory in use during the repeat, of the fullest GPU";
    ENGINE_MEMORY_PEAK: "engine_memory.peak", "peak engine memory", Bytes, Lower, "Device memory outside the KV cache: weights, activations, graphs, as the engine counts them at its start";
    HOST_MEMORY_PEAK: "host_memory.peak", "peak host memory", Bytes, Lower, "Highest main memory that the server's processes held during the repeat, without the page cache";
    KV_CACHE_TOKENS: "kv_cache.tokens", "KV-cache capacity", Tokens, Higher, "Tokens that fit into the KV cache";
    GPU_UTILIZATION_MEAN: "gpu_utilization.mean", "GPU utilisation", Ratio, Neither, "Mean share of time in which at least one kernel ran";
    STARTUP: "startup", "start-up", Seconds, Lower, "Start of the container or process to ready";
    CAPACITY_CONCURRENCY: "capacity.concurrency", "concurrency at SLO", Count, Higher, "Most requests in flight at which the required share of requests met the `slo`; of a sweep";
    CAPACITY_REQUEST_RATE: "capacity.request_rate", "request rate at SLO", RequestsPerSecond, Higher, "Highest rate of arrivals at which the required share of requests met the `slo`; of a sweep";
    CAPACITY_THROUGHPUT: "capacity.throughput", "throughput at SLO", TokensPerSecond, Higher, "Output tokens / measured wall time at the capacity; of a sweep";
    CAPACITY_GOODPUT: "capacity.goodput", "goodput at SLO", RequestsPerSecond, Higher, "Requests per second that met the `slo` at the capacity; of a sweep";
    SERVER_QUEUE_TIME: "server.queue_time", "server queue time", Seconds, Neither, "Mean time a request waited in the server's queue, from its own /metrics";
    SERVER_PREFIX_CACHE_HIT_RATE: "server.prefix_cache_hit_rate", "prefix-cache hit rate", Ratio, Neither, "Prompt tokens found in the prefix cache / looked up, from the server's own /metrics";
    SERVER_PREEMPTIONS: "server.preemptions", "pre-emptions", Count, Neither, "Requests pre-empted during the repeat, from the server's own /metrics";
}
