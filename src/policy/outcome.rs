//! The one place that converts outcomes to published values: the status of a rule, the verdict of a comparison, its exit code,
//! and the effect of a rule on the merge.

use serde::Serialize;

use super::headline::deciding_row;
use super::rule::{Action, OnInconclusive};
use crate::code::Code;
use crate::exit::ExitStatus;
use crate::report::comparison::{Comparison, Difference, Judgement, Status, Verdict};
use crate::stats::Outcome;

/// The status of a rule. `is_better`: the whole interval is on the better side.
pub(super) fn status(outcome: Outcome, is_better: bool) -> Status {
    match outcome {
        Outcome::Pass if is_better => Status::Improved,
        Outcome::Pass => Status::Pass,
        Outcome::Fail => Status::Regressed,
        Outcome::Undecided => Status::Inconclusive,
    }
}

/// What applies to all rows of a comparison.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// The author gave an analysis report.
    pub(super) analysed: bool,
    /// A person with write permission accepted the regressions.
    pub(super) is_accepted: bool,
    /// The budget ended before the evidence decided.
    pub(super) budget_ended: bool,
    pub(super) on_inconclusive: OnInconclusive,
}

impl Terms {
    fn of(comparison: &Comparison) -> Self {
        Self {
            analysed: comparison.analysis.is_some(),
            is_accepted: comparison.accepted.is_some(),
            budget_ended: comparison.budget.is_some(),
            on_inconclusive: comparison.decision.on_inconclusive,
        }
    }

    /// Whether an undecided row blocks the merge.
    fn stops(self, row: &Judgement) -> bool {
        row.if_believed.is_some()
            || self.budget_ended
            || match self.on_inconclusive {
                OnInconclusive::Pass => false,
                OnInconclusive::Fail => true,
                OnInconclusive::Auto => row.looks_worse,
            }
    }
}

/// The verdict that follows from rows and mismatches, and its exit code.
pub(super) fn follows<'a>(
    mismatches: &[Difference],
    mut rows: impl Iterator<Item = &'a Judgement> + Clone,
    terms: Terms,
) -> (Verdict, ExitStatus) {
    let weight = |row: &Judgement| {
        if terms.is_accepted && row.status == Status::Regressed {
            Verdict::Warn
        } else {
            weight(row, terms.analysed)
        }
    };
    let verdict = if mismatches.is_empty() {
        worst(rows.clone().map(weight))
    } else {
        Verdict::Incomparable
    };
    let exit = match verdict {
        Verdict::Block | Verdict::Report => ExitStatus::Blocked,
        Verdict::Incomparable => ExitStatus::NotComparable,
        Verdict::Inconclusive if rows.any(|row| weight(row) == verdict && terms.stops(row)) => {
            ExitStatus::Inconclusive
        }
        Verdict::Pass | Verdict::Warn | Verdict::Inconclusive => ExitStatus::Pass,
    };
    (verdict, exit)
}

/// The comparison with the verdict and the exit code that follow from its rows.
#[must_use]
pub(super) fn judged_again(comparison: Comparison) -> Comparison {
    let rows = comparison.judgements.iter();
    let (verdict, exit) = follows(&comparison.mismatches, rows, Terms::of(&comparison));
    Comparison {
        verdict,
        exit_code: exit.code(),
        ..comparison
    }
}

/// The verdict that follows from the rows of a finished comparison, and its exit code; `None` for a first run, which
/// compares nothing.
pub(super) fn decided(comparison: &Comparison) -> Option<(Verdict, ExitStatus)> {
    let mut warnings = comparison.warnings.iter();
    let is_first = warnings.any(|warning| warning.is(Code::FirstRun));
    let rows = comparison.judgements.iter();
    (!is_first).then(|| follows(&comparison.mismatches, rows, Terms::of(comparison)))
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

/// The worst of the rows' verdicts; incomparable where no rule was judged.
pub(super) fn worst(weights: impl Iterator<Item = Verdict>) -> Verdict {
    weights.max().unwrap_or(Verdict::Incomparable)
}

/// The headline of a comparison that an undecided row decides.
pub(super) fn undecided_headline(comparison: &Comparison) -> Option<String> {
    if comparison.verdict != Verdict::Inconclusive {
        return None;
    }
    let at = deciding_row(comparison.verdict, &comparison.judgements.iter())?;
    let open = comparison.judgements.get(at)?;
    Some(format!("{}: {}", open.metric.label(), open.reason))
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
        (Verdict::Inconclusive, _) if Terms::of(comparison).stops(row) => MergeEffect::Stops,
        (Verdict::Inconclusive, _)
        | (Verdict::Pass | Verdict::Warn, Status::Inconclusive | Status::Missing) => {
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
