//! `perfgate.result/1`: the frozen shape of the result file.
//!
//! Only `schema`, `scenarios`, their `name` and `repeats`, and each repeat's `metrics` (or `samples` from which they
//! are derived) are required, so that a result can be written by hand or by another tool. Unknown fields are ignored.
//! These types mirror the file; [`super::Run`] is the checked result.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::latencies::FASTEST_TOKEN;
use super::optional_fields::optional_fields;
use super::telemetry::Telemetry;
use crate::report::price::Price;

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.result/1";

/// Name of the scenario with the results of a whole sweep (`capacity.…`), one repeat per repeat of the sweep. It is not a
/// load point and has no metrics of load points.
pub const SWEEP: &str = "sweep";

/// A result file: what one run measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultFile {
    /// `perfgate.result/1`. Other major versions are refused; minor versions (`/1.2`) are accepted.
    pub schema: String,
    /// Name of the gate, `llama-3-8b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When the run started, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The program that wrote the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// The commit that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The server under test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What measuring this file has cost so far, its void repeats and failed server starts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How the run became a baseline; only in baselines and ledgers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
    /// Versions of the metric definitions by the first part of the metrics' ids (`tpot`); 1 where absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<String, u32>,
    /// The load points, in the order in which they were measured.
    pub scenarios: Vec<Scenario>,
}

/// How a run became a baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promotion {
    /// When, RFC 3339, UTC.
    pub promoted: String,
    /// Objections to the promotion, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub despite: Vec<String>,
    /// Why it was accepted in spite of the objections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Who accepted it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether it begins a new segment of the history; earlier runs are not compared with later ones.
    #[serde(default, skip_serializing_if = "is_false")]
    pub new_segment: bool,
    /// Whether it was measured earlier than the previously accepted run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub older: bool,
    /// The release that was measured, `v1.4.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// The program that wrote a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The commit that was measured.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Source {
        /// Full object name.
        pub commit: Option<String>,
        /// Branch or tag.
        pub branch: Option<String>,
        /// Whether the work tree had uncommitted changes.
        pub dirty: Option<bool>,
    }
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The machine on which the server ran.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Environment {
        /// One entry per GPU that the server could use. Empty: no GPU was found. Absent: GPUs were not detected.
        pub gpus: Option<Vec<Gpu>>,
        /// GPU driver version.
        pub driver: Option<String>,
        /// Newest CUDA version that the driver supports.
        pub cuda: Option<String>,
        /// CPU model.
        pub cpu: Option<String>,
        /// Number of logical CPUs.
        pub cpus: Option<u32>,
        /// Main memory in bytes.
        pub memory_bytes: Option<u64>,
        /// Kernel release.
        pub kernel: Option<String>,
        /// Host name.
        pub host: Option<String>,
        /// The physical machine: the UUIDs of its GPUs; without GPUs the value of `PERFGATE_MACHINE`, else a digest of the host's
        /// machine id. Absent if unknown, as in a container, whose host name changes at each start.
        pub machine: Option<String>,
        /// Kind of host according to its firmware: `Amazon EC2 p5.48xlarge`.
        pub host_class: Option<String>,
        /// Whether the SM clocks of all GPUs varied by at most 1 % under load, as locked clocks do. Drivers do not report whether
        /// clocks are locked.
        pub clocks_locked: Option<bool>,
    }
}

