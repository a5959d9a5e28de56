//! All evidence about one metric in one scenario, and the outcome of a look at it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::alpha_spending::InterimLook;
use super::decision::{ErrorLevels, IndifferenceZone, Outcome, decide};
use super::estimate::{Estimate, disagree, paired, pooled, stored};
use super::noise::Noise;

/// Logs, signed so that larger is worse.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Repeats of the stored baseline; empty without a comparable one.
    pub baseline: &'a [f64],
    /// Repeats of the candidate against it.
    pub candidate: &'a [f64],
    /// Alternating repeats (baseline, candidate) on one machine.
    pub pairs: &'a [(f64, f64)],
    /// The noise from the ledger, or assumed.
    pub noise: Noise,
}

/// The estimates by kind of evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Assessment {
    /// Against the stored baseline.
    pub stored: Option<Estimate>,
    /// From alternating pairs.
    pub paired: Option<Estimate>,
    /// Both together, where they agree.
    pub pooled: Option<Estimate>,
    /// The two differ by more than their errors: the baseline is outdated, or from another host.
    pub disagree: bool,
}

/// The evidence that a change is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A stored baseline of another session.
    StoredBaseline,
    /// Repeats of baseline and candidate measured alternately on one machine.
    Pairs,
    /// Both together.
    PairsAndStoredBaseline,
}

/// The outcome of a look and the estimate it is based on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The outcome.
    pub outcome: Outcome,
    /// The evidence that it is based on.
    pub basis: Basis,
    /// The estimate of that basis.
    pub estimate: Estimate,
}

impl Evidence<'_> {
    /// All estimates that the evidence allows.
    pub fn assess(&self) -> Assessment {
        let stored = stored(self.baseline, self.candidate, &self.noise);
        let paired = paired(self.pairs, self.candidate, &self.noise);
        let both = paired.as_ref().zip(stored.as_ref());
        Assessment {
            stored,
            paired,
            pooled: both.and_then(|(paired, stored)| pooled(paired, stored)),
            disagree: both.is_some_and(|(paired, stored)| disagree(paired, stored)),
        }
    }
}

impl Assessment {
    /// The decision of a look; `None` without any estimate.
    ///
    /// With pairs, a block must hold on the pairs alone: a stored baseline from a faster host would block good changes. Where today
    /// is noisier than the ledger, the stored baseline does not decide.
    pub fn decide(
        &self,
        zone: IndifferenceZone,
        levels: ErrorLevels,
        look: InterimLook,
    ) -> Option<Decision> {
        let levels = levels.at(look);
        let on = |estimate: Estimate, basis: Basis| Decision {
            outcome: decide(&estimate, zone, levels),
            basis,
            estimate,
        };
        let Some(paired) = self.paired else {
            let decision = on(self.stored?, Basis::StoredBaseline);
            let Estimate {
                noisier, doubtful, ..
            } = decision.estimate;
            let unbelieved = noisier || (doubtful && look.comes_before_pairs());
            let outcome = if unbelieved {
                Outcome::Undecided
            } else {
                decision.outcome
            };
            return Some(Decision {
                outcome,
                ..decision
            });
        };
        let alone = on(paired, Basis::Pairs);
        if alone.outcome == Outcome::Fail {
            return Some(alone);
        }
        let together = self
            .pooled
            .map(|pooled| on(pooled, Basis::PairsAndStoredBaseline));
        Some(match together {
            Some(together) if together.outcome == Outcome::Pass => together,
            Some(_) | None => alone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::alpha_spending::PAIR_LOOKS;
    use super::super::noise::QUIET;
    use super::*;

    const LEVELS: ErrorLevels = ErrorLevels {
        alpha: 0.02,
        beta: 0.05,
    };

    fn decide(evidence: Evidence<'_>, look: InterimLook) -> Decision {
        let zone = IndifferenceZone::of_growth(0.05);
        evidence.assess().decide(zone, LEVELS, look).unwrap()
    }

    const BASELINE: [f64; 3] = [0.001, -0.004, 0.003];

    fn against_stored(candidate: &[f64]) -> Evidence<'_> {
        Evidence {
            baseline: &BASELINE,
            candidate,
            pairs: &[],
            noise: QUIET,
        }
    }

    #[test]
    fn before_pairs_the_stored_baseline_may_pass_and_never_blocks() {
        let look = InterimLook::before_pairs(3);
        assert_eq!(
            decide(against_stored(&BASELINE), look).outcome,
            Outcome::Pass
        );
        let slower = [0.30, 0.297, 0.305];
        assert_eq!(
            decide(against_stored(&slower), look).outcome,
            Outcome::Undecided
        );
        assert_eq!(
            decide(against_stored(&slower), InterimLook::only(3)).outcome,
            Outcome::Fail
        );
    }

    #[test]
    fn a_candidate_that_looks_noisier_does_not_pass_where_pairs_can_follow() {
        let spread = [-0.02, 0.0, 0.019];
        assert_eq!(
            decide(against_stored(&spread), InterimLook::only(3)).outcome,
            Outcome::Pass
        );
        assert_eq!(
            decide(against_stored(&spread), InterimLook::before_pairs(3)).outcome,
            Outcome::Undecided
        );
    }

    #[test]
    fn a_slower_host_blocks_nothing_because_a_block_must_hold_on_the_pairs_alone() {
        let pairs = [(0.061, 0.060), (0.058, 0.063), (0.062, 0.059)];
        let evidence = Evidence {
            pairs: &pairs,
            ..against_stored(&[0.060, 0.066, 0.063])
        };
        let decision = decide(evidence, PAIR_LOOKS[0]);
        assert_eq!(
            (decision.outcome, decision.basis),
            (Outcome::Pass, Basis::Pairs)
        );
        assert!(evidence.assess().disagree);
    }

    #[test]
    fn pairs_block_a_real_regression() {
        let pairs = [(0.0, 0.101), (0.004, 0.098), (-0.002, 0.103)];
        let evidence = Evidence {
            pairs: &pairs,
            ..against_stored(&[0.1, 0.104, 0.098])
        };
        let decision = decide(evidence, PAIR_LOOKS[0]);
        assert_eq!(
            (decision.outcome, decision.basis),
            (Outcome::Fail, Basis::Pairs)
        );
    }

    #[test]
    fn without_any_evidence_there_is_no_decision() {
        let nothing = Evidence {
            baseline: &[],
            candidate: &[],
            pairs: &[],
            noise: QUIET,
        };
        let zone = IndifferenceZone::of_growth(0.05);
        assert_eq!(
            nothing.assess().decide(zone, LEVELS, InterimLook::only(0)),
            None
        );
    }
}
