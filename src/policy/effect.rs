//! What one judgement does to the merge: the same for a test report, an annotation and whoever else needs one word.

use serde::Serialize;

use super::rule::OnInconclusive;
use super::verdict::weight;
use crate::report::comparison::{Comparison, Judgement, Status, Verdict};

/// What a judgement does to the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: the rule holds.
    Holds,
    /// It passes although it is not known whether the rule holds.
    Open,
    /// Its limit is passed, and that stops nothing.
    Warns,
    /// It stops the merge.
    Stops,
}

/// The effect of one judgement of this comparison.
pub fn effect(row: &Judgement, comparison: &Comparison) -> Effect {
    let found = match (weight(row, comparison.analysis.is_some()), row.status) {
        (Verdict::Block | Verdict::Report | Verdict::Incomparable, _) => Effect::Stops,
        (Verdict::Inconclusive, _) if row.if_believed.is_some() => Effect::Stops,
        (Verdict::Inconclusive, _) => match comparison.decision.on_inconclusive {
            OnInconclusive::Fail => Effect::Stops,
            OnInconclusive::Auto if row.looks_worse => Effect::Stops,
            OnInconclusive::Auto | OnInconclusive::Pass => Effect::Open,
        },
        (Verdict::Pass | Verdict::Warn, Status::Inconclusive | Status::Missing) => Effect::Open,
        (Verdict::Pass | Verdict::Warn, Status::Regressed) => Effect::Warns,
        (Verdict::Pass | Verdict::Warn, Status::Pass | Status::Improved) => Effect::Holds,
    };
    // Numbers of two runs that may not be compared are no answer.
    if !comparison.mismatches.is_empty() {
        return Effect::Open;
    }
    // Somebody who may has taken it.
    if row.status == Status::Regressed && comparison.accepted.is_some() {
        return Effect::Warns;
    }
    // Nothing stops a merge that the whole verdict lets pass.
    if found == Effect::Stops && comparison.exit_code == 0 {
        Effect::Warns
    } else {
        found
    }
}