impl Environment {
    /// What identifies this machine: `machine`, else the host's name.
    pub fn machine_or_host(&self) -> Option<&str> {
        self.machine.as_deref().or(self.host.as_deref())
    }
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gpu {
    /// Product name from the driver, `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Device memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The driver's unique id of this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Power limit in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_watts: Option<f64>,
    /// Default power limit in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_default_watts: Option<f64>,
    /// Whether it is divided into MIG devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mig: Option<bool>,
    /// Whether its memory has error correction (ECC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecc: Option<bool>,
    /// Whether persistence mode is on, so that the driver stays loaded while the GPU is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<bool>,
    /// CUDA compute capability, `9.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_capability: Option<String>,
    /// Version of its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vbios: Option<String>,
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// The server under test. Names of environment variables only, never their values.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Server {
        /// `docker`, `process`, `url` or `simulator`.
        pub kind: Option<String>,
        /// Image reference as given.
        pub image: Option<String>,
        /// Image digest, or the image id of an image without a registry.
        pub digest: Option<String>,
        /// Arguments of the engine.
        pub args: Option<Vec<String>>,
        /// Version from the server's `/version`.
        pub version: Option<String>,
        /// Model name that requests carry.
        pub model: Option<String>,
        /// `repeat` if each repeat has its own server, `run` if all repeats share one; absent if perfgate starts no
        /// server.
        pub fresh: Option<String>,
        /// `system_fingerprint` of the server's answers (vLLM: version, parallelism, hash of the engine configuration).
        pub fingerprint: Option<String>,
    }
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// What was sent.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Workload {
        /// `sha256:…` over everything that determines the requests, except the load points. Equal digests mean equal requests.
        pub digest: Option<String>,
        /// `synthetic`, or the name of a data set.
        pub dataset: Option<String>,
        /// Seed of lengths and prompts.
        pub seed: Option<u64>,
        /// Measured requests per repeat of one scenario.
        pub num_requests: Option<u64>,
        /// `completions` or `chat`.
        pub endpoint: Option<String>,
        /// Lengths of prompts in tokens, as text: `normal(mean 1000, std 200)`.
        pub input_tokens: Option<String>,
        /// Lengths of outputs in tokens, as text.
        pub output_tokens: Option<String>,
        /// Requests sent before the measurement, per scenario.
        pub warmup_requests: Option<u64>,
        /// Names of the extra request headers. Their values are not stored.
        pub headers: Option<Vec<String>>,
        /// Extra keys in the body of each request.
        pub extra_body: Option<serde_json::Map<String, serde_json::Value>>,
        /// Criteria of a search for each load, as text: the limits and the number of requests.
        pub search: Option<String>,
    }
}

/// One load point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// Unique in the file, `concurrency=64`.
    pub name: String,
    /// The load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Whether a search chose the load from earlier points. Another run may choose another load, so the point may be missing
    /// there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adaptive: bool,
    /// The independent repeats, in the order of measurement.
    pub repeats: Vec<Repeat>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires this signature"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// A load point.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Load {
        /// Closed loop: requests in flight.
        pub concurrency: Option<u64>,
        /// Open loop: requests per second.
        pub request_rate: Option<f64>,
        /// Open loop: shape of the gamma-distributed gaps; 1 is Poisson.
        pub burstiness: Option<f64>,
        /// Open loop at the times of a trace: speedup relative to the recording.
        pub trace_speedup: Option<f64>,
        /// Seconds in which the load ramped up.
        pub ramp_up: Option<f64>,
        /// Seconds after which no request started.
        pub duration: Option<f64>,
        /// Measured requests per repeat, if they depend on the load, as in a sweep.
        pub requests: Option<u64>,
        /// Warm-up requests before each measurement, if they depend on the load.
        pub warmup_requests: Option<u64>,
    }
}

/// One measurement of a load point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// Unique in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When its first measured request was sent, RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Name of the server start on which it was measured. Repeats with the same name share a server and are measurements on
    /// one start; without a name every repeat is a start of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Measured wall time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// How the requests ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestCounts>,
    /// Metric id → value in base units. `null` means not measured. Unknown ids are kept but not judged.
    #[serde(default)]
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Metric id → why it could not be measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_measured: BTreeMap<String, String>,
    /// One entry per request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// Other observations, by name.
    #[serde(default, skip_serializing_if = "Telemetry::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub telemetry: Telemetry,
    /// Why the repeat is void; absent or null if it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// How the measured requests of a repeat ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCounts {
    /// Complete answers.
    pub completed: u64,
    /// Errors and time-outs.
    #[serde(default)]
    pub failed: u64,
    /// Answers that ended early: without `[DONE]`, without usage, or with fewer tokens than requested.
    #[serde(default)]
    pub truncated: u64,
}

