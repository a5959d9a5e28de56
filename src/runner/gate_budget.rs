//! The budget of one run of a gate: before each measurement, whether what the next interim look needs fits into it.

use super::evidence::{EvidenceFolder, price};
use crate::config::{Fresh, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::forecast::{BudgetMeter, Missing, MissingEvidence, UnitPrice};
use crate::report::comparison::{Comparison, Next, NextAction};
use crate::report::price::{Budget, BudgetEnd, Price};
use crate::trial::{Evidence, Protocol, Step};

/// A budget, and the price of a server start before this run measures one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateBudget {
    pub(crate) budget: Budget,
    /// By the ledger; `None` if it has no price.
    pub(crate) of_ledger: Option<UnitPrice>,
}

/// The budget during a run.
pub(super) struct SpentSoFar<'a> {
    given: GateBudget,
    evidence: &'a EvidenceFolder,
    /// What earlier runs of the commit cost.
    before: Price,
}

impl<'a> SpentSoFar<'a> {
    pub(super) fn begin(given: GateBudget, evidence: &'a EvidenceFolder) -> Result<Self, Failure> {
        let before = price(evidence.measured()?.iter()).unwrap_or_default();
        Ok(Self {
            given,
            evidence,
            before,
        })
    }

    /// The end of the budget, if that evidence costs more than what is left of it.
    pub(super) fn ends_before(
        &self,
        missing: &MissingEvidence,
    ) -> Result<Option<BudgetEnd>, Failure> {
        let measured = self.evidence.measured()?;
        let spent = price(measured.iter()).unwrap_or_default();
        let meter = BudgetMeter {
            budget: self.given.budget,
            spent: spent.since(self.before),
            unit: UnitPrice::of(measured.iter()).or(self.given.of_ledger),
        };
        Ok(meter.ends_before(missing))
    }
}

/// The failure of a gate whose budget ended before its first interim look.
pub(super) fn nothing_judged(end: &BudgetEnd) -> Failure {
    Failure::message(
        ExitStatus::Inconclusive,
        format!("nothing was judged: {end}"),
    )
    .hint("raise the budget (`--budget`, `noise.budget` in thresholds.yaml); a run on the same commit adds to the evidence so far")
}

/// What the evidence lacks before a step that measures; `last` is the last look.
pub(super) fn missing(
    plan: &Plan,
    protocol: &Protocol,
    evidence: &Evidence,
    step: &Step,
    last: Option<&Comparison>,
) -> MissingEvidence {
    let is_attached = matches!(plan.server, Some(ServerPlan::Url(_)));
    let (repeats, pairs) = (evidence.repeats(), evidence.pairs());
    let next = last.map_or(Next::default(), |last| last.next);
    let of_repeats = |until: u32| {
        let repeats = until.saturating_sub(repeats);
        let starts = match plan.fresh {
            _ if is_attached => 0,
            Fresh::Run => repeats.min(1),
            Fresh::Repeat => repeats,
        };
        Missing { starts, repeats }
    };
    // The first start of the candidate decides nothing alone.
    let lone = u32::from(repeats == 0);
    let of_pairs = |until: u32| {
        let repeats = lone + 2 * until.saturating_sub(pairs);
        let starts = if is_attached { 0 } else { repeats };
        Missing { starts, repeats }
    };
    if protocol.has_base() {
        let wanted = match step {
            Step::Pairs { pairs } => *pairs,
            Step::Measure { .. } | Step::Tell(_) | Step::Keep(_) | Step::Done(_) => pairs + 1,
        };
        MissingEvidence {
            next: of_pairs(wanted),
            expected: (next.action == NextAction::Ab).then(|| of_pairs(pairs + next.amount)),
            most: of_pairs(protocol.most()),
        }
    } else {
        let wanted = match step {
            Step::Measure { repeats } => *repeats,
            Step::Pairs { .. } | Step::Tell(_) | Step::Keep(_) | Step::Done(_) => repeats + 1,
        };
        let more = next.action == NextAction::MoreRepeats;
        MissingEvidence {
            next: of_repeats(wanted),
            expected: more.then(|| of_repeats(repeats + next.amount)),
            most: of_repeats(protocol.most()),
        }
    }
}
