//! One trial: the remaining looks, the result of the last one, and the next step.

use std::collections::VecDeque;
use std::sync::Arc;

use super::evidence::{ErrorsLeft, Evidence, LooksTaken};
use super::protocol::Protocol;
use super::stage::Stage;
use crate::compare::ComparisonInputs;
use crate::event::{Because, GateEvent, NextSample, OpenRule, SampleKind};
use crate::policy::rule::{Action, Policy};
use crate::policy::{
    Labels, LookAt, ThisLook, compare_evidence, family, first_run, only_a_reason_is_missing,
    with_analysis, with_explanation,
};
use crate::report::comparison::{Analysis, Comparison, Status, Verdict};
use crate::stats::PairSchedule;

/// The texts of the change's author.
#[derive(Clone, Debug, Default)]
pub struct Author {
    /// The analysis of a regression under a `report` rule.
    pub analysis: Option<Analysis>,
    /// The explanation of a regression under a rule with `explain`.
    pub explanation: Option<Analysis>,
}

impl Author {
    /// An earlier comparison with these texts.
    pub fn on(&self, mut comparison: Comparison) -> Comparison {
        if let Some(analysis) = &self.analysis {
            comparison = with_analysis(comparison, analysis.clone());
        }
        if let Some(explanation) = &self.explanation {
            comparison = with_explanation(comparison, explanation.clone());
        }
        comparison
    }
}

/// The next step of the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Tell the user.
    Tell(GateEvent),
    /// Measure the candidate until that many of its repeats count, or too many are void.
    Measure {
        /// Repeats that count.
        repeats: u32,
    },
    /// Measure baseline and candidate alternately until that many pairs count, or too many are void.
    Pairs {
        /// Pairs in which both repeats count.
        pairs: u32,
    },
    /// A look was taken: store its spending, then the look, before any other step.
    Keep(Box<Comparison>),
    /// Decided, or all looks are spent; `None` without anything to judge.
    Done(Option<Box<Comparison>>),
}

/// One gate, from its first look or from the end of an earlier run of the commit.
#[derive(Debug)]
pub struct Trial<'a> {
    protocol: &'a Protocol,
    policy: &'a Policy,
    author: Author,
    stages: VecDeque<Stage>,
    /// Whether the evidence of the first stage was requested.
    is_asked: bool,
    /// Steps before the next stage or look.
    queued: VecDeque<Step>,
    /// The last look.
    before: Option<Comparison>,
    /// What looks at other evidence of this commit left.
    left: ErrorsLeft,
}

impl<'a> Trial<'a> {
    /// Continues after the look `before`; `left` is what looks at other evidence of the commit left.
    pub fn new(
        protocol: &'a Protocol,
        policy: &'a Policy,
        author: Author,
        before: Option<Comparison>,
        left: ErrorsLeft,
    ) -> Self {
        let taken = before.as_ref().map_or(LooksTaken::default(), |before| {
            LooksTaken::of(&before.decision.looks)
        });
        let shares = left.shares();
        let can_decide = shares.alpha > 0.0 || shares.beta > 0.0;
        let stages: VecDeque<Stage> = Stage::left(protocol, taken, can_decide).into();
        let adds = !stages.iter().any(|stage| stage.is_spent());
        let mut queued = VecDeque::new();
        if let Some(before) = &before {
            if adds {
                queued.push_back(Step::Tell(GateEvent::Continued {
                    headline: before.headline.clone(),
                }));
            }
        } else if left != ErrorsLeft::ALL {
            queued.push_back(Step::Tell(GateEvent::BeganAnew {
                alpha: left.alpha,
                beta: left.beta,
            }));
        }
        Self {
            protocol,
            policy,
            author,
            stages,
            is_asked: false,
            queued,
            before,
            left,
        }
    }

    /// The next step, given all evidence so far. Evidence only grows between two calls.
    pub fn next(&mut self, evidence: &Evidence) -> Step {
        loop {
            if let Some(step) = self.queued.pop_front() {
                return step;
            }
            let Some(stage) = self.stages.front().copied() else {
                return Step::Done(self.before.take().map(Box::new));
            };
            if self.is_asked {
                self.is_asked = false;
                self.stages.pop_front();
                self.look(stage, evidence);
            } else {
                self.is_asked = true;
                self.ask(stage, evidence);
            }
        }
    }

    /// The last look, that of an earlier run included.
    pub fn last_look(&self) -> Option<&Comparison> {
        self.before.as_ref()
    }

    /// Ends the trial without more evidence; `None` without a look.
    pub fn stopped(self) -> Option<Comparison> {
        // The author's texts are not part of the evidence and may be newer.
        self.before.map(|before| self.author.on(before))
    }

    fn tell(&mut self, event: GateEvent) {
        self.queued.push_back(Step::Tell(event));
    }

    fn keep(&mut self, comparison: &Comparison) {
        let step = Step::Keep(Box::new(comparison.clone()));
        self.queued.push_back(step);
    }

    /// Requests the evidence that the stage needs and that is missing.
    fn ask(&mut self, stage: Stage, evidence: &Evidence) {
        if stage.is_spent() {
            self.tell(GateEvent::NothingLeft);
            // The author's analysis is not part of the evidence and may be newer.
            self.before = self.before.take().map(|before| self.author.on(before));
        }
        let (have, need) = stage.have_and_need(evidence);
        let sample = NextSample {
            because: self.before.as_ref().map_or(Because::First, because),
            kind: stage.kind(),
            have,
            need,
            most: self.protocol.most(),
        };
        if !stage.is_spent() || have < need {
            self.tell(GateEvent::Measuring(sample));
        }
        match stage.kind() {
            SampleKind::Repeats if have < need => {
                self.queued.push_back(Step::Measure { repeats: need });
            }
            SampleKind::Pairs if have < need => {
                // The first start meets cold caches, so it has no partner. A void one is not replaced later.
                if evidence.candidate.is_none() {
                    self.queued.push_back(Step::Measure { repeats: 1 });
                }
                self.queued.push_back(Step::Pairs { pairs: need });
            }
            SampleKind::Repeats | SampleKind::Pairs => {}
        }
    }

