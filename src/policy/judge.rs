//! One rule in one scenario: from the numbers to a judgement with its reason.

use super::budget::judge_budget;
use super::judged::{Answered, Estimates, Judged, LookTerms, ScenarioEvidence, ratio, zone};
use super::noise::noise;
use super::outcome::status;
use super::rule::Rule;
use super::sentence::{percent, signed_percent};
use super::too_good;
use crate::compare::{self, Missing, Pair};
use crate::metric::Metric;
use crate::report::comparison::{Change, JudgedRule, Judgement, Noise, Side, Status};
use crate::stats::{
    self, Assessment, Decision, Estimate, Evidence, Outcome, decide, e_value, smallest_detectable,
};

/// Confidence of the interval in reports.
const SHOWN_CONFIDENCE: f64 = 0.95;

fn change(metric: Metric, estimate: &Estimate) -> Change {
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    Change {
        value: ratio(metric, estimate.delta),
        low: ratio(metric, low),
        high: ratio(metric, high),
        confidence: SHOWN_CONFIDENCE,
    }
}

/// Judges one rule in one scenario.
pub(super) fn judge(rule: &Rule, evidence: &ScenarioEvidence<'_>, terms: LookTerms) -> Judged {
    let metric = rule.metric;
    let known = Known::of(metric, evidence);
    let limit = rule.limits.regression;
    let relative = limit.map(|limit| judge_change(rule, &known, limit, terms));
    let absolute = judge_budget(rule, &known.pair.candidate, &known.sessions, terms.now());
    // The worse of the two outcomes; the relative one where both are equal, because its reason has more numbers.
    let budget_is_worse = absolute.as_ref().is_some_and(|budget| {
        relative
            .as_ref()
            .is_none_or(|change| budget.rank() > change.rank())
    });
    let estimates = relative.as_ref().and_then(|change| change.estimates);
    // Where both are undecided, one estimate at its limit is enough to look worse.
    let answers = [&relative, &absolute];
    let looks_worse = answers
        .into_iter()
        .flatten()
        .any(|answer| answer.looks_worse);
    let answer = if budget_is_worse { absolute } else { relative };
    let answer = answer.unwrap_or_else(|| Answered::missing("the rule has no limit"));

    let at = |side: fn(&Estimate) -> f64| {
        let estimate = estimates?.decision.estimate;
        Some((side(&estimate), estimate.repeat_noise))
    };
    let Pair {
        baseline,
        candidate,
        ..
    } = &known.pair;
    let sides = [
        baseline.shown(metric, at(|estimate| estimate.baseline)),
        candidate.shown(metric, at(|estimate| estimate.candidate)),
    ];
    let mut judgement = without_numbers(rule, evidence.name, sides, answer.status, answer.reason);
    judgement.looks_worse = looks_worse;
    if let Some(estimates) = &estimates {
        add_numbers(&mut judgement, estimates, evidence, terms);
    }
    let pairs = match evidence.pairs {
        Some(_) => judgement.candidate.repeats.min(judgement.baseline.repeats),
        None => 0,
    };
    let times = estimates.and_then(|estimates| too_good::times_faster(metric, &estimates, pairs));
    let is_open = !matches!(judgement.status, Status::Regressed | Status::Missing);
    let judgement = match times.filter(|_| is_open && !terms.has_reason) {
        Some(times) => too_good::doubted(judgement, times),
        None => judgement,
    };
    Judged {
        judgement,
        estimates,
        terms,
        by_budget: budget_is_worse,
    }
}

/// Adds the estimates of a change to its judgement.
fn add_numbers(
    judgement: &mut Judgement,
    estimates: &Estimates,
    evidence: &ScenarioEvidence<'_>,
    terms: LookTerms,
) {
    let metric = judgement.metric;
    let Decision {
        basis, estimate, ..
    } = estimates.decision;
    let Assessment { stored, paired, .. } = estimates.assessment;
    let smallest = smallest_detectable(&estimate, estimates.zone, blocking_level(terms));
    let bound = ratio(metric, estimate.upper_bound(terms.now().beta));
    judgement.basis = Some(basis);
    judgement.change = Some(change(metric, &estimate));
    judgement.stored_change = paired.and(stored).map(|stored| change(metric, &stored));
    judgement.noise = Some(noise_of(metric, estimates, evidence));
    judgement.smallest_detectable = Some(ratio(metric, smallest));
    judgement.ruled_out_above = Some(bound).filter(|bound| bound.is_finite());
}

