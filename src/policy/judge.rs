//! One rule in one scenario: numbers to an answer with its reason.

use super::budget::judge_budget;
use super::noise::noise;
use super::outcome::status;
use super::rule::Rule;
use super::sentence::{percent, signed_percent};
use super::too_good;
use crate::compare::{self, Missing, Pair, SideValues};
use crate::metric::{Better, Metric};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{Basis, Change, JudgedRule, Judgement, Noise, Side, Status};
use crate::stats::{
    self, Assessment, Decision, ErrorLevels, Estimate, Evidence, IndifferenceZone, InterimLook,
    Outcome, e_value, smallest_detectable,
};

/// Confidence of the interval that is shown.
const SHOWN_CONFIDENCE: f64 = 0.95;

/// Both sides of a scenario.
pub(super) type Sides<'a> = (Option<&'a ScenarioRun>, Option<&'a ScenarioRun>);

/// Everything that is known of one scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScenarioEvidence<'a> {
    pub(super) name: &'a str,
    /// Against the stored baseline, where it may be used.
    pub(super) stored: Option<Sides<'a>>,
    /// Alternating repeats, where there are any.
    pub(super) pairs: Option<Sides<'a>>,
    pub(super) ledger: &'a [&'a Run],
}

impl<'a> ScenarioEvidence<'a> {
    /// The sides whose values are shown: those that decide.
    pub(super) fn shown(&self) -> Sides<'a> {
        self.pairs.or(self.stored).unwrap_or((None, None))
    }

    /// The logs of the accepted sessions, oldest first.
    pub(super) fn sessions(&self, metric: Metric) -> Vec<Vec<f64>> {
        let new = self.shown().1;
        let session = |run: &&Run| {
            let session = run.scenario(self.name)?;
            // With another definition, or tokens in other pieces, its noise is not comparable.
            let fits = new.is_none_or(|new| compare::unlike(metric, session, new).is_none());
            fits.then(|| SideValues::of(metric, Some(session)).logs)
        };
        let sessions = self.ledger.iter().filter_map(session);
        sessions.filter(|session| !session.is_empty()).collect()
    }
}

/// How sure an answer must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookTerms {
    /// α of the rule, already shared among the family, and β.
    pub(super) levels: ErrorLevels,
    /// What of them this look may spend.
    pub(super) look: InterimLook,
    /// Every look is spent: only evidence that may be looked at as often as one likes can block.
    pub(super) anytime: bool,
    /// The author gives a reason, also for what is too good to be true.
    pub(super) has_reason: bool,
}

impl LookTerms {
    /// What this look may spend.
    pub(super) fn now(&self) -> ErrorLevels {
        self.levels.at(self.look)
    }
}

/// A judgement and what it stands on, for the advice that follows.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// What the answer to a relative limit rests on, where there is one.
    pub(super) grounds: Option<Estimates>,
    /// The error probabilities that it was judged with.
    pub(super) care: LookTerms,
    /// Whether `max` or `min` decided it, and not the change.
    pub(super) by_budget: bool,
}

/// The numbers behind an answer to a relative limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimates {
    pub(super) decision: Decision,
    pub(super) assessment: Assessment,
    pub(super) zone: IndifferenceZone,
    /// What the ledger, or the assumption, says.
    pub(super) noise: stats::Noise,
    /// Probability of so much noise among the candidate's repeats, if the ledger describes them.
    pub(super) candidate_noise: Option<f64>,
}

/// The zone of a relative limit of this metric.
pub(super) fn zone(metric: Metric, limit: f64) -> IndifferenceZone {
    match metric.better() {
        Better::Higher => IndifferenceZone::of_loss(limit),
        Better::Lower | Better::Neither => IndifferenceZone::of_growth(limit),
    }
}

