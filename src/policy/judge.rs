//! One rule in one scenario: from the numbers to a judgement with its reason.

use super::budget::judge_budget;
use super::judged::{
    Answered, Estimates, Judged, LookTerms, SHOWN_CONFIDENCE, ScenarioEvidence, Session, ratio,
    repeats_of, sessions, zone,
};
use super::noise;
use super::outcome::status;
use super::rule::Rule;
use super::sentence::{percent, signed_percent};
use super::too_good;
use super::undecided::why_undecided;
use crate::compare::{self, Missing, Pair, SideValues};
use crate::metric::Metric;
use crate::report::comparison::{Change, JudgedRule, Judgement, Noise, Side, Status};
use crate::stats::{self, Estimate, Evidence, Outcome, Replicate, Shown};

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
    let absolute = judge_budget(
        rule,
        &known.candidate,
        &repeats_of(&known.sessions),
        terms.now,
    );
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
        let estimates = estimates?;
        let noise = estimates.look.today.variance.sqrt();
        Some((side(&estimates.shown.estimate), noise))
    };
    let sides = [
        (known.pair.baseline).shown(metric, at(|estimate| estimate.baseline)),
        known.candidate.shown(metric, at(Estimate::candidate)),
    ];
    let mut judgement = without_numbers(rule, evidence.name, sides, answer.status, answer.reason);
    judgement.looks_worse = looks_worse;
    let stored = evidence.pairs.and(known.stored.as_ref());
    judgement.stored = stored.map(|pair| pair.baseline.shown(metric, None));
    if let Some(estimates) = &estimates {
        add_numbers(&mut judgement, estimates, evidence, terms);
    }
    let times = estimates.and_then(|estimates| too_good::times_faster(metric, &estimates));
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
    let look = &estimates.look;
    let Shown {
        basis, estimate, ..
    } = estimates.shown;
    let smallest = estimate.smallest_detectable(&look.test, blocking_level(terms));
    judgement.basis = Some(basis);
    judgement.change = Some(change(metric, &estimate));
    judgement.stored_change = look.all.map(|all| change(metric, &all.against_stored));
    judgement.noise = Some(noise_of(metric, estimates, evidence));
    judgement.smallest_detectable = Some(ratio(metric, smallest)).filter(|ratio| ratio.is_finite());
    judgement.ruled_out_above =
        Some(ratio(metric, estimate.upper)).filter(|bound| bound.is_finite());
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
        stored: None,
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
    let zone = estimates.zone();
    Some(estimates.shown.estimate.p_above(zone.low))
}

/// The level at which a regression is blocked; for a look that may only pass, the level of the rule.
fn blocking_level(terms: LookTerms) -> f64 {
    if terms.now.alpha > 0.0 {
        terms.now.alpha
    } else {
        terms.levels.alpha
    }
}

/// The noise that the estimate used.
fn noise_of(metric: Metric, estimates: &Estimates, evidence: &ScenarioEvidence<'_>) -> Noise {
    let (baseline, candidate) = evidence.shown();
    let repeat = estimates.look.today.variance.sqrt();
    Noise {
        repeat,
        host: estimates.shown.host_noise,
        request: compare::request_noise(metric, &[baseline, candidate], repeat),
        source: source(estimates).to_owned(),
    }
}

/// Where the noise comes from: without a ledger, the larger of the assumption and today's repeats.
fn source(estimates: &Estimates) -> &'static str {
    let today = &estimates.look.today;
    let is_learnt = estimates.noise.is_learnt();
    let more_than_expected = today.variance.sqrt() > estimates.noise.repeat;
    if today.is_doubted() || (!is_learnt && more_than_expected) {
        "today"
    } else if is_learnt {
        "ledger"
    } else {
        "assumed"
    }
}

/// All evidence about one metric in one scenario.
struct Known<'a> {
    /// The values that decide: of the pairs, if any.
    pair: Pair,
    /// All values of the candidate: those beside the pairs, too.
    candidate: SideValues,
    /// The candidate's values beside the pairs.
    beside: SideValues,
    /// The stored baseline's and the candidate's beside it.
    stored: Option<Pair>,
    evidence: &'a ScenarioEvidence<'a>,
    /// The accepted sessions.
    sessions: Vec<Session<'a>>,
}