optional_fields! {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    /// Columns, one entry per request in workload order; `null` if a request has no such value. Times in seconds.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    pub struct Samples {
        /// `ok`, or what went wrong.
        pub status: Option<Vec<Option<String>>>,
        /// Start of the request, from the start of the measurement.
        pub start: Option<Vec<Option<f64>>>,
        /// Time to first token.
        pub ttft: Option<Vec<Option<f64>>>,
        /// Time per output token after the first.
        pub tpot: Option<Vec<Option<f64>>>,
        /// Request start to last byte.
        pub e2e: Option<Vec<Option<f64>>>,
        /// Prompt tokens as counted by the server.
        pub prompt_tokens: Option<Vec<Option<u64>>>,
        /// Output tokens as counted by the server.
        pub output_tokens: Option<Vec<Option<u64>>>,
        /// Tokens in the first chunk with tokens, if the server counts them or each chunk has one.
        pub first_chunk_tokens: Option<Vec<Option<u64>>>,
        /// Arrivals of chunks with tokens; chunks that arrived together count once.
        pub chunks: Option<Vec<Option<u64>>>,
        /// Gaps between successive chunks with tokens, a list per request.
        pub itl: Option<Vec<Option<Vec<f64>>>>,
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a complete answer.
    Completed,
    /// With an error or a time-out.
    Failed,
    /// Too early.
    Truncated,
}

impl RequestCounts {
    /// Requests without a complete answer.
    pub fn unsuccessful(self) -> u64 {
        self.failed.saturating_add(self.truncated)
    }

    /// All requests.
    pub fn all(self) -> u64 {
        self.completed.saturating_add(self.unsuccessful())
    }

    pub(super) fn add(&mut self, ending: Ending) {
        match ending {
            Ending::Completed => self.completed += 1,
            Ending::Failed => self.failed += 1,
            Ending::Truncated => self.truncated += 1,
        }
    }
}

impl Samples {
    /// Whether request `index` succeeded.
    pub fn is_ok(&self, index: usize) -> bool {
        self.status_of(index) == Some("ok")
    }

    fn status_of(&self, index: usize) -> Option<&str> {
        self.status.as_ref()?.get(index)?.as_deref()
    }

    /// How request `index` ended. Without a status column, a request with a latency succeeded.
    pub(super) fn ending(&self, index: usize) -> Ending {
        let columns = [&self.ttft, &self.tpot, &self.e2e];
        match self.status_of(index) {
            Some("ok") => Ending::Completed,
            Some(status) if status.starts_with("truncated") => Ending::Truncated,
            None if self.status.is_none()
                && columns.iter().any(|column| column.entry(index).is_some()) =>
            {
                Ending::Completed
            }
            Some(_) | None => Ending::Failed,
        }
    }

    /// Whether request `index` has a TTFT within a limit. A missing TTFT is not within any limit.
    pub fn meets_ttft(&self, index: usize, limit: f64) -> bool {
        self.ttft.entry(index).is_some_and(|value| value <= limit)
    }

    /// Whether its TPOT is within a limit. A single token has no TPOT and meets any limit; several tokens in one piece meet
    /// no limit.
    pub fn meets_tpot(&self, index: usize, limit: f64) -> bool {
        match self.tpot.entry(index) {
            Some(tpot) => tpot <= limit && tpot > FASTEST_TOKEN,
            None => self.output_tokens.entry(index) == Some(1),
        }
    }

    /// Whether its end-to-end time is within a limit.
    pub fn meets_e2e(&self, index: usize, limit: f64) -> bool {
        self.e2e.entry(index).is_some_and(|value| value <= limit)
    }
}

/// A column of samples.
pub(crate) trait Column<T> {
    /// The entry of request `index`, if there is one.
    fn entry(&self, index: usize) -> Option<T>;

    /// Number of requests; `None` without the column.
    fn length(&self) -> Option<usize>;
}

impl<T: Clone> Column<T> for Option<Vec<Option<T>>> {
    fn entry(&self, index: usize) -> Option<T> {
        self.as_ref()?.get(index)?.clone()
    }

    fn length(&self) -> Option<usize> {
        self.as_ref().map(Vec::len)
    }
}
