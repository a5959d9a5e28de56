//! What would settle an undecided verdict.

use super::comparison::{Next, NextAction, Verdict};
use super::judge::{Judged, Levels};
use super::rule::Policy;
use super::verdict::weight;
use crate::record::Run;
use crate::stats::{Answer, decide};

/// Alternating pairs at the first look of an A/B comparison.
const FIRST_PAIRS: u32 = 3;

/// What would settle the open rules: the fewest repeats that would, or an A/B where the host noise alone is too large.
pub(super) fn next(verdict: Verdict, judged: &[Judged], policy: &Policy, candidate: &Run) -> Next {
    if verdict != Verdict::Inconclusive {
        return Next::default();
    }
    let open = judged
        .iter()
        .filter(|judged| weight(judged) == Verdict::Inconclusive);
    let taken = candidate
        .scenarios
        .iter()
        .map(|scenario| scenario.counting().count())
        .min()
        .unwrap_or(0);
    let taken = u32::try_from(taken).unwrap_or(u32::MAX);
    let needed: Option<Vec<u32>> = open
        .map(|judged| repeats_needed(judged, taken, policy.noise.max_repeats))
        .collect();
    match needed.and_then(|needed| needed.into_iter().max()) {
        Some(needed) => Next {
            action: NextAction::MoreRepeats,
            amount: needed.saturating_sub(taken).max(1),
        },
        None => Next {
            action: NextAction::Ab,
            amount: FIRST_PAIRS,
        },
    }
}

/// Repeats of the candidate at which the rule would be decided if the estimate stayed where it is.
fn repeats_needed(judged: &Judged, taken: u32, most: u32) -> Option<u32> {
    let Some((estimate, zone)) = judged.evidence else {
        // A budget: the candidate stands alone, and nothing but more of it says more.
        return (taken < most).then_some(most);
    };
    let Levels { alpha, beta } = judged.levels;
    let baseline = judged.judgement.baseline.repeats;
    (taken + 1..=most).find(|repeats| {
        decide(
            &estimate.with_repeats(baseline, *repeats),
            zone,
            alpha,
            beta,
        ) != Answer::Open
    })
}
