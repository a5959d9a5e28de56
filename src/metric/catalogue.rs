//! The catalogue itself: data, in the order in which reports list it.

use super::Better::{Higher, Lower, Neither};
use super::Unit::{Bytes, Count, Ratio, RequestsPerSecond, Seconds, Tokens, TokensPerSecond};
use super::{Better, Definition, Latency, Statistic, Unit};

/// The six figures that every report shows, measured or not (TTFT and TPOT with two percentiles each).
pub const ALWAYS_SHOWN: [&str; 8] = [
    "qps",
    "ttft.p50",
    "ttft.p95",
    "tpot.p50",
    "tpot.p95",
    "throughput",
    "gpu_memory.peak",
    "gpu_utilization.mean",
];

/// The families of latencies, by the first part of their ids.
pub const LATENCIES: [(&str, Latency); 4] = [
    ("ttft", Latency::Ttft),
    ("tpot", Latency::Tpot),
    ("itl", Latency::Itl),
    ("e2e", Latency::E2e),
];

/// The version of each latency's definition, by the first part of the ids, as results record it (1 where it is absent). 2: a failed
/// request counts as the slowest in percentiles; TPOT divides by the tokens after the first chunk; TPOT and ITL need a gap
/// that was seen.
pub const VERSIONS: [(&str, u32); 4] = [("ttft", 2), ("tpot", 2), ("itl", 2), ("e2e", 2)];

/// The statistics of a latency, by the last part of their ids.
pub const STATISTICS: [(&str, Statistic); 5] = [
    ("mean", Statistic::Mean),
    ("p50", Statistic::Quantile(0.50)),
    ("p90", Statistic::Quantile(0.90)),
    ("p95", Statistic::Quantile(0.95)),
    ("p99", Statistic::Quantile(0.99)),
];

const fn define(
    id: &'static str,
    label: &'static str,
    unit: Unit,
    better: Better,
    description: &'static str,
) -> Definition {
    Definition {
        id,
        label,
        unit,
        better,
        description,
    }
}

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    define("qps", "QPS", RequestsPerSecond, Higher, "Completed requests / measured wall time of the repeat"),
    define("ttft.mean", "TTFT mean", Seconds, Lower, "Request start to the first chunk that carries generated text; mean"),
    define("ttft.p50", "TTFT P50", Seconds, Lower, "Request start to the first chunk that carries generated text; 50th percentile"),
    define("ttft.p90", "TTFT P90", Seconds, Lower, "Request start to the first chunk that carries generated text; 90th percentile"),
    define("ttft.p95", "TTFT P95", Seconds, Lower, "Request start to the first chunk that carries generated text; 95th percentile"),
    define("ttft.p99", "TTFT P99", Seconds, Lower, "Request start to the first chunk that carries generated text; 99th percentile"),
    define("tpot.mean", "TPOT mean", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; mean"),
    define("tpot.p50", "TPOT P50", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 50th percentile"),
    define("tpot.p90", "TPOT P90", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 90th percentile"),
    define("tpot.p95", "TPOT P95", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 95th percentile"),
    define("tpot.p99", "TPOT P99", Seconds, Lower, "(Last token - first chunk) / (output tokens after the first chunk) of a request; 99th percentile"),
    define("itl.mean", "ITL mean", Seconds, Lower, "Gap between successive token-carrying chunks; mean"),
    define("itl.p50", "ITL P50", Seconds, Lower, "Gap between successive token-carrying chunks; 50th percentile"),
    define("itl.p90", "ITL P90", Seconds, Lower, "Gap between successive token-carrying chunks; 90th percentile"),
    define("itl.p95", "ITL P95", Seconds, Lower, "Gap between successive token-carrying chunks; 95th percentile"),
    define("itl.p99", "ITL P99", Seconds, Lower, "Gap between successive token-carrying chunks; 99th percentile"),
    define("e2e.mean", "E2E mean", Seconds, Lower, "Request start to the last byte of the response; mean"),
    define("e2e.p50", "E2E P50", Seconds, Lower, "Request start to the last byte of the response; 50th percentile"),
    define("e2e.p90", "E2E P90", Seconds, Lower, "Request start to the last byte of the response; 90th percentile"),
    define("e2e.p95", "E2E P95", Seconds, Lower, "Request start to the last byte of the response; 95th percentile"),
    define("e2e.p99", "E2E P99", Seconds, Lower, "Request start to the last byte of the response; 99th percentile"),
    define("throughput", "throughput", TokensPerSecond, Higher, "Output tokens / measured wall time"),
    define("throughput.steady", "steady throughput", TokensPerSecond, Higher, "Output tokens / wall time without ramp-up and drain"),
    define("total_throughput", "total throughput", TokensPerSecond, Higher, "Prompt and output tokens / measured wall time"),
    define("goodput", "goodput", RequestsPerSecond, Higher, "Requests per second that met every limit of the `slo`"),
    define("error_rate", "error rate", Ratio, Lower, "Failed, timed-out or truncated requests / all requests"),
    define("gpu_memory.peak", "peak GPU memory", Bytes, Lower, "Highest device memory in use during the repeat, of the fullest GPU"),
    define("engine_memory.peak", "peak engine memory", Bytes, Lower, "Device memory outside the KV cache: weights, activations, graphs, as the engine counts them at its start"),
    define("host_memory.peak", "peak host memory", Bytes, Lower, "Highest main memory that the server's processes held during the repeat, without the page cache"),
    define("kv_cache.tokens", "KV-cache capacity", Tokens, Higher, "Tokens that fit into the KV cache"),
    define("gpu_utilization.mean", "GPU utilisation", Ratio, Neither, "Mean share of time in which at least one kernel ran"),
    define("startup", "start-up", Seconds, Lower, "Start of the container or process to ready"),
    define("capacity.concurrency", "concurrency at SLO", Count, Higher, "Most requests in flight at which the required share of requests met the `slo`; of a sweep"),
    define("capacity.request_rate", "request rate at SLO", RequestsPerSecond, Higher, "Highest rate of arrivals at which the required share of requests met the `slo`; of a sweep"),
    define("capacity.throughput", "throughput at SLO", TokensPerSecond, Higher, "Output tokens / measured wall time at the capacity; of a sweep"),
    define("capacity.goodput", "goodput at SLO", RequestsPerSecond, Higher, "Requests per second that met the `slo` at the capacity; of a sweep"),
    define("server.queue_time", "server queue time", Seconds, Neither, "Mean time a request waited in the server's queue, from its own /metrics"),
    define("server.prefix_cache_hit_rate", "prefix-cache hit rate", Ratio, Neither, "Prompt tokens found in the prefix cache / looked up, from the server's own /metrics"),
    define("server.preemptions", "pre-emptions", Count, Neither, "Requests pre-empted during the repeat, from the server's own /metrics"),
];
