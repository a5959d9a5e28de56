//! A judgement: one rule in one scenario, with its numbers and its answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Action, Place};
use crate::metric::{Better, Metric, Unit};
pub use crate::stats::Basis;

/// The status of one rule in one scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A regression at the high edge of the indifference zone is ruled out.
    Pass,
    /// Better, with the whole interval on the better side of zero.
    Improved,
    /// Worse than the limit.
    Regressed,
    /// The interval does not decide.
    Inconclusive,
    /// One side has no usable value.
    Missing,
}

/// One rule in one scenario: the numbers and the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// Name of the scenario.
    pub scenario: String,
    /// The metric that the rule watches.
    pub metric: Metric,
    /// Unit of all values here.
    pub unit: Unit,
    /// Which way the metric gets better.
    pub better: Better,
    /// The rule.
    pub rule: JudgedRule,
    /// The status.
    pub status: Status,
    /// The status that applies once the author gives a reason for an implausible speed-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_believed: Option<Status>,
    /// The accepted run's side.
    pub baseline: Side,
    /// The side under judgement.
    pub candidate: Side,
    /// The stored baseline's side, if there are alternating repeats too; `baseline` is then measured today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Side>,
    /// The evidence behind the change; absent without a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The relative change, where both sides have values.
    pub change: Option<Change>,
    /// The change against the stored baseline alone, if there are alternating repeats too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_change: Option<Change>,
    /// The noise behind the interval.
    pub noise: Option<Noise>,
    /// The smallest detectable regression: it is blocked 80 % of the time. A ratio.
    pub smallest_detectable: Option<f64>,
    /// A regression larger than this ratio is ruled out.
    pub ruled_out_above: Option<f64>,
    /// Whether the estimate is at its limit or beyond; decides what an undecided rule does under `on_inconclusive: auto`.
    /// `true` if absent.
    #[serde(default = "at_its_limit")]
    pub looks_worse: bool,
    /// The reason for the status, in a sentence.
    pub reason: String,
}

fn at_its_limit() -> bool {
    true
}

/// The rule in the comparison file. Limits are ratios or base units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JudgedRule {
    /// Largest relative change for the worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regression: Option<f64>,
    /// Largest allowed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Smallest allowed value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// What happens when a limit is exceeded.
    pub action: Action,
    /// Whether the author is asked for an explanation.
    #[serde(default)]
    pub explain: bool,
    /// File and line of the rule; absent for a standard rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Judgement {
    /// The alternating pairs (baseline, candidate), void ones included.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&RepeatValue, &RepeatValue)> {
        let halves = self.candidate.values.iter();
        let halves = halves.skip(self.candidate.beside as usize);
        self.baseline.values.iter().zip(halves)
    }

    /// Whether it judges the same rule at the same load. The place may differ: a file may get a comment between two looks.
    pub(crate) fn is_of_rule(&self, other: &Self) -> bool {
        let without_place = |rule: &JudgedRule| JudgedRule {
            place: None,
            ..rule.clone()
        };
        (&self.scenario, self.metric) == (&other.scenario, other.metric)
            && without_place(&self.rule) == without_place(&other.rule)
    }
}

/// One side of a judgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The location estimate over the repeats that count, in the metric's unit.
    pub value: Option<f64>,
    /// Number of repeats that count.
    pub repeats: u32,
    /// Number of server starts of those repeats, if several share a server: then they are measurements on fewer starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<u32>,
    /// Number of the first values that were measured beside the alternating pairs; the others form pairs with those of the baseline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beside: u32,
    /// The repeats' values in run order, void ones included.
    #[serde(default)]
    pub values: Vec<RepeatValue>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_measured: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde requires this signature"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The value of one repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepeatValue {
    /// The repeat's id in its result file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// In the metric's unit; absent where it was not measured.
    pub value: Option<f64>,
    /// Why the repeat does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
    /// Its robust weight, if it is far from the others and counts less than in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// A relative change with its interval; positive is worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The estimate, 0.071 for 7.1 % worse.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided confidence of the interval.
    pub confidence: f64,
}

/// The noise behind an interval, as standard deviations relative to the value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// Between repeats of one session.
    pub repeat: f64,
    /// Between hosts or days; 0 where alternating repeats cancel it.
    pub host: f64,
    /// The part of `repeat` that comes from the finite number of requests; absent where the metric has no samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<f64>,
    /// Source of `repeat`: `ledger`; `assumed` without a ledger; `today` if today's repeats are noisier than either.
    pub source: String,
}
