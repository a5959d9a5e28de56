//! The one place that converts outcomes to published values: the status of a rule, the verdict of a comparison, its exit code,
//! and the effect of a rule on the merge.

use serde::Serialize;

use super::rule::{Action, OnInconclusive};
use crate::code::Code;
use crate::compare::Comparability;
use crate::exit::ExitStatus;
use crate::report::comparison::{Comparison, Judgement, Status, Verdict};
use crate::stats::Outcome;

/// The status of a rule; without an outcome, one side has no usable value. `is_better`: the whole interval is on the better side.
pub(super) fn status(outcome: Option<Outcome>, is_better: bool) -> Status {
    match outcome {
        Some(Outcome::Pass) if is_better => Status::Improved,
        Some(Outcome::Pass) => Status::Pass,
        Some(Outcome::Fail) => Status::Regressed,
        Some(Outcome::Undecided) => Status::Inconclusive,
        None => Status::Missing,
    }
}

/// The verdict that follows from the rows of a finished comparison, and its exit code; `None` for a first run, which
/// compares nothing.
pub(super) fn decided(comparison: &Comparison) -> Option<(Verdict, ExitStatus)> {
    let analysed = comparison.analysis.is_some();
    let is_accepted = comparison.accepted.is_some();
    let rows = || comparison.judgements.iter();
    let weights = rows().map(|row| match row.status {
        Status::Regressed if is_accepted => Verdict::Warn,
        Status::Regressed
        | Status::Pass
        | Status::Improved
        | Status::Inconclusive
        | Status::Missing => weight(row, analysed),
    });
    let verdict = if comparison.mismatches.is_empty() {
        worst_of(weights)
    } else {
        Verdict::Incomparable
    };
    let on_inconclusive = comparison.decision.on_inconclusive;
    let exit = exit_status(verdict, rows(), analysed, on_inconclusive);
    let is_first = comparison
        .warnings
        .iter()
        .any(|warning| warning.is(Code::FirstRun));
    (!is_first).then_some((verdict, exit))
}

/// The verdict that one judgement leads to; `analysed`: the author gave an analysis report.
pub(super) fn weight(judgement: &Judgement, analysed: bool) -> Verdict {
    let Judgement { status, rule, .. } = judgement;
    if judgement.if_believed.is_some() {
        return Verdict::Inconclusive;
    }
    match (status, rule.action) {
        (Status::Regressed, Action::Report) if analysed => Verdict::Warn,
        (Status::Pass | Status::Improved, _) => Verdict::Pass,
        (Status::Regressed, Action::Block) => Verdict::Block,
        (Status::Regressed, Action::Report) => Verdict::Report,
        (Status::Missing, Action::Block | Action::Report) => Verdict::Incomparable,
        (Status::Inconclusive, Action::Block | Action::Report) => Verdict::Inconclusive,
        // A `warn` rule never blocks a merge, so it cannot make it undecided.
        (Status::Inconclusive, Action::Warn) if !judgement.looks_worse => Verdict::Pass,
        (Status::Regressed | Status::Missing | Status::Inconclusive, Action::Warn) => Verdict::Warn,
    }
}

pub(super) fn verdict<'a>(
    comparability: &Comparability,
    rows: impl Iterator<Item = &'a Judgement>,
    analysed: bool,
) -> Verdict {
    if comparability.mismatches.is_empty() {
        worst(rows, analysed)
    } else {
        Verdict::Incomparable
    }
}

/// Incomparable where no rule was judged.
pub(super) fn worst<'a>(rows: impl Iterator<Item = &'a Judgement>, analysed: bool) -> Verdict {
    worst_of(rows.map(|row| weight(row, analysed)))
}

pub(super) fn worst_of(weights: impl Iterator<Item = Verdict>) -> Verdict {
    weights.max().unwrap_or(Verdict::Incomparable)
}

