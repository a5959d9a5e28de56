//! The next measurement of an undecided comparison.

use super::judged::Judged;
use super::look::ThisLook;
use super::outcome::weight;
use super::rule::Policy;
use crate::report::comparison::{Next, NextAction, Verdict};
use crate::stats::{InterimLook, Outcome, PAIR_LOOKS, decide};

/// The measurement that decides the open rules: the fewest repeats that are enough, or alternating pairs where repeats cannot decide.
pub(super) fn next(
    verdict: Verdict,
    judged: &[Judged],
    this_look: ThisLook<'_>,
    policy: &Policy,
    repeats: u32,
    pairs: u32,
) -> Next {
    if verdict != Verdict::Inconclusive {
        return Next::default();
    }
    let analysed = this_look.analysis.is_some();
    let open = || {
        // A row that is too fast to be plausible waits for a reason, which no measurement gives.
        judged.iter().filter(|judged| {
            weight(&judged.judgement, analysed) == Verdict::Inconclusive
                && judged.judgement.if_believed.is_none()
        })
    };
    if open().next().is_none() {
        return Next::default();
    }
    if this_look.look.is_spent() {
        // No repeat of the candidate can decide any more. Pairs can where none was judged, or where the anytime-valid test is left.
        let can_pairs_decide = pairs == 0 || this_look.anytime;
        return if can_pairs_decide {
            Next {
                action: NextAction::Ab,
                amount: PAIR_LOOKS[0].at,
            }
        } else {
            Next::default()
        };
    }
    if pairs == 0 {
        let most = policy.noise.max_repeats;
        let needed = open().map(|judged| repeats_needed(judged, repeats, most));
        let needed: Option<Vec<u32>> = needed.collect();
        if let Some(needed) = needed.and_then(|needed| needed.into_iter().max()) {
            return Next {
                action: NextAction::MoreRepeats,
                amount: needed.saturating_sub(repeats).max(1),
            };
        }
    }
    let looks = || {
        let looks = PAIR_LOOKS.iter().map(|look| look.at);
        looks.filter(|at| *at > pairs)
    };
    let enough = looks().find(|at| open().all(|judged| pairs_settle(judged, *at)));
    let until = enough.or_else(|| looks().next());
    Next {
        action: NextAction::Ab,
        // When all interim looks are spent, a re-run adds three pairs and blocks where they are clear.
        amount: until.map_or(PAIR_LOOKS[0].at, |until| until - pairs),
    }
}

/// Repeats of the candidate that decide the rule if the estimate stays the same.
fn repeats_needed(judged: &Judged, taken: u32, most: u32) -> Option<u32> {
    let Some(estimates) = judged.estimates else {
        // A budget has no baseline: only more repeats of the candidate help.
        return (taken < most).then_some(most);
    };
    let estimate = estimates.decision.estimate;
    if estimate.noisier {
        return None;
    }
    let baseline = judged.judgement.baseline.repeats;
    (taken + 1..=most).find(|repeats| {
        let then = estimate.with_repeats(baseline, *repeats, &estimates.noise);
        decide(&then, estimates.zone, judged.terms.levels) != Outcome::Undecided
    })
}

fn pairs_settle(judged: &Judged, pairs: u32) -> bool {
    let mut looks = PAIR_LOOKS.into_iter();
    let look = looks.find(|look| look.at == pairs);
    let levels = judged
        .terms
        .levels
        .at(look.unwrap_or(InterimLook::only(pairs)));
    judged.estimates.is_some_and(|estimates| {
        let paired = estimates.assessment.paired;
        let estimate = paired.unwrap_or(estimates.decision.estimate);
        let then = estimate.with_pairs(pairs, &estimates.noise);
        decide(&then, estimates.zone, levels) != Outcome::Undecided
    })
}
