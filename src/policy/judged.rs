//! What a judgement is made of: the evidence of a scenario, the levels of a look, estimates, and the answer.

use super::look::{LookAt, ThisLook};
use crate::compare::{self, SideValues};
use crate::metric::{Better, Metric};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{Judgement, Status};
use crate::stats::{
    self, ErrorLevels, Estimate, IndifferenceZone, Look, Outcome, Replicate, Shown,
};

/// Confidence of the interval in reports.
pub(super) const SHOWN_CONFIDENCE: f64 = 0.95;

/// Both sides of a scenario.
pub(super) type Sides<'a> = (Option<&'a ScenarioRun>, Option<&'a ScenarioRun>);

/// The machines of the stored baseline and of today, as far as they are recorded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hosts<'a> {
    of_baseline: Option<&'a str>,
    todays: Option<&'a str>,
}

impl<'a> Hosts<'a> {
    pub(super) fn of(baseline: &'a Run, candidate: &'a Run) -> Self {
        Self {
            of_baseline: host(baseline),
            todays: host(candidate),
        }
    }

    /// Whether the noise between the two machines is known, by the sessions that the noise was learnt from.
    pub(super) fn are_known(
        &self,
        noise: &stats::Noise,
        kind: Replicate,
        sessions: &[Session<'_>],
    ) -> bool {
        let learnt = sessions
            .iter()
            .filter(|session| stats::is_of_kind(&session.repeats, kind));
        let mut hosts: Vec<Option<&str>> = learnt.map(|session| session.host).collect();
        hosts.drain(..hosts.len().saturating_sub(stats::MOST_SESSIONS));
        stats::is_host_known(noise, &hosts, &self.of_baseline, &self.todays)
    }
}

fn host(run: &Run) -> Option<&str> {
    run.file.environment.as_ref()?.machine_or_host()
}

/// An accepted session in one scenario.
#[derive(Clone, Debug)]
pub(super) struct Session<'a> {
    /// Its machine.
    pub(super) host: Option<&'a str>,
    /// The logs of its repeats with the numbers of their starts.
    pub(super) repeats: Vec<(f64, u32)>,
}

/// The repeats of each session.
pub(super) fn repeats_of(sessions: &[Session<'_>]) -> Vec<Vec<(f64, u32)>> {
    sessions
        .iter()
        .map(|session| session.repeats.clone())
        .collect()
}

/// All evidence about one scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScenarioEvidence<'a> {
    pub(super) name: &'a str,
    /// The stored baseline and the candidate, where they are comparable.
    pub(super) stored: Option<Sides<'a>>,
    /// Alternating repeats, if any.
    pub(super) pairs: Option<Sides<'a>>,
    /// The candidate's repeats beside them.
    pub(super) beside: Option<&'a ScenarioRun>,
    pub(super) ledger: &'a [&'a Run],
    pub(super) hosts: Hosts<'a>,
}

impl<'a> ScenarioEvidence<'a> {
    /// The sides that decide; reports show their values.
    pub(super) fn shown(&self) -> Sides<'a> {
        self.pairs.or(self.stored).unwrap_or((None, None))
    }
}

/// The accepted sessions of a scenario in a ledger, oldest first. `like` is the candidate's side: with another definition or another
/// number of tokens per chunk, the noise of a session is not comparable.
pub(super) fn sessions<'a>(
    metric: Metric,
    name: &str,
    like: Option<&ScenarioRun>,
    ledger: &[&'a Run],
) -> Vec<Session<'a>> {
    let session = |run: &&'a Run| {
        let session = run.scenario(name)?;
        let fits = like.is_none_or(|new| compare::unlike(metric, session, new).is_none());
        fits.then(|| Session {
            host: host(run),
            repeats: SideValues::of(metric, Some(session)).repeats(),
        })
    };
    let sessions = ledger.iter().filter_map(session);
    sessions
        .filter(|session| !session.repeats.is_empty())
        .collect()
}