pub(super) fn exit_status<'a>(
    verdict: Verdict,
    rows: impl Iterator<Item = &'a Judgement>,
    analysed: bool,
    on_inconclusive: OnInconclusive,
) -> ExitStatus {
    match verdict {
        Verdict::Pass | Verdict::Warn => ExitStatus::Pass,
        Verdict::Block | Verdict::Report => ExitStatus::Blocked,
        Verdict::Incomparable => ExitStatus::NotComparable,
        Verdict::Inconclusive => {
            let is_open = |row: &&Judgement| weight(row, analysed) == Verdict::Inconclusive;
            let open: Vec<&Judgement> = rows.filter(is_open).collect();
            let fails = match on_inconclusive {
                _ if open.iter().any(|row| row.if_believed.is_some()) => true,
                OnInconclusive::Pass => false,
                OnInconclusive::Fail => true,
                OnInconclusive::Auto => open.iter().any(|row| row.looks_worse),
            };
            if fails {
                ExitStatus::Inconclusive
            } else {
                ExitStatus::Pass
            }
        }
    }
}

/// The outcome of comparing a commit of a search with the good end; `None` where the two are not comparable. `on_inconclusive`
/// applies to gates only: a search skips an undecided commit.
pub fn bisect_outcome(comparison: &Comparison) -> Option<Outcome> {
    match comparison.verdict {
        Verdict::Pass | Verdict::Warn => Some(Outcome::Pass),
        Verdict::Block | Verdict::Report => Some(Outcome::Fail),
        // A commit that is much faster than the good end is good, with or without a reason.
        Verdict::Inconclusive if only_a_reason_is_missing(comparison) => Some(Outcome::Pass),
        Verdict::Inconclusive => Some(Outcome::Undecided),
        Verdict::Incomparable => None,
    }
}

/// The effect of a judgement on the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeEffect {
    /// None: the rule holds.
    Holds,
    /// The rule is undecided, and the merge passes.
    Open,
    /// The limit is exceeded, and the merge passes with a warning.
    Warns,
    /// The merge is blocked.
    Stops,
}

/// The effect of one judgement of this comparison.
pub fn effect(row: &Judgement, comparison: &Comparison) -> MergeEffect {
    let found = match (weight(row, comparison.analysis.is_some()), row.status) {
        (Verdict::Block | Verdict::Report | Verdict::Incomparable, _) => MergeEffect::Stops,
        (Verdict::Inconclusive, _) if row.if_believed.is_some() => MergeEffect::Stops,
        (Verdict::Inconclusive, _) => match comparison.decision.on_inconclusive {
            OnInconclusive::Fail => MergeEffect::Stops,
            OnInconclusive::Auto if row.looks_worse => MergeEffect::Stops,
            OnInconclusive::Auto | OnInconclusive::Pass => MergeEffect::Open,
        },
        (Verdict::Pass | Verdict::Warn, Status::Inconclusive | Status::Missing) => {
            MergeEffect::Open
        }
        (Verdict::Pass | Verdict::Warn, Status::Regressed) => MergeEffect::Warns,
        (Verdict::Pass | Verdict::Warn, Status::Pass | Status::Improved) => MergeEffect::Holds,
    };
    // Numbers of two runs that are not comparable decide nothing.
    if !comparison.mismatches.is_empty() {
        return MergeEffect::Open;
    }
    // A person with write permission has accepted it.
    if row.status == Status::Regressed && comparison.accepted.is_some() {
        return MergeEffect::Warns;
    }
    // The exit code lets the merge pass.
    if found == MergeEffect::Stops && comparison.exit_code == 0 {
        MergeEffect::Warns
    } else {
        found
    }
}

/// Whether only a reason is missing, which more measurements cannot give.
pub fn only_a_reason_is_missing(comparison: &Comparison) -> bool {
    let analysed = comparison.analysis.is_some();
    let mut open = comparison
        .judgements
        .iter()
        .filter(|row| weight(row, analysed) == Verdict::Inconclusive)
        .peekable();
    comparison.verdict == Verdict::Inconclusive
        && open.peek().is_some()
        && open.all(|row| row.if_believed.is_some())
}
