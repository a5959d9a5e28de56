//! What would settle an undecided verdict.

use super::judge::Judged;
use super::outcome::weight;
use super::rule::Policy;
use crate::report::comparison::{Next, NextAction, Verdict};
use crate::stats::{InterimLook, Outcome, PAIR_LOOKS, decide};

/// What would settle the open rules: the fewest repeats that would, or alternating pairs where they cannot.
pub(super) fn next(
    verdict: Verdict,
    judged: &[Judged],
    analysed: bool,
    policy: &Policy,
    repeats: u32,
    pairs: u32,
) -> Next {
    if verdict != Verdict::Inconclusive {
        return Next::default();
    }
    let open = || {
        // What is too good to be true waits for a reason, and no measurement gives one.
        judged.iter().filter(|judged| {
            weight(&judged.judgement, analysed) == Verdict::Inconclusive
                && judged.judgement.if_believed.is_none()
        })
    };
    if open().next().is_none() {
        return Next::default();
    }
    if pairs == 0 {
        let most = policy.noise.max_repeats;
        let needed: Option<Vec<u32>> = open()
            .map(|judged| repeats_needed(judged, repeats, most))
            .collect();
        if let Some(needed) = needed.and_then(|needed| needed.into_iter().max()) {
            return Next {
                action: NextAction::MoreRepeats,
                amount: needed.saturating_sub(repeats).max(1),
            };
        }
    }
    let looks = || {
        PAIR_LOOKS
            .iter()
            .map(|look| look.at)
            .filter(|at| *at > pairs)
    };
    let enough = looks().find(|at| open().all(|judged| pairs_settle(judged, *at)));
    let Some(until) = enough.or_else(|| looks().next()) else {
        // Every look is spent; a re-run adds three pairs and blocks where they leave no doubt.
        return Next {
            action: NextAction::Ab,
            amount: PAIR_LOOKS[0].at,
        };
    };
    Next {
        action: NextAction::Ab,
        amount: until - pairs,
    }
}

/// Repeats of the candidate at which the rule would be decided if the estimate stayed where it is.
fn repeats_needed(judged: &Judged, taken: u32, most: u32) -> Option<u32> {
    let Some(grounds) = judged.grounds else {
        // A budget: the candidate stands alone, and nothing but more of it says more.
        return (taken < most).then_some(most);
    };
    let estimate = grounds.decision.estimate;
    if estimate.noisier {
        return None;
    }
    let baseline = judged.judgement.baseline.repeats;
    (taken + 1..=most).find(|repeats| {
        let then = estimate.with_repeats(baseline, *repeats, &grounds.noise);
        decide(&then, grounds.zone, judged.care.levels) != Outcome::Undecided
    })
}

fn pairs_settle(judged: &Judged, pairs: u32) -> bool {
    let look = PAIR_LOOKS.iter().find(|look| look.at == pairs).copied();
    judged.grounds.is_some_and(|grounds| {
        let estimate = grounds
            .assessment
            .paired
            .unwrap_or(grounds.decision.estimate);
        let levels = judged
            .care
            .levels
            .at(look.unwrap_or(InterimLook::only(pairs)));
        decide(
            &estimate.with_pairs(pairs, &grounds.noise),
            grounds.zone,
            levels,
        ) != Outcome::Undecided
    })
}