/// A judgement without estimates.
pub(super) fn without_numbers(
    rule: &Rule,
    scenario: &str,
    [baseline, candidate]: [Side; 2],
    status: Status,
    reason: String,
) -> Judgement {
    Judgement {
        scenario: scenario.to_owned(),
        metric: rule.metric,
        unit: rule.metric.unit(),
        better: rule.metric.better(),
        rule: JudgedRule {
            regression: rule.limits.regression,
            max: rule.limits.max,
            min: rule.limits.min,
            action: rule.action,
            explain: rule.explain,
            place: rule.place.clone(),
        },
        status,
        if_believed: None,
        baseline,
        candidate,
        basis: None,
        change: None,
        stored_change: None,
        noise: None,
        smallest_detectable: None,
        ruled_out_above: None,
        looks_worse: true,
        reason,
    }
}

/// One-sided p-value of a change at most as large as the low edge; `None` where the rule cannot be judged.
pub(super) fn p_value(
    rule: &Rule,
    evidence: &ScenarioEvidence<'_>,
    terms: LookTerms,
) -> Option<f64> {
    let known = Known::of(rule.metric, evidence);
    let estimates = estimates(rule.metric, &known, rule.limits.regression?, terms)?;
    Some(estimates.decision.estimate.p_above(estimates.zone.low))
}

/// The level at which a regression is blocked; for a look that may only pass, the level of the rule.
fn blocking_level(terms: LookTerms) -> f64 {
    let now = terms.now().alpha;
    if now > 0.0 { now } else { terms.levels.alpha }
}

/// The noise that the estimate used.
fn noise_of(metric: Metric, estimates: &Estimates, evidence: &ScenarioEvidence<'_>) -> Noise {
    let (baseline, candidate) = evidence.shown();
    let Estimate {
        repeat_noise,
        host_noise,
        ..
    } = estimates.decision.estimate;
    Noise {
        repeat: repeat_noise,
        host: host_noise,
        request: compare::request_noise(metric, &[baseline, candidate], repeat_noise),
        source: source(estimates).to_owned(),
    }
}

/// Where the noise comes from: without a ledger, the larger of the assumption and today's repeats.
fn source(estimates: &Estimates) -> &'static str {
    let estimate = &estimates.decision.estimate;
    let (learnt, more_than_expected) = (
        estimates.noise.is_learnt(),
        estimate.repeat_noise > estimates.noise.repeat,
    );
    if estimate.noisier || (!learnt && more_than_expected) {
        "today"
    } else if learnt {
        "ledger"
    } else {
        "assumed"
    }
}

/// All evidence about one metric in one scenario.
struct Known<'a> {
    /// The values in the report.
    pair: Pair,
    evidence: &'a ScenarioEvidence<'a>,
    /// The logs of the accepted sessions.
    sessions: Vec<Vec<f64>>,
}

impl<'a> Known<'a> {
    fn of(metric: Metric, evidence: &'a ScenarioEvidence<'a>) -> Self {
        let (baseline, candidate) = evidence.shown();
        Self {
            pair: compare::pair(metric, baseline, candidate),
            evidence,
            sessions: evidence.sessions(metric),
        }
    }
}

fn judge_change(rule: &Rule, known: &Known<'_>, limit: f64, terms: LookTerms) -> Answered {
    let shown = &known.pair;
    for (side, values) in [
        ("baseline", &shown.baseline),
        ("candidate", &shown.candidate),
    ] {
        match &values.missing {
            // Zero on both sides is a change of 0 %, without a logarithm.
            Some(Missing::Zero) if rule.metric.can_be_zero() && both_are_zero(shown) => {
                return Answered::new(Status::Pass, "zero on both sides");
            }
            Some(missing) => {
                return Answered::missing(compare::of_side(&missing.to_string(), side));
            }
            None => {}
        }
    }
    if let Some(unlike) = &shown.unlike {
        return Answered::missing(unlike.to_string());
    }
    let Some(estimates) = estimates(rule.metric, known, limit, terms) else {
        let reason = if known.evidence.pairs.is_some() {
            "no alternating pair in which both repeats count"
        } else {
            "the baseline or the candidate has no repeat"
        };
        return Answered::missing(reason);
    };
    let (_, high) = estimates.decision.estimate.interval(SHOWN_CONFIDENCE);
    // Where there are pairs, only they count here: the stored baseline may come from another host.
    let own = estimates
        .assessment
        .paired
        .unwrap_or(estimates.decision.estimate);
    Answered {
        status: status(estimates.decision.outcome, high < 0.0),
        reason: in_words(rule.metric, &estimates, limit, terms),
        estimates: Some(estimates),
        looks_worse: own.delta >= estimates.zone.limit,
    }
}

