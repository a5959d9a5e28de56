//! `perfgate.comparison/1`: the frozen shape of a finished judgement.
//!
//! It carries everything that a renderer needs, so that `perfgate report` can draw the same report again from the file
//! alone. `change` is signed so that **positive is worse**, whatever the metric's direction.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::charts::{History, Quantity, ServerFigure, Session, ShiftPoint, Timeline, Trace};
pub use super::judgement::{
    Basis, Change, JudgedRule, Judgement, Noise, RepeatValue, Side, Status,
};
use super::price::{BudgetEnd, VerdictPrice};
use super::rule::OnInconclusive;
use crate::code::Code;
use crate::metric::{Better, Metric, Unit};

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.comparison/1";

/// The verdict of the whole comparison: its worst judgement.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing regressed beyond its limit.
    Pass,
    /// A `warn` rule regressed, or its metric could not be measured.
    Warn,
    /// The evidence does not decide.
    Inconclusive,
    /// A `report` rule regressed and no analysis report was given. With one, the verdict is `warn`.
    Report,
    /// A `block` rule regressed.
    Block,
    /// The two runs cannot be compared.
    Incomparable,
}

impl Verdict {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Warn => "WARN",
            Self::Inconclusive => "NO DECISION",
            Self::Report => "REPORT",
            Self::Block => "BLOCK",
            Self::Incomparable => "NOT COMPARABLE",
        }
    }
}

/// A finished comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// `perfgate.comparison/1`.
    pub schema: String,
    /// Name of the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The worst judgement.
    pub verdict: Verdict,
    /// The process's exit code.
    pub exit_code: u8,
    /// The verdict in one sentence, made from the worst row.
    pub headline: String,
    /// Rules × scenarios, in the order of the candidate's scenarios and of the policy's rules.
    pub judgements: Vec<Judgement>,
    /// The figures that every report shows, per scenario, whether or not a rule watches them.
    #[serde(default)]
    pub measurements: Vec<Measurement>,
    /// Quantile sketches of per-request latencies, for charts.
    #[serde(default)]
    pub distributions: Vec<Distribution>,
    /// Throughput against latency, where both runs have several load points of a kind; for charts.
    #[serde(default)]
    pub curves: Vec<LoadCurve>,
    /// The requests that became slower; explains and never decides.
    #[serde(default)]
    pub strata: Vec<Stratum>,
    /// The judged metrics in the accepted sessions, with a ledger; for charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// GPUs and server over time in the last repeats that count; for charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timelines: Vec<Timeline>,
    /// The server's own metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_figures: Vec<ServerFigure>,
    /// What must match, but differs. If not empty, the verdict is `incomparable`.
    pub mismatches: Vec<Difference>,
    /// What differs, as it may: image, version, arguments, driver, host.
    #[serde(default)]
    pub changes: Vec<Difference>,
    /// Warnings in addition to the judgements.
    pub warnings: Vec<Warning>,
    /// The measurement that would decide an undecided verdict.
    pub next: Next,
    /// The accepted run.
    pub baseline: Identity,
    /// The run under judgement.
    pub candidate: Identity,
    /// The baseline's alternating repeats, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_baseline: Option<Identity>,
    /// The candidate's alternating repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_candidate: Option<Identity>,
    /// The author's analysis of a regression under a `report` rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// The author's explanation of a regression under a rule with `explain`. It changes no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Analysis>,
    /// Who accepted the regressions, and why. Accepted regressions warn and do not block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// The commit that the verdict is published on: the head of the pull request if its merge commit was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// What a gate cost, beside earlier gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<VerdictPrice>,
    /// The budget that ended before the evidence decided. An undecided comparison with it exits with 3 whatever
    /// `on_inconclusive` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetEnd>,
    /// How it was decided.
    pub decision: Decision,
}

impl Comparison {
    /// Indented, in the order of the format.
    pub fn json(&self) -> String {
        crate::json::pretty(self)
    }

    /// The verdict's name as the format writes it.
    pub fn verdict_name(&self) -> String {
        serde_json::to_value(self.verdict)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// A person with write permission accepted the regressions of this commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acceptance {
    /// The label of the pull request that accepts them.
    pub label: String,
    /// Who set it.
    pub by: String,
    /// Why; foreign text.
    pub reason: String,
    /// The headline before the acceptance.
    #[serde(default)]
    pub regression: String,
}

/// The author's text about a regression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Analysis {
    /// Where it was given: the name of a file, or `pull request`.
    pub source: String,
    /// The text as written; foreign.
    pub text: String,
}

/// One figure, shown with or without a rule, in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// Name of the scenario.
    pub scenario: String,
    /// The metric.
    pub metric: Metric,
    /// Unit of the values.
    pub unit: Unit,
    /// Which way it gets better.
    pub better: Better,
    /// The accepted run's side.
    pub baseline: Side,
    /// The side under judgement.
    pub candidate: Side,
    /// Relative change of the two values; positive is worse (for a metric without direction: larger).
    pub change: Option<f64>,
    /// What a memory figure can reveal, and what it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The distribution of a per-request latency over all repeats that count, on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Name of the scenario.
    pub scenario: String,
    /// `ttft` or `tpot`.
    pub latency: String,
    /// 101 quantiles of the accepted run, 0 % to 100 %, in seconds.
    pub baseline: Vec<f64>,
    /// 101 quantiles of the run under judgement.
    pub candidate: Vec<f64>,
    /// How much slower the candidate is at each of a few quantiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shift: Vec<ShiftPoint>,
}

