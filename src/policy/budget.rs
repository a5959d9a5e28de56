//! `max` and `min`: the candidate alone against a fixed budget.

use super::judged::{Answered, ratio};
use super::noise;
use super::rule::Rule;
use super::sentence::percent;
use crate::compare::{self, Missing, SideValues};
use crate::report::comparison::{Side, Status};
use crate::stats::{self, ErrorLevels, Evidence, IndifferenceZone, Outcome};

/// The candidate alone against `max` or `min`, with the noise of its repeats; `None` where the rule has neither.
pub(super) fn judge_budget(
    rule: &Rule,
    candidate: &SideValues,
    sessions: &[Vec<(f64, u32)>],
    levels: ErrorLevels,
) -> Option<Answered> {
    let bound = rule.limits.max.or(rule.limits.min)?;
    let metric = rule.metric;
    let shown = candidate.shown(metric, None);
    if let Some(answer) = zero_against(bound, rule, candidate.missing.as_ref(), &shown) {
        return Some(answer);
    }
    if let Some(missing) = &candidate.missing {
        return Some(Answered::missing(compare::of_side(
            &missing.to_string(),
            "candidate",
        )));
    }
    // The bound takes the place of the baseline. It is known exactly, so it gets as many repeats as the candidate.
    let oriented = compare::orientation(metric) * bound.ln();
    let repeats = candidate.repeats();
    let pinned: Vec<(f64, u32)> = repeats
        .iter()
        .map(|(_, start)| (oriented, *start))
        .collect();
    let step = noise::step(metric, bound);
    let values = stats::replicates(&pinned, &repeats, sessions, step, noise::assumed(step));
    let evidence = Evidence {
        stored: &values.stored,
        candidate: &values.candidate,
        pairs: &[],
        noise: values.noise,
        is_host_known: true,
        step,
        start_variance: values.start_variance,
    };
    let look = evidence.look(IndifferenceZone::BOUND, levels);
    let Some(estimate) = look
        .and_then(|look| look.shown())
        .map(|shown| shown.estimate)
    else {
        return Some(Answered::missing("the candidate has no repeat"));
    };
    let looks_worse = estimate.delta > 0.0;
    let beyond = percent(ratio(metric, estimate.delta));
    let (status, reason) = match estimate.outcome {
        Outcome::Fail => (Status::Regressed, format!("outside its budget by {beyond}")),
        Outcome::Pass => (Status::Pass, format!("inside its budget by {beyond}")),
        Outcome::Undecided => {
            let reason = "too close to its budget to decide".to_owned();
            (Status::Inconclusive, reason)
        }
    };
    Some(Answered {
        looks_worse,
        ..Answered::new(status, reason)
    })
}

/// A metric that is exactly zero (an error rate) is judged by its value, because zero has no logarithm.
fn zero_against(
    bound: f64,
    rule: &Rule,
    missing: Option<&Missing>,
    shown: &Side,
) -> Option<Answered> {
    let value = match (missing, shown.value) {
        (Some(Missing::Zero), Some(value)) => value,
        // A bound of zero has no logarithm.
        (None, Some(value)) if bound <= 0.0 => value,
        (Some(_) | None, _) => return None,
    };
    let outside = rule.limits.max.is_some_and(|max| value > max)
        || rule.limits.min.is_some_and(|min| value < min);
    Some(if outside {
        Answered::new(Status::Regressed, "outside its budget")
    } else {
        Answered::new(Status::Pass, "inside its budget")
    })
}