/// δ on the log scale as the ratio that people read: positive is worse, and a loss of 5 % of throughput is 5 %.
pub(super) fn ratio(metric: Metric, delta: f64) -> f64 {
    match metric.better() {
        Better::Higher => -(-delta).exp_m1(),
        Better::Lower | Better::Neither => delta.exp_m1(),
    }
}

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
pub(super) fn judge(rule: &Rule, evidence: &ScenarioEvidence<'_>, care: LookTerms) -> Judged {
    let metric = rule.metric;
    let (baseline, candidate) = evidence.shown();
    let pair = compare::pair(metric, baseline, candidate);
    let sessions = evidence.sessions(metric);
    let known = Known {
        pair: &pair,
        evidence,
        sessions: &sessions,
    };
    let relative = rule
        .limits
        .regression
        .map(|limit| judge_change(rule, &known, limit, care));
    let absolute = judge_budget(rule, &pair.candidate, &sessions, care.now());
    // The worse of the two answers, and of two equal ones the relative, which says more.
    let budget_is_worse = absolute.as_ref().is_some_and(|budget| {
        relative
            .as_ref()
            .is_none_or(|change| budget.rank() > change.rank())
    });
    let grounds = relative.as_ref().and_then(|change| change.grounds);
    // Where both leave it open, one that looks worse is enough to look worse.
    let looks_worse = [&relative, &absolute]
        .into_iter()
        .flatten()
        .any(|answer| answer.looks_worse);
    let answer = if budget_is_worse { absolute } else { relative };
    let answer = answer.unwrap_or_else(|| Answered::missing("the rule has no limit".to_owned()));

    let estimate = grounds.map(|grounds| grounds.decision.estimate);
    let at = |side: fn(&Estimate) -> f64| {
        estimate.map(|estimate| (side(&estimate), estimate.repeat_noise))
    };
    let sides = [
        pair.baseline
            .shown(metric, at(|estimate| estimate.baseline)),
        pair.candidate
            .shown(metric, at(|estimate| estimate.candidate)),
    ];
    let judgement = Judgement {
        basis: grounds.map(|grounds| basis(grounds.decision.basis)),
        change: estimate.map(|estimate| change(metric, &estimate)),
        stored_change: grounds.and_then(|grounds| {
            let stored = grounds
                .assessment
                .stored
                .filter(|_| grounds.assessment.paired.is_some())?;
            Some(change(metric, &stored))
        }),
        noise: grounds.map(|grounds| noise_of(metric, &grounds, [baseline, candidate])),
        smallest_detectable: grounds.map(|grounds| {
            let alpha = blocking_level(care);
            ratio(
                metric,
                smallest_detectable(&grounds.decision.estimate, grounds.zone, alpha),
            )
        }),
        ruled_out_above: estimate
            .map(|estimate| ratio(metric, estimate.upper_bound(care.now().beta)))
            .filter(|bound| bound.is_finite()),
        looks_worse,
        ..without_numbers(rule, evidence.name, sides, answer.status(), answer.reason)
    };
    let pairs = match evidence.pairs {
        Some(_) => judgement.candidate.repeats.min(judgement.baseline.repeats),
        None => 0,
    };
    let times = grounds.and_then(|grounds| too_good::times_faster(metric, &grounds, pairs));
    let is_open = !matches!(judgement.status, Status::Regressed | Status::Missing);
    let judgement = match times.filter(|_| is_open && !care.has_reason) {
        Some(times) => too_good::doubted(judgement, times),
        None => judgement,
    };
    Judged {
        judgement,
        grounds,
        care,
        by_budget: budget_is_worse,
    }
}

/// A judgement that no estimate belongs to.
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

/// One-sided p of a change that is no larger than the low edge; `None` where the rule cannot be judged.
pub(super) fn p_value(
    rule: &Rule,
    evidence: &ScenarioEvidence<'_>,
    care: LookTerms,
) -> Option<f64> {
    let (baseline, candidate) = evidence.shown();
    let known = Known {
        pair: &compare::pair(rule.metric, baseline, candidate),
        evidence,
        sessions: &evidence.sessions(rule.metric),
    };
    let grounds = grounds(rule.metric, &known, rule.limits.regression?, care)?;
    Some(grounds.decision.estimate.p_above(grounds.zone.low))
}

/// The level at which a regression would have been blocked: of a look that may only pass, that of the rule.
fn blocking_level(care: LookTerms) -> f64 {
    let now = care.now().alpha;
    if now > 0.0 { now } else { care.levels.alpha }
}

fn basis(basis: stats::Basis) -> Basis {
    match basis {
        stats::Basis::Stored => Basis::StoredBaseline,
        stats::Basis::Paired => Basis::Pairs,
        stats::Basis::Pooled => Basis::PairsAndStoredBaseline,
    }
}

/// The noise that the estimate used.
fn noise_of(metric: Metric, grounds: &Estimates, sides: [Option<&ScenarioRun>; 2]) -> Noise {
    let Estimate {
        repeat_noise,
        host_noise,
        ..
    } = grounds.decision.estimate;
    Noise {
        repeat: repeat_noise,
        host: host_noise,
        request: compare::request_noise(metric, &sides, repeat_noise),
        source: source(grounds).to_owned(),
    }
}

/// What decided the noise that was used: without a ledger, the larger of the assumption and today's repeats.
fn source(grounds: &Estimates) -> &'static str {
    let estimate = &grounds.decision.estimate;
    let (learnt, more_than_expected) = (
        grounds.noise.is_learnt(),
        estimate.repeat_noise > grounds.noise.repeat,
    );
    if estimate.noisier || (!learnt && more_than_expected) {
        "today"
    } else if learnt {
        "ledger"
    } else {
        "assumed"
    }
}

/// An answer to one limit.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// `None`: one side has no usable value.
    pub(super) outcome: Option<Outcome>,
    /// Whether the whole interval is on the better side of zero.
    pub(super) is_better: bool,
    pub(super) reason: String,
    pub(super) grounds: Option<Estimates>,
    pub(super) looks_worse: bool,
}

impl Answered {
    pub(super) fn missing(reason: String) -> Self {
        Self {
            outcome: None,
            is_better: false,
            reason,
            grounds: None,
            looks_worse: false,
        }
    }

    fn status(&self) -> Status {
        status(self.outcome, self.is_better)
    }

    /// How bad it is; larger is worse.
    fn rank(&self) -> u8 {
        match self.status() {
            Status::Improved => 0,
            Status::Pass => 1,
            Status::Inconclusive => 2,
            Status::Regressed => 3,
            Status::Missing => 4,
        }
    }
}

