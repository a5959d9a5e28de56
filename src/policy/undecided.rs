//! Why a rule is undecided, in words.

use super::judged::{Estimates, LookTerms, SHOWN_CONFIDENCE, ratio};
use super::sentence::percent;
use crate::metric::Metric;
use crate::stats::{CLEAR_BLOCK, CLEAR_PASS, Outcome};

/// The reason of an undecided rule; `interval` is the shown one.
pub(super) fn why_undecided(
    metric: Metric,
    estimates: &Estimates,
    limit: f64,
    terms: LookTerms,
    interval: &str,
) -> String {
    let today = &estimates.look.today;
    let words = percent(limit);
    if today.is_doubted() && estimates.look.stored.is_some() {
        return format!(
            "today's repeats are noisier than the ledger ({} instead of {}), so the stored baseline does not decide; {interval} (limit {words})",
            percent(today.variance.sqrt()),
            percent(estimates.noise.repeat)
        );
    }
    let bound = of_unknown_host(estimates)
        .or_else(|| bound_is_beyond(metric, estimates, terms))
        .or_else(|| only_clear(estimates, limit))
        .unwrap_or_default();
    format!("undecided: {interval} (limit {words}){bound}")
}

/// A first pair that would pass beside the stored baseline of a machine that the ledger does not know.
fn of_unknown_host(estimates: &Estimates) -> Option<String> {
    let would_pass = estimates
        .look
        .all
        .is_some_and(|all| all.estimate.outcome == Outcome::Pass && all.agrees && !all.counts);
    let is_doubted = estimates.look.today.is_doubted();
    (would_pass && !is_doubted && !estimates.is_host_known).then(|| {
        "; one pair is not enough beside a stored baseline of a machine that the ledger does not know"
            .to_owned()
    })
}

/// While the noise of today rests on few starts, only a clear change is decided.
fn only_clear(estimates: &Estimates, limit: f64) -> Option<String> {
    let test = estimates.look.test;
    let estimate = estimates.shown.estimate;
    let is_bounded = estimate.lower > test.zone.low || estimate.upper < test.zone.high;
    (test.is_clear_only && is_bounded && estimate.outcome == Outcome::Undecided).then(|| {
        format!(
            "; after so few starts only a change below {} or above {} is decided",
            percent(CLEAR_PASS * limit),
            percent(CLEAR_BLOCK * limit)
        )
    })
}

/// Why a rule is undecided although its 95 % interval leaves out the edge of the zone: the bound of the look is further out.
/// `None` where that bound leaves the edge out too.
fn bound_is_beyond(metric: Metric, estimates: &Estimates, terms: LookTerms) -> Option<String> {
    let (estimate, zone, now) = (estimates.shown.estimate, estimates.zone(), terms.now);
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let looks_worse = estimate.delta >= zone.limit;
    let (seems_decided, is_decided, edge, side, level) = if looks_worse {
        (
            low > zone.low,
            estimate.lower > zone.low,
            zone.low,
            "less",
            now.alpha,
        )
    } else {
        (
            high < zone.high,
            estimate.upper < zone.high,
            zone.high,
            "more",
            now.beta,
        )
    };
    // A look without error probability cannot decide, which its own sentence explains.
    (seems_decided && !is_decided && level > 0.0).then(|| {
        format!(
            "; with the error probability of this look ({}), a change of {} or {side} is not ruled out",
            percent(level),
            percent(ratio(metric, edge))
        )
    })
}
