//! One rule in one scenario: numbers to an answer with its reason.

use super::comparison::{Change, JudgedRule, Judgement, Noise, Side, Status};
use super::noise_floor::prior;
use super::rule::Rule;
use super::sentence::{percent, signed_percent};
use crate::compare::{self, Missing, Pair};
use crate::metric::{Better, Metric};
use crate::record::ScenarioRun;
use crate::stats::{Answer, Estimate, Zone, decide, smallest_detectable, stored_baseline};

/// Confidence of the interval that is shown.
const SHOWN_CONFIDENCE: f64 = 0.95;

/// The error probabilities of one rule at one look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Of a false block at the low edge of the zone; already shared among the family.
    pub(super) alpha: f64,
    /// Of a false pass at the high edge.
    pub(super) beta: f64,
}

/// A judgement and what it stands on, for the advice that follows.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// The estimate and the zone of a relative rule that could be judged.
    pub(super) evidence: Option<(Estimate, Zone)>,
    /// The error probabilities that it was judged with.
    pub(super) levels: Levels,
    /// Whether `max` or `min` decided it, and not the change.
    pub(super) by_budget: bool,
    /// Whether an undecided rule looks worse than its limit.
    pub(super) looks_worse: bool,
}

/// The zone of a relative limit of this metric.
fn zone(metric: Metric, limit: f64) -> Zone {
    match metric.better() {
        Better::Higher => Zone::of_loss(limit),
        Better::Lower | Better::Neither => Zone::of_growth(limit),
    }
}

/// δ on the log scale as the ratio that people read: positive is worse, and a loss of 5 % of throughput is 5 %.
fn ratio(metric: Metric, delta: f64) -> f64 {
    match metric.better() {
        Better::Higher => -(-delta).exp_m1(),
        Better::Lower | Better::Neither => delta.exp_m1(),
    }
}

/// Judges one rule in the scenario that both runs have under that name.
pub(super) fn judge(
    rule: &Rule,
    scenario: &str,
    baseline: Option<&ScenarioRun>,
    candidate: Option<&ScenarioRun>,
    levels: Levels,
) -> Judged {
    let metric = rule.metric;
    let pair = compare::pair(metric, baseline, candidate);
    let relative = rule
        .limits
        .regression
        .map(|limit| judge_change(rule, &pair, limit, levels));
    let absolute = judge_budget(rule, candidate, levels);
    // The worse of the two answers, and of two equal ones the relative, which says more.
    let budget_is_worse = absolute.as_ref().is_some_and(|budget| {
        relative
            .as_ref()
            .is_none_or(|change| budget.rank() > change.rank())
    });
    let estimate = relative.as_ref().and_then(|change| change.evidence);
    // Where both leave it open, one that looks worse is enough to look worse.
    let looks_worse = [&relative, &absolute]
        .into_iter()
        .flatten()
        .any(|answer| answer.looks_worse);
    let answer = if budget_is_worse { absolute } else { relative };
    let answer = answer.unwrap_or_else(|| Answered::missing("the rule has no limit".to_owned()));

    let locations = estimate.map(|(estimate, _)| (estimate.baseline, estimate.candidate));
    let change = estimate.map(|(estimate, _)| {
        let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
        Change {
            value: ratio(metric, estimate.delta),
            low: ratio(metric, low),
            high: ratio(metric, high),
            confidence: SHOWN_CONFIDENCE,
        }
    });
    let judgement = Judgement {
        scenario: scenario.to_owned(),
        metric,
        unit: metric.unit(),
        better: metric.better(),
        rule: JudgedRule {
            regression: rule.limits.regression,
            max: rule.limits.max,
            min: rule.limits.min,
            action: rule.action,
            explain: rule.explain,
        },
        status: answer.status,
        baseline: pair
            .baseline
            .shown(metric, locations.map(|(baseline, _)| baseline)),
        candidate: pair
            .candidate
            .shown(metric, locations.map(|(_, candidate)| candidate)),
        change,
        noise: estimate.map(|(estimate, _)| Noise {
            repeat: estimate.repeat_noise,
            host: estimate.host_noise,
            source: "assumed".to_owned(),
        }),
        smallest_detectable: estimate.map(|(estimate, zone)| {
            ratio(metric, smallest_detectable(&estimate, zone, levels.alpha))
        }),
        ruled_out_above: estimate
            .map(|(estimate, _)| ratio(metric, estimate.upper_bound(levels.beta))),
        reason: answer.reason,
    };
    Judged {
        judgement,
        evidence: estimate,
        levels,
        by_budget: budget_is_worse,
        looks_worse,
    }
}

/// An answer to one limit.
#[derive(Clone, Debug)]
struct Answered {
    status: Status,
    reason: String,
    evidence: Option<(Estimate, Zone)>,
    looks_worse: bool,
}

impl Answered {
    fn missing(reason: String) -> Self {
        Self {
            status: Status::Missing,
            reason,
            evidence: None,
            looks_worse: false,
        }
    }

    /// How bad it is; larger is worse.
    fn rank(&self) -> u8 {
        match self.status {
            Status::Improved => 0,
            Status::Pass => 1,
            Status::Inconclusive => 2,
            Status::Regressed => 3,
            Status::Missing => 4,
        }
    }
}