/// All estimates and the decision; `None` without values.
fn estimates(metric: Metric, known: &Known<'_>, limit: f64, terms: LookTerms) -> Option<Estimates> {
    let Known {
        pair: shown,
        evidence,
        sessions,
    } = known;
    if shown.unlike.is_some() {
        return None;
    }
    let level = shown.baseline.values.iter().find_map(|value| value.value);
    let noise = noise(metric, level.unwrap_or(1.0), sessions);
    let (pairs, stored) = match evidence.pairs {
        Some(_) => {
            let stored = evidence.stored;
            let stored = stored.map(|(old, new)| compare::pair(metric, old, new));
            let pairs = compare::alternating(&shown.baseline, &shown.candidate);
            (pairs, stored.filter(|stored| stored.unlike.is_none()))
        }
        None => (Vec::new(), Some(shown.clone())),
    };
    // No alternating pair counts; stored repeats must not replace them.
    if evidence.pairs.is_some() && pairs.is_empty() {
        return None;
    }
    let stored = stored.unwrap_or_else(|| compare::pair(metric, None, None));
    let assessment = Evidence {
        baseline: &stored.baseline.logs,
        candidate: &stored.candidate.logs,
        pairs: &pairs,
        noise,
    }
    .assess();
    let zone = zone(metric, limit);
    let mut decision = assessment.decide(zone, terms.levels, terms.look)?;
    if terms.anytime && decision.outcome == Outcome::Undecided {
        let differences: Vec<f64> = pairs.iter().map(|(base, new)| new - base).collect();
        let sure = e_value(&differences, zone.low) >= 1.0 / terms.levels.alpha;
        if sure && decision.estimate.delta >= zone.limit {
            decision.outcome = Outcome::Fail;
        }
    }
    Some(Estimates {
        decision,
        assessment,
        zone,
        noise,
        candidate_noise: stats::noise_probability(&shown.candidate.logs, &noise),
    })
}

fn in_words(metric: Metric, estimates: &Estimates, limit: f64, terms: LookTerms) -> String {
    let Decision {
        outcome, estimate, ..
    } = estimates.decision;
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let [low_words, high_words] = [low, high].map(|end| signed_percent(ratio(metric, end)));
    let interval = format!("95 % interval {low_words} to {high_words}");
    let limit = percent(limit);
    match outcome {
        Outcome::Pass if high < 0.0 => {
            format!("better: the {interval} is below zero")
        }
        Outcome::Pass => {
            let bound = estimate.upper_bound(terms.now().beta);
            let ruled_out = percent(ratio(metric, bound).max(0.0));
            format!("a regression above {ruled_out} is ruled out (limit {limit})")
        }
        Outcome::Fail => format!("worse than the limit of {limit} ({interval})"),
        Outcome::Undecided if estimate.noisier && estimates.assessment.paired.is_none() => {
            format!(
                "today's repeats are noisier than the ledger ({} instead of {}), so the stored baseline does not decide; {interval} (limit {limit})",
                percent(estimate.repeat_noise),
                percent(estimates.noise.repeat)
            )
        }
        Outcome::Undecided => {
            let stricter = stricter_than_shown(metric, estimates, terms);
            let stricter = stricter.unwrap_or_default();
            format!("undecided: {interval} (limit {limit}){stricter}")
        }
    }
}

/// Why a rule is undecided although its 95 % interval leaves out the edge of the zone: the bound of the look is further out.
/// `None` where that bound leaves the edge out too, and only doubt about the noise keeps the rule undecided.
fn stricter_than_shown(metric: Metric, estimates: &Estimates, terms: LookTerms) -> Option<String> {
    let (estimate, zone, now) = (estimates.decision.estimate, estimates.zone, terms.now());
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let looks_worse = estimate.delta >= zone.limit;
    let (seems_decided, edge, side, level) = if looks_worse {
        (low > zone.low, zone.low, "less", now.alpha)
    } else {
        (high < zone.high, zone.high, "more", now.beta)
    };
    let bound_is_beyond = decide(&estimate, zone, now) == Outcome::Undecided;
    // A look without error probability cannot decide, which its own sentence explains.
    (seems_decided && bound_is_beyond && level > 0.0).then(|| {
        format!(
            "; with the error probability of this look ({}), a change of {} or {side} is not ruled out",
            percent(level),
            percent(ratio(metric, edge))
        )
    })
}

fn both_are_zero(pair: &Pair) -> bool {
    [&pair.baseline, &pair.candidate].iter().all(|side| {
        let mut counting = side.values.iter().filter(|value| value.void.is_none());
        side.values.iter().any(|value| value.void.is_none())
            && counting.all(|value| value.value.is_some_and(|value| value.abs() < f64::EPSILON))
    })
}