/// Throughput against latency over the load points of both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadCurve {
    /// `concurrency` or `request_rate`.
    pub load: String,
    /// The accepted run's curve.
    pub baseline: CurveSide,
    /// The curve of the run under judgement.
    pub candidate: CurveSide,
}

/// The curve of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurveSide {
    /// By rising load.
    pub points: Vec<CurvePoint>,
    /// Load of the knee; absent where the curve has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<f64>,
    /// The highest load inside the SLO, if a search found one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
}

/// One load point of a curve: medians over its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// Requests in flight or per second.
    pub load: f64,
    /// Output tokens per second.
    pub throughput: f64,
    /// TTFT P95 in seconds.
    pub ttft: Option<f64>,
    /// TPOT P95 in seconds.
    pub tpot: Option<f64>,
}

/// The change of a latency over a group of requests: the same requests in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stratum {
    /// Name of the scenario.
    pub scenario: String,
    /// `ttft` or `tpot`.
    pub latency: String,
    /// `prompt tokens`, `output tokens` or `order of arrival`.
    pub by: String,
    /// Smallest value of the group.
    pub from: u64,
    /// Largest value of the group.
    pub to: u64,
    /// Number of requests.
    pub requests: u32,
    /// Median relative change; positive is slower.
    pub change: f64,
}

/// A difference between the two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What differs: `GPU`, `workload digest`, `image`.
    pub what: String,
    /// The value of the accepted run; absent where it is unknown.
    pub baseline: Option<String>,
    /// The value of the run under judgement.
    pub candidate: Option<String>,
}

/// A warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// A stable name in kebab-case.
    code: String,
    /// The sentence.
    pub message: String,
}

impl Warning {
    /// A warning of this version.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code: code.name().to_owned(),
            message: message.into(),
        }
    }

    /// Its code as written. A file of a newer version may contain a code that this version does not know.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether it has that code.
    pub fn is(&self, code: Code) -> bool {
        self.code == code.name()
    }
}

/// The measurement that would decide an undecided verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// What to do.
    pub action: NextAction,
    /// Number of further repeats of the candidate, or of alternating pairs; 0 for `none`.
    pub amount: u32,
}

/// The kind of evidence that would help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextAction {
    /// Decided, or no measurement helps.
    #[default]
    None,
    /// More repeats of the candidate.
    MoreRepeats,
    /// Baseline and candidate measured alternately on one machine.
    Ab,
}

/// The identity of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The file it was read from, as given.
    pub file: String,
    /// Name of the gate in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the work tree had uncommitted changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// Of a baseline: the number of commits between it and the tree under judgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits_since: Option<u64>,
    /// Model name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Server kind, image and version in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// GPU, or CPU without a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Workload in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Repeats over all scenarios, void ones included.
    pub repeats: u32,
    /// Number of server starts, if repeats of a scenario share a server: then they are measurements on fewer starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<u32>,
    /// Requests that failed or were truncated, over all repeats that count.
    pub failed_requests: u64,
    /// All requests of the repeats that count.
    pub requests: u64,
}

impl Identity {
    /// `docker`, `process`, `url` or `simulator`, if the run records it: the first word of `server`.
    pub fn server_kind(&self) -> Option<&str> {
        self.server.as_deref()?.split(" · ").next()
    }

    /// Whether both identify the same run; the file name and later commits do not matter.
    pub fn is_same_run(&self, other: &Self) -> bool {
        let bare = |identity: &Self| Self {
            file: String::new(),
            name: None,
            commits_since: None,
            ..identity.clone()
        };
        bare(self) == bare(other)
    }
}

/// How it was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Largest accepted probability of a false block, over all rules.
    pub alpha: f64,
    /// Largest accepted probability of a false pass, per rule.
    pub beta: f64,
    /// Number of blocking rules × scenarios among which `alpha` is shared.
    pub family: u32,
    /// Accepted sessions from which the noise was learnt; 0 without a ledger.
    pub ledger_sessions: u32,
    /// The ledger's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// Alternating pairs measured.
    #[serde(default)]
    pub pairs: u32,
    /// The interim looks, this one last; empty for a single look at all evidence.
    #[serde(default)]
    pub looks: Vec<LookTaken>,
    /// What an undecided rule does.
    pub on_inconclusive: OnInconclusive,
    /// The commit whose baseline, ledger and thresholds judged, if not those of the work tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_ref: Option<String>,
    /// The full object name of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_commit: Option<String>,
}

/// An interim look at the evidence of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LookTaken {
    /// Repeats of the candidate at that time.
    pub repeats: u32,
    /// Alternating pairs at that time.
    pub pairs: u32,
    /// Share that it could spend of the `alpha` with which this evidence began.
    pub alpha: f64,
    /// The same of `beta`.
    pub beta: f64,
    /// Its verdict.
    pub verdict: Verdict,
}