/// What is known of one metric in one scenario.
struct Known<'a> {
    /// The values that are shown.
    pair: &'a Pair,
    evidence: &'a ScenarioEvidence<'a>,
    /// The logs of the accepted sessions.
    sessions: &'a [Vec<f64>],
}

fn judge_change(rule: &Rule, known: &Known<'_>, limit: f64, care: LookTerms) -> Answered {
    let shown = known.pair;
    for (side, values) in [
        ("baseline", &shown.baseline),
        ("candidate", &shown.candidate),
    ] {
        match &values.missing {
            // Nothing failed on either side: no change, and no logarithm of zero needed to say so.
            Some(Missing::Zero) if rule.metric.can_be_zero() && both_are_zero(shown) => {
                return Answered {
                    outcome: Some(Outcome::Pass),
                    is_better: false,
                    reason: "zero on both sides".to_owned(),
                    grounds: None,
                    looks_worse: false,
                };
            }
            Some(missing) => return Answered::missing(format!("{side}: {missing}")),
            None => {}
        }
    }
    if let Some(unlike) = &shown.unlike {
        return Answered::missing(unlike.to_string());
    }
    let Some(grounds) = grounds(rule.metric, known, limit, care) else {
        let reason = if known.evidence.pairs.is_some() {
            "no alternating repeat counts on both sides"
        } else {
            "a side has no repeat"
        };
        return Answered::missing(reason.to_owned());
    };
    let outcome = grounds.decision.outcome;
    let (_, high) = grounds.decision.estimate.interval(SHOWN_CONFIDENCE);
    // Pairs alone say how it looks: the stored baseline may be another host's.
    let looked_at = grounds
        .assessment
        .paired
        .unwrap_or(grounds.decision.estimate);
    Answered {
        outcome: Some(outcome),
        is_better: outcome == Outcome::Pass && high < 0.0,
        reason: in_words(rule.metric, &grounds, limit, care),
        grounds: Some(grounds),
        looks_worse: looked_at.delta >= grounds.zone.limit,
    }
}

/// All estimates and the decision; `None` without any.
fn grounds(metric: Metric, known: &Known<'_>, limit: f64, care: LookTerms) -> Option<Estimates> {
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
    let (pairs, stored) = if evidence.pairs.is_some() {
        let pairs = compare::alternating(&shown.baseline, &shown.candidate);
        // No alternating repeat counts: nothing stored may take their place.
        if pairs.is_empty() {
            return None;
        }
        let stored = evidence
            .stored
            .map(|(old, new)| compare::pair(metric, old, new))
            .filter(|stored| stored.unlike.is_none());
        (pairs, stored)
    } else {
        (Vec::new(), Some((*shown).clone()))
    };
    let stored = stored.unwrap_or_else(|| compare::pair(metric, None, None));
    let assessment = Evidence {
        baseline: &stored.baseline.logs,
        candidate: &stored.candidate.logs,
        pairs: &pairs,
        noise,
    }
    .assess();
    let zone = zone(metric, limit);
    let mut decision = assessment.decide(zone, care.levels, care.look)?;
    if care.anytime && decision.outcome == Outcome::Undecided {
        let differences: Vec<f64> = pairs.iter().map(|(base, new)| new - base).collect();
        let sure = e_value(&differences, zone.low) >= 1.0 / care.levels.alpha;
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

fn in_words(metric: Metric, grounds: &Estimates, limit: f64, care: LookTerms) -> String {
    let Decision {
        outcome, estimate, ..
    } = grounds.decision;
    let (low, high) = estimate.interval(SHOWN_CONFIDENCE);
    let [low_words, high_words] = [low, high].map(|end| signed_percent(ratio(metric, end)));
    let interval = format!("95 % interval {low_words} to {high_words}");
    let limit = percent(limit);
    match outcome {
        Outcome::Pass if high < 0.0 => {
            format!("better, with the whole {interval} below zero")
        }
        Outcome::Pass => {
            let bound = estimate.upper_bound(care.now().beta);
            let ruled_out = percent(ratio(metric, bound).max(0.0));
            format!("a regression above {ruled_out} is ruled out (limit {limit})")
        }
        Outcome::Fail => format!("worse than the limit of {limit} ({interval})"),
        Outcome::Undecided if estimate.noisier && grounds.assessment.paired.is_none() => {
            format!(
                "today is noisier than the ledger ({} between repeats instead of {}), so the stored baseline decides nothing; the {interval} (limit {limit})",
                percent(estimate.repeat_noise),
                percent(grounds.noise.repeat)
            )
        }
        Outcome::Undecided => format!("the {interval} leaves it open (limit {limit})"),
    }
}

fn both_are_zero(pair: &Pair) -> bool {
    [&pair.baseline, &pair.candidate].iter().all(|side| {
        let mut counting = side.values.iter().filter(|value| value.void.is_none());
        side.values.iter().any(|value| value.void.is_none())
            && counting.all(|value| value.value.is_some_and(|value| value.abs() < f64::EPSILON))
    })
}