fn judge_change(rule: &Rule, pair: &Pair, limit: f64, levels: Levels) -> Answered {
    for (side, values) in [("baseline", &pair.baseline), ("candidate", &pair.candidate)] {
        match &values.missing {
            // Nothing failed on either side: no change, and no logarithm of zero needed to say so.
            Some(Missing::Zero) if both_are_zero(pair) => {
                return Answered {
                    status: Status::Pass,
                    reason: "zero on both sides".to_owned(),
                    evidence: None,
                    looks_worse: false,
                };
            }
            Some(missing) => return Answered::missing(format!("{side}: {missing}")),
            None => {}
        }
    }
    let metric = rule.metric;
    let level = pair
        .baseline
        .values
        .iter()
        .find_map(|value| value.value)
        .unwrap_or(1.0);
    let Some(estimate) = stored_baseline(
        &pair.baseline.logs,
        &pair.candidate.logs,
        prior(metric, level),
    ) else {
        return Answered::missing("a side has no repeat".to_owned());
    };
    let zone = zone(metric, limit);
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let [low, high] = [low, high].map(|end| signed_percent(ratio(metric, end)));
    let interval = format!("95 % interval {low} to {high}");
    let limit = percent(limit);
    let (status, reason) = match decide(&estimate, zone, levels.alpha, levels.beta) {
        Answer::Pass if estimate.interval(SHOWN_CONFIDENCE).1 < 0.0 => (
            Status::Improved,
            format!("better, with the whole {interval} below zero"),
        ),
        Answer::Pass => {
            let ruled_out = percent(ratio(metric, estimate.upper_bound(levels.beta)).max(0.0));
            (
                Status::Pass,
                format!("a regression above {ruled_out} is ruled out (limit {limit})"),
            )
        }
        Answer::Block => (
            Status::Regressed,
            format!("worse than the limit of {limit} ({interval})"),
        ),
        Answer::Open => (
            Status::Inconclusive,
            format!("the {interval} leaves it open (limit {limit})"),
        ),
    };
    Answered {
        status,
        reason,
        evidence: Some((estimate, zone)),
        looks_worse: estimate.delta >= zone.limit,
    }
}

fn both_are_zero(pair: &Pair) -> bool {
    [&pair.baseline, &pair.candidate].iter().all(|side| {
        let mut counting = side.values.iter().filter(|value| value.void.is_none());
        side.values.iter().any(|value| value.void.is_none())
            && counting.all(|value| value.value.is_some_and(|value| value.abs() < f64::EPSILON))
    })
}

/// The candidate alone against `max` or `min`, with the noise of its repeats.
fn judge_budget(rule: &Rule, candidate: Option<&ScenarioRun>, levels: Levels) -> Option<Answered> {
    let bound = rule.limits.max.or(rule.limits.min)?;
    let metric = rule.metric;
    let values = compare::SideValues::of(metric, candidate);
    let shown = values.shown(metric, None);
    if let Some(answer) = zero_against(bound, rule, values.missing.as_ref(), &shown) {
        return Some(answer);
    }
    if let Some(missing) = values.missing {
        return Some(Answered::missing(format!("candidate: {missing}")));
    }
    // The bound takes the baseline's place: it is known exactly, so it is given the candidate's own weight of evidence.
    let oriented = compare::orientation(metric) * bound.ln();
    let pinned = vec![oriented; values.logs.len()];
    let Some(estimate) = stored_baseline(&pinned, &values.logs, prior(metric, bound)) else {
        return Some(Answered::missing("the candidate has no repeat".to_owned()));
    };
    let looks_worse = estimate.delta > 0.0;
    let surely_over = -Estimate {
        delta: -estimate.delta,
        ..estimate
    }
    .upper_bound(levels.alpha)
        > 0.0;
    let surely_under = estimate.upper_bound(levels.beta) <= 0.0;
    let beyond = percent(ratio(metric, estimate.delta));
    let (status, reason) = if looks_worse && surely_over {
        (Status::Regressed, format!("outside its budget by {beyond}"))
    } else if !looks_worse && surely_under {
        (Status::Pass, format!("inside its budget by {beyond}"))
    } else {
        let reason = "too close to its budget to tell".to_owned();
        (Status::Inconclusive, reason)
    };
    Some(Answered {
        status,
        reason,
        evidence: None,
        looks_worse,
    })
}

/// A metric that is exactly zero (an error rate) is judged by its value: there is no logarithm of it.
fn zero_against(
    bound: f64,
    rule: &Rule,
    missing: Option<&Missing>,
    shown: &Side,
) -> Option<Answered> {
    let value = match (missing, shown.value) {
        (Some(Missing::Zero), Some(value)) => value,
        // A bound of zero has no logarithm either.
        (None, Some(value)) if bound <= 0.0 => value,
        (Some(_) | None, _) => return None,
    };
    let outside = rule.limits.max.is_some_and(|max| value > max)
        || rule.limits.min.is_some_and(|min| value < min);
    let (status, reason) = if outside {
        (Status::Regressed, "outside its budget")
    } else {
        (Status::Pass, "inside its budget")
    };
    Some(Answered {
        status,
        reason: reason.to_owned(),
        evidence: None,
        looks_worse: outside,
    })
}
