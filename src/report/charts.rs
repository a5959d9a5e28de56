//! Chart data of a comparison. It decides nothing, and old files lack it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::{Metric, Unit};

/// How much slower the candidate is at one quantile of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShiftPoint {
    /// The quantile, as a share: 0.95 for P95.
    pub share: f64,
    /// Candidate − baseline in seconds: the difference of the means over the repeats that count.
    pub change: f64,
    /// Lower end of the 95 % interval; absent where a side has fewer than two repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A judged metric in the accepted sessions and in the two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// Name of the scenario.
    pub scenario: String,
    /// The metric.
    pub metric: Metric,
    /// Unit of all values here.
    pub unit: Unit,
    /// Accepted sessions of the same hardware and workload, oldest first.
    pub sessions: Vec<Session>,
    /// The baseline's value.
    pub baseline: Option<f64>,
    /// The candidate's value.
    pub candidate: Option<f64>,
    /// The value at the rule's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// One accepted session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// When it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Median over the repeats that count.
    pub value: f64,
    /// The reason why it was accepted although it was slower, an outlier or not comparable; a segment begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins_segment: Option<String>,
    /// Whether E-divisive found a step in the level here that no accepted reason explains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_step: bool,
}

/// A quantity over time during the repeats of both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Name of the scenario.
    pub scenario: String,
    /// The quantity.
    pub quantity: Quantity,
    /// The last repeats of the accepted run that count.
    pub baseline: Vec<Trace>,
    /// Those of the run under judgement.
    pub candidate: Vec<Trace>,
}

/// A quantity over time, by the name of its column in the result file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Memory in use on the fullest GPU, in bytes.
    GpuMemory,
    /// Share of time in which a kernel ran.
    GpuUtilization,
    /// SM clock of the slowest GPU, in MHz.
    GpuClockSm,
    /// Requests that the server processed.
    Running,
    /// Requests that waited in its queue.
    Waiting,
    /// Share of the KV cache in use.
    KvCacheUsage,
}

/// One repeat over time: equal numbers of times and values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// Number of the repeat, from 1 in run order.
    pub repeat: u32,
    /// Seconds since the repeat began, rising.
    pub time: Vec<f64>,
    /// The values at these times.
    pub values: Vec<f64>,
}

/// One of the server's own metrics: medians over the repeats that count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFigure {
    /// Name of the scenario.
    pub scenario: String,
    /// Name for people: `mean queue time`.
    pub figure: String,
    /// Unit of the values.
    pub unit: Unit,
    /// The baseline's value; absent where the server did not report it.
    pub baseline: Option<f64>,
    /// The candidate's value.
    pub candidate: Option<f64>,
}
