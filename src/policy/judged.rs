//! What a judgement is made of: the evidence of a scenario, the levels of a look, estimates, and the answer.

use crate::compare::{self, SideValues};
use crate::metric::{Better, Metric};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{Judgement, Status};
use crate::stats::{self, Assessment, Decision, ErrorLevels, IndifferenceZone, InterimLook};

/// Both sides of a scenario.
pub(super) type Sides<'a> = (Option<&'a ScenarioRun>, Option<&'a ScenarioRun>);

/// All evidence about one scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScenarioEvidence<'a> {
    pub(super) name: &'a str,
    /// The stored baseline and the candidate, where they are comparable.
    pub(super) stored: Option<Sides<'a>>,
    /// Alternating repeats, if any.
    pub(super) pairs: Option<Sides<'a>>,
    pub(super) ledger: &'a [&'a Run],
}

impl<'a> ScenarioEvidence<'a> {
    /// The sides that decide; reports show their values.
    pub(super) fn shown(&self) -> Sides<'a> {
        self.pairs.or(self.stored).unwrap_or((None, None))
    }

    /// The logs of the accepted sessions, oldest first.
    pub(super) fn sessions(&self, metric: Metric) -> Vec<Vec<f64>> {
        let new = self.shown().1;
        let session = |run: &&Run| {
            let session = run.scenario(self.name)?;
            // With another definition or another number of tokens per chunk, its noise is not comparable.
            let fits = new.is_none_or(|new| compare::unlike(metric, session, new).is_none());
            fits.then(|| SideValues::of(metric, Some(session)).logs)
        };
        let sessions = self.ledger.iter().filter_map(session);
        sessions.filter(|session| !session.is_empty()).collect()
    }
}

/// The error levels of an interim look.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookTerms {
    /// α of the rule, already shared among the family, and β.
    pub(super) levels: ErrorLevels,
    /// The share of them that this look may spend.
    pub(super) look: InterimLook,
    /// All interim looks are spent: only anytime-valid evidence can block.
    pub(super) anytime: bool,
    /// Whether the author gave an analysis, which also explains an implausible speed-up.
    pub(super) has_reason: bool,
}

impl LookTerms {
    /// The levels of this look.
    pub(super) fn now(&self) -> ErrorLevels {
        self.levels.at(self.look)
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
    pub(super) decision: Decision,
    pub(super) assessment: Assessment,
    pub(super) zone: IndifferenceZone,
    /// The noise, learnt from the ledger or assumed.
    pub(super) noise: stats::Noise,
    /// p-value of the noise among the candidate's repeats under the noise of the ledger.
    pub(super) candidate_noise: Option<f64>,
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