    /// Judges all evidence, and ends the trial if the verdict is settled.
    fn look(&mut self, stage: Stage, evidence: &Evidence) {
        // Without a stored baseline a single pair decides nothing.
        if stage == Stage::Pairs(1) && evidence.stored.is_none() {
            self.tell(GateEvent::NoStoredBaseline);
            return;
        }
        let Some(comparison) = self.judge(stage, evidence) else {
            if !self.protocol.has_base() {
                self.end_first_run(evidence);
            }
            return;
        };
        // Only decisions that spent α or β are kept.
        if !stage.is_spent() || self.before.is_none() {
            self.keep(&comparison);
        }
        if is_settled(stage, &comparison) {
            self.stages.clear();
        }
        self.before = Some(comparison);
    }

    /// The verdict of the look; `None` without a baseline.
    fn judge(&self, stage: Stage, evidence: &Evidence) -> Option<Comparison> {
        let stored = evidence.stored.as_ref();
        let candidate = evidence.candidate.as_ref();
        let beside = stored.map(|stored| &stored.run).zip(candidate);
        if evidence.pairs.is_none() && beside.is_none() {
            return None;
        }
        let given = ComparisonInputs {
            stored: beside,
            pairs: evidence.pairs.as_ref().map(|(base, new)| (base, new)),
            beside: candidate,
            ledger: stored.map_or(&self.protocol.ledger, |stored| &stored.ledger),
            release: stored.and_then(|stored| stored.release.as_ref()),
            ..ComparisonInputs::default()
        };
        let labels = Labels {
            baseline: stored.map_or("", |stored| &stored.path),
            candidate: &evidence.candidate_name,
            pairs: (&evidence.pair_names.0, &evidence.pair_names.1),
            ledger: stored.and_then(|stored| stored.ledger_path.as_deref()),
        };
        let left = self.left.shares();
        let schedule = matches!(stage, Stage::Pairs(_)).then(|| self.schedule(evidence));
        let this_look = ThisLook {
            levels: self.protocol.levels.times(left),
            at: match (stage, &schedule) {
                (Stage::Repeats(look), _) => LookAt::Repeats(look),
                (Stage::Pairs(pairs), Some(schedule)) if pairs <= schedule.span() => {
                    LookAt::Pairs(pairs, schedule)
                }
                (Stage::Pairs(pairs), _) => LookAt::Beyond(pairs),
                (Stage::Spent(..), _) => LookAt::Spent,
            },
            before: self.before.as_ref(),
            analysis: self.author.analysis.as_ref(),
            explanation: self.author.explanation.as_ref(),
        };
        Some(compare_evidence(self.policy, &given, labels, this_look))
    }

    /// The levels of each rule after each pair.
    fn schedule(&self, evidence: &Evidence) -> Arc<PairSchedule> {
        let measured = evidence.pairs.as_ref().map(|(_, candidate)| candidate);
        let measured = measured.or(evidence.candidate.as_ref());
        let family = measured.map_or(1, |run| family(self.policy, run));
        let has_stored = evidence.stored.is_some();
        self.protocol
            .schedule(family, self.left.shares(), has_stored)
    }

    /// The verdict without a baseline if the policy lets that pass.
    fn end_first_run(&mut self, evidence: &Evidence) {
        self.stages.clear();
        let Some(candidate) = &evidence.candidate else {
            return;
        };
        let labels = Labels {
            baseline: "none yet",
            candidate: &evidence.candidate_name,
            ..Labels::default()
        };
        let this_look = ThisLook {
            analysis: self.author.analysis.as_ref(),
            explanation: self.author.explanation.as_ref(),
            ..ThisLook::ONLY
        };
        let missing = &evidence.missing_baseline;
        let comparison = first_run(self.policy, candidate, labels, missing, this_look);
        self.keep(&comparison);
        self.before = Some(comparison);
    }
}

fn is_settled(stage: Stage, comparison: &Comparison) -> bool {
    match comparison.verdict {
        Verdict::Pass
        | Verdict::Warn
        | Verdict::Block
        | Verdict::Report
        | Verdict::Incomparable => true,
        // A second pair is measured before a reason is requested: the first look is also against the stored baseline.
        Verdict::Inconclusive => only_a_reason_is_missing(comparison) && stage != Stage::Pairs(1),
    }
}

/// Why a look was not the last one.
fn because(before: &Comparison) -> Because {
    match before.verdict {
        Verdict::Pass
        | Verdict::Warn
        | Verdict::Report
        | Verdict::Block
        | Verdict::Incomparable => Because::RunAgain,
        Verdict::Inconclusive => {
            let row = before
                .judgements
                .iter()
                .find(|row| row.status == Status::Inconclusive && row.rule.action != Action::Warn);
            let open = row.and_then(|row| {
                let change = row.change?;
                Some(OpenRule {
                    metric: row.metric,
                    scenario: row.scenario.clone(),
                    low: change.low,
                    high: change.high,
                    limit: row.rule.regression?,
                })
            });
            Because::Undecided {
                headline: before.headline.clone(),
                open,
            }
        }
    }
}