/// The error levels of a look for one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookTerms {
    /// α of the rule, already shared among the family, and β, of the whole trial.
    pub(super) levels: ErrorLevels,
    /// What this look may spend of them.
    pub(super) now: ErrorLevels,
    /// More pairs were measured than the schedule has: only anytime-valid evidence decides.
    pub(super) is_beyond: bool,
    /// Whether the author gave an analysis, which also explains an implausible speed-up.
    pub(super) has_reason: bool,
}

impl LookTerms {
    /// A single look with all of these levels.
    pub(super) fn once(levels: ErrorLevels, has_reason: bool) -> Self {
        Self {
            levels,
            now: levels,
            is_beyond: false,
            has_reason,
        }
    }

    /// This look, for each of `family` rules.
    pub(super) fn of(this_look: ThisLook<'_>, family: u32) -> Self {
        let levels = this_look.levels.shared_among(family);
        let now = match this_look.at {
            LookAt::All => levels,
            LookAt::Repeats(look) => levels.times(ErrorLevels {
                alpha: look.share,
                beta: look.share,
            }),
            LookAt::Pairs(pairs, schedule) => schedule.at(pairs),
            LookAt::Beyond(_) | LookAt::Spent => ErrorLevels::NONE,
        };
        Self {
            levels,
            now,
            is_beyond: matches!(this_look.at, LookAt::Beyond(_)),
            has_reason: this_look.analysis.is_some(),
        }
    }
}

/// A judgement and the estimates that it is based on, for the next step.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// The estimates behind a relative limit, if any.
    pub(super) estimates: Option<Estimates>,
    /// The error levels it was judged with.
    pub(super) terms: LookTerms,
    /// Whether `max` or `min` decided it instead of the change.
    pub(super) by_budget: bool,
}

/// The numbers behind the judgement of a relative limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimates {
    pub(super) look: Look,
    /// The estimate that is shown.
    pub(super) shown: Shown,
    /// The outcome: that of the look, or of evidence that is valid at any time.
    pub(super) outcome: Outcome,
    /// The noise, learnt from the ledger or assumed.
    pub(super) noise: stats::Noise,
    /// Whether the ledger knows the stored baseline's machine and today's.
    pub(super) is_host_known: bool,
    /// p-value of the noise among the candidate's starts under the noise of the ledger.
    pub(super) candidate_noise: Option<f64>,
}

impl Estimates {
    /// The zone around the limit.
    pub(super) fn zone(&self) -> IndifferenceZone {
        self.look.test.zone
    }

    /// The estimate without the stored baseline, which may be of another host; with fewer than two pairs the one that is shown.
    pub(super) fn todays(&self) -> Estimate {
        self.look.pairs.unwrap_or(self.shown.estimate)
    }
}

/// The indifference zone around a relative limit of this metric.
pub(super) fn zone(metric: Metric, limit: f64) -> IndifferenceZone {
    match metric.better() {
        Better::Higher => IndifferenceZone::of_loss(limit),
        Better::Lower | Better::Neither => IndifferenceZone::of_growth(limit),
    }
}

/// δ on the log scale as the ratio in reports: positive is worse, and a loss of 5 % of throughput is 5 %.
pub(super) fn ratio(metric: Metric, delta: f64) -> f64 {
    match metric.better() {
        Better::Higher => -(-delta).exp_m1(),
        Better::Lower | Better::Neither => delta.exp_m1(),
    }
}

/// The answer to one limit.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    /// Missing: one side has no usable value.
    pub(super) status: Status,
    pub(super) reason: String,
    pub(super) estimates: Option<Estimates>,
    pub(super) looks_worse: bool,
}

impl Answered {
    /// An answer without estimates of a change.
    pub(super) fn new(status: Status, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            estimates: None,
            looks_worse: status == Status::Regressed,
        }
    }

    pub(super) fn missing(reason: impl Into<String>) -> Self {
        Self::new(Status::Missing, reason)
    }

    /// Severity; larger is worse.
    pub(super) fn rank(&self) -> u8 {
        match self.status {
            Status::Improved => 0,
            Status::Pass => 1,
            Status::Inconclusive => 2,
            Status::Regressed => 3,
            Status::Missing => 4,
        }
    }
}
