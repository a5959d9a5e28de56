//! `perfgate.mlperf/1`: the result of a run of a scenario.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::early_stopping::over_latency_allowed;
use super::validity::{Reason, Requirements, Scenario, Seen, reasons};
use crate::metric::Metric;
use crate::record::Failures;
use crate::record::format::Repeat;

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.mlperf/1";

/// The note in every output: the name is a trademark of MLCommons, whose rules define what may be called a result.
pub const NOT_OFFICIAL: &str = "Not an official MLPerf result: not verified by MLCommons, not measured with the LoadGen, \
     and not on the benchmark's data set. MLPerf is a trademark of MLCommons.";

/// The figures.
const FIGURES: [Metric; 12] = [
    Metric::QPS,
    Metric::THROUGHPUT,
    Metric::TOTAL_THROUGHPUT,
    Metric::TTFT_MEAN,
    Metric::TTFT_P50,
    Metric::TTFT_P90,
    Metric::TTFT_P99,
    Metric::TPOT_MEAN,
    Metric::TPOT_P50,
    Metric::TPOT_P90,
    Metric::TPOT_P99,
    Metric::E2E_P99,
];

/// The result of a run of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MlperfReport {
    /// `perfgate.mlperf/1`.
    pub schema: String,
    /// The note that this is not an official result.
    pub notice: String,
    /// The scenario.
    pub scenario: Scenario,
    /// The task whose limits apply.
    pub task: String,
    /// Measured model.
    pub model: String,
    /// Scheduled queries per second; absent for Offline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_qps: Option<f64>,
    /// Whether the run is valid.
    pub valid: bool,
    /// Every reason why it is not.
    pub reasons: Vec<String>,
    /// The requirements.
    pub required: Requirements,
    /// The measured values.
    pub seen: Seen,
    /// The most queries allowed over each limit; absent with too few queries for any claim, or without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_latency_allowed: Option<u64>,
    /// Metric id → value in base units.
    pub metrics: BTreeMap<String, f64>,
    /// Warnings, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Rates that a search tried, with their results, in order; empty without a search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
}

/// A rate that a search tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// Queries per second.
    pub target_qps: f64,
    /// Whether the run was valid.
    pub valid: bool,
}

impl MlperfReport {
    /// The report of one measurement.
    pub fn of(
        (scenario, task, model): (Scenario, &str, &str),
        target_qps: Option<f64>,
        required: Requirements,
        repeat: &Repeat,
    ) -> Self {
        let seen = Seen::of(repeat, required.limits);
        let in_words = |reason: &Reason| match reason {
            Reason::Failed(text) => {
                let most = Failures::of([repeat]).reason();
                format!("{text}; the most frequent reason: {most}")
            }
            Reason::Latency(text) | Reason::OfRun(text) => text.clone(),
        };
        let reasons: Vec<String> = reasons(&required, &seen).iter().map(in_words).collect();
        let reasons: Vec<String> = repeat
            .void
            .iter()
            .map(|why| format!("the measurement does not count: {why}"))
            .chain(reasons)
            .collect();
        let figure = |metric: Metric| Some((metric.id().to_owned(), repeat.metric(metric)?));
        Self {
            schema: SCHEMA.to_owned(),
            notice: NOT_OFFICIAL.to_owned(),
            scenario,
            task: task.to_owned(),
            model: model.to_owned(),
            target_qps,
            valid: reasons.is_empty(),
            reasons,
            over_latency_allowed: required
                .limits
                .and_then(|_| over_latency_allowed(required.percentile, seen.queries)),
            required,
            seen,
            metrics: FIGURES.into_iter().filter_map(figure).collect(),
            warnings: repeat.warnings().map(str::to_owned).collect(),
            tried: Vec::new(),
        }
    }
}
