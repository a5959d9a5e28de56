//! The next measurement of an undecided comparison.

use super::judged::Judged;
use super::look::{LookAt, ThisLook};
use super::outcome::weight;
use super::rule::Policy;
use crate::report::comparison::{Next, NextAction, Verdict};
use crate::stats::{ErrorLevels, MOST_PAIRS, PairSchedule, Projection};

/// What the comparison contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) repeats: u32,
    pub(super) pairs: u32,
    /// Rules × scenarios that share α.
    pub(super) family: u32,
}

/// The measurement that decides the open rules: the fewest repeats that are enough, or alternating pairs where repeats cannot decide.
pub(super) fn next(
    verdict: Verdict,
    judged: &[Judged],
    this_look: ThisLook<'_>,
    policy: &Policy,
    measured: Measured,
) -> Next {
    if verdict != Verdict::Inconclusive {
        return Next::default();
    }
    let analysed = this_look.analysis.is_some();
    // A row that is too fast to be plausible waits for a reason, which no measurement gives.
    let open: Vec<&Judged> = judged
        .iter()
        .filter(|judged| weight(&judged.judgement, analysed) == Verdict::Inconclusive)
        .filter(|judged| judged.judgement.if_believed.is_none())
        .collect();
    if open.is_empty() {
        return Next::default();
    }
    let is_spent = matches!(this_look.at, LookAt::Spent);
    let Measured { repeats, pairs, .. } = measured;
    if pairs == 0 && !is_spent {
        let most = policy.noise.max_repeats;
        let needed = open
            .iter()
            .map(|judged| repeats_needed(judged, repeats, most));
        let needed: Option<Vec<u32>> = needed.collect();
        if let Some(needed) = needed.and_then(|needed| needed.into_iter().max()) {
            return Next {
                action: NextAction::MoreRepeats,
                amount: needed.saturating_sub(repeats).max(1),
            };
        }
    }
    let most = policy.noise.max_pairs;
    if pairs >= most || (is_spent && pairs > 0) {
        return Next::default();
    }
    let until = match this_look.at {
        LookAt::Pairs(_, schedule) => enough(&open, schedule, pairs, most),
        LookAt::Beyond(_) => most,
        LookAt::All | LookAt::Repeats(_) | LookAt::Spent => {
            let rule = this_look.levels.shared_among(measured.family);
            enough(&open, &PairSchedule::new(rule, 1, MOST_PAIRS), pairs, most)
        }
    };
    Next {
        action: NextAction::Ab,
        amount: until - pairs,
    }
}

/// The fewest pairs that decide all open rules if their estimates stay the same; else all that are allowed.
fn enough(open: &[&Judged], schedule: &PairSchedule, taken: u32, most: u32) -> u32 {
    let decide = |pairs: u32| {
        let levels = schedule.at(pairs);
        open.iter()
            .all(|judged| pairs_decide(judged, pairs, levels))
    };
    (taken + 1..=most)
        .find(|pairs| decide(*pairs))
        .unwrap_or(most)
}

/// Repeats of the candidate that decide the rule if the estimate stays the same.
fn repeats_needed(judged: &Judged, taken: u32, most: u32) -> Option<u32> {
    let Some(estimates) = judged.estimates else {
        // A budget has no baseline: only more repeats of the candidate help.
        return (taken < most).then_some(most);
    };
    // More measurements on the one server of a side show nothing of the noise between starts.
    let is_one_start = judged.judgement.candidate.starts == Some(1);
    if estimates.look.today.is_doubted() || is_one_start {
        return None;
    }
    let stored = judged.judgement.baseline.repeats;
    let later = Projection::of(&estimates.look, estimates.noise, &estimates.shown.estimate);
    let levels = judged.terms.levels;
    (taken + 1..=most).find(|repeats| later.repeats_decide(stored, *repeats, levels))
}

fn pairs_decide(judged: &Judged, pairs: u32, levels: ErrorLevels) -> bool {
    judged.estimates.is_some_and(|estimates| {
        let later = Projection::of(&estimates.look, estimates.noise, &estimates.todays());
        later.pairs_decide(pairs, levels)
    })
}