impl<'a> Known<'a> {
    fn of(metric: Metric, evidence: &'a ScenarioEvidence<'a>) -> Self {
        let (baseline, candidate) = evidence.shown();
        let pair = compare::pair(metric, baseline, candidate);
        let beside = SideValues::of(metric, evidence.beside);
        let stored = evidence.stored;
        let stored = stored.map(|(old, new)| compare::pair(metric, old, new));
        Self {
            candidate: pair.candidate.after(&beside),
            beside,
            stored: stored.filter(|stored| stored.unlike.is_none()),
            pair,
            evidence,
            sessions: sessions(metric, evidence.name, candidate, evidence.ledger),
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
        return without_estimate(known);
    };
    let (_, high) = estimates.shown.estimate.interval(SHOWN_CONFIDENCE);
    Answered {
        status: status(estimates.outcome, high < 0.0),
        reason: in_words(rule.metric, &estimates, limit, terms),
        looks_worse: estimates.todays().delta >= estimates.zone().limit,
        estimates: Some(estimates),
    }
}

/// The answer where the evidence allows no estimate.
fn without_estimate(known: &Known<'_>) -> Answered {
    if known.evidence.pairs.is_none() {
        return Answered::missing("the baseline or the candidate has no repeat");
    }
    let pair = &known.pair;
    let alternating = compare::alternating(&pair.baseline, &pair.candidate, &known.beside);
    if alternating.pairs.is_empty() {
        return Answered::missing("no alternating pair in which both repeats count");
    }
    Answered {
        looks_worse: true,
        ..Answered::new(
            Status::Inconclusive,
            "a single alternating pair decides nothing without a stored baseline",
        )
    }
}

/// All estimates and the decision; `None` without values, and for a single pair without a stored baseline.
fn estimates(metric: Metric, known: &Known<'_>, limit: f64, terms: LookTerms) -> Option<Estimates> {
    let shown = &known.pair;
    if shown.unlike.is_some() {
        return None;
    }
    let step = noise::step_of(metric, &shown.baseline);
    let assumed = noise::assumed(step);
    let values = match known.evidence.pairs {
        Some(_) => Values::of_pairs(known, step, assumed)?,
        None => Values::of_stored(known, step, assumed),
    };
    let hosts = known.evidence.hosts;
    let is_host_known = hosts.are_known(&values.noise, values.kind, &known.sessions);
    let evidence = Evidence {
        stored: &values.stored,
        candidate: &values.candidate,
        pairs: &values.pairs,
        noise: values.noise,
        is_host_known,
        step,
        start_variance: values.start_variance,
    };
    let zone = zone(metric, limit);
    let look = evidence.look(zone, terms.now)?;
    let beyond = terms
        .is_beyond
        .then(|| evidence.look_beyond(zone, terms.levels));
    let beyond = beyond.flatten();
    let halves = values.pairs.iter().map(|(_, candidate)| *candidate);
    let candidates: Vec<f64> = values.candidate.iter().copied().chain(halves).collect();
    Some(Estimates {
        outcome: beyond.map_or(look.outcome, |beyond| beyond.outcome),
        shown: look.shown()?,
        look,
        noise: values.noise,
        is_host_known,
        candidate_noise: stats::noise_probability(&candidates, &values.noise),
    })
}

/// The values of a look.
struct Values {
    stored: Vec<f64>,
    candidate: Vec<f64>,
    pairs: Vec<(f64, f64)>,
    noise: stats::Noise,
    start_variance: f64,
    kind: Replicate,
}

impl Values {
    /// With the base version at hand. Stored repeats never replace pairs: `None` without a pair.
    fn of_pairs(known: &Known<'_>, step: f64, assumed: stats::Noise) -> Option<Self> {
        let pair = &known.pair;
        let today = compare::alternating(&pair.baseline, &pair.candidate, &known.beside);
        let stored = known.stored.as_ref();
        let stored = stored.map_or_else(Vec::new, |stored| stored.baseline.repeats());
        let stored = stats::by_start(&stored).into_iter();
        (!today.pairs.is_empty()).then(|| Self {
            stored: stored.map(|(_, value)| value).collect(),
            candidate: today.beside,
            pairs: today.pairs,
            noise: stats::noise_of_starts(&repeats_of(&known.sessions), step).unwrap_or(assumed),
            start_variance: 0.0,
            kind: Replicate::Start,
        })
    }

    /// Against the stored baseline alone.
    fn of_stored(known: &Known<'_>, step: f64, assumed: stats::Noise) -> Self {
        let [baseline, candidate] = [&known.pair.baseline, &known.pair.candidate];
        let (stored, candidate) = (baseline.repeats(), candidate.repeats());
        let ledger = repeats_of(&known.sessions);
        let values = stats::replicates(&stored, &candidate, &ledger, step, assumed);
        Self {
            stored: values.stored,
            candidate: values.candidate,
            pairs: Vec::new(),
            noise: values.noise,
            start_variance: values.start_variance,
            kind: values.kind,
        }
    }
}

fn in_words(metric: Metric, estimates: &Estimates, limit: f64, terms: LookTerms) -> String {
    let estimate = estimates.shown.estimate;
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let [low_words, high_words] = [low, high].map(|end| signed_percent(ratio(metric, end)));
    let interval = format!("95 % interval {low_words} to {high_words}");
    let limit_words = percent(limit);
    match estimates.outcome {
        Outcome::Pass if high < 0.0 => {
            format!("better: the {interval} is below zero")
        }
        Outcome::Pass => {
            // Evidence that is valid at any time rules out the high edge.
            let bound = if terms.is_beyond {
                estimates.zone().high
            } else {
                estimate.upper
            };
            let ruled_out = percent(ratio(metric, bound).max(0.0));
            format!("a regression above {ruled_out} is ruled out (limit {limit_words})")
        }
        Outcome::Fail => format!("worse than the limit of {limit_words} ({interval})"),
        Outcome::Undecided => why_undecided(metric, estimates, limit, terms, &interval),
    }
}

fn both_are_zero(pair: &Pair) -> bool {
    [&pair.baseline, &pair.candidate].iter().all(|side| {
        let mut counting = side.values.iter().filter(|value| value.void.is_none());
        side.values.iter().any(|value| value.void.is_none())
            && counting.all(|value| value.value.is_some_and(|value| value.abs() < f64::EPSILON))
    })
}
