//! One trial: the remaining looks, the result of the last one, and the next step.

use std::collections::VecDeque;

use super::evidence::{Evidence, LooksTaken};
use super::protocol::Protocol;
use super::stage::Stage;
use crate::compare::ComparisonInputs;
use crate::event::{Because, GateEvent, NextSample, OpenRule, SampleKind};
use crate::policy::rule::{Action, Policy};
use crate::policy::{
    Labels, ThisLook, compare_evidence, first_run, only_a_reason_is_missing, with_analysis,
    with_explanation,
};
use crate::report::comparison::{Analysis, Comparison, NextAction, Status, Verdict};

/// The fewest repeats whose noise is known well enough to conclude that more of them cannot decide.
const FEWEST_BEFORE_GIVING_UP: u32 = 5;

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
    /// Looks at other evidence of this commit.
    elsewhere: LooksTaken,
}

impl<'a> Trial<'a> {
    /// Continues after the look `before`; `elsewhere` are looks at other evidence of the commit.
    pub fn new(
        protocol: &'a Protocol,
        policy: &'a Policy,
        author: Author,
        before: Option<Comparison>,
        elsewhere: LooksTaken,
    ) -> Self {
        let here = before.as_ref().map_or(LooksTaken::default(), |before| {
            LooksTaken::of(&before.decision.looks)
        });
        let mut queued = VecDeque::new();
        if let Some(before) = &before {
            queued.push_back(Step::Tell(GateEvent::Continued {
                headline: before.headline.clone(),
            }));
        }
        if elsewhere != LooksTaken::default() {
            queued.push_back(Step::Tell(GateEvent::BeganAnew {
                repeats: elsewhere.repeats,
                pairs: elsewhere.pairs,
            }));
        }
        Self {
            protocol,
            policy,
            author,
            stages: Stage::left(protocol, here.and(elsewhere)).into(),
            is_asked: false,
            queued,
            before,
            elsewhere,
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
        };
        self.tell(GateEvent::Measuring(sample));
        if have < need {
            self.queued.push_back(match stage.kind() {
                SampleKind::Repeats => Step::Measure { repeats: need },
                SampleKind::Pairs | SampleKind::MorePairs => Step::Pairs { pairs: need },
            });
        }
    }

    /// Judges all evidence, and ends the trial if the verdict is settled.
    fn look(&mut self, stage: Stage, evidence: &Evidence) {
        let Some(comparison) = self.judge(stage, evidence) else {
            if self.protocol.has_base {
                self.tell(GateEvent::NoStoredBaseline);
            } else {
                self.end_first_run(evidence);
            }
            return;
        };
        // Only decisions that spent α or β are kept.
        if !stage.is_spent() || self.before.is_none() {
            self.keep(&comparison);
        }
        if self.is_settled(stage, &comparison) {
            self.stages.clear();
        } else if self.is_hopeless(stage, &comparison) {
            self.tell(GateEvent::BaselineTooNoisy);
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
        let this_look = ThisLook {
            levels: self.protocol.levels,
            look: stage.look(evidence),
            // Anytime-valid evidence spends α once; it is not available if other evidence of the commit has used α.
            anytime: stage == Stage::MorePairs && self.elsewhere == LooksTaken::default(),
            before: self.before.as_ref(),
            analysis: self.author.analysis.as_ref(),
            explanation: self.author.explanation.as_ref(),
        };
        Some(compare_evidence(self.policy, &given, labels, this_look))
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

    fn is_settled(&self, stage: Stage, comparison: &Comparison) -> bool {
        let pairs_can_follow = stage.kind() == SampleKind::Repeats && self.protocol.has_base;
        match comparison.verdict {
            Verdict::Pass | Verdict::Warn | Verdict::Block | Verdict::Report => true,
            // Pairs are measured before a reason is requested, because more repeats would not give one.
            Verdict::Inconclusive => only_a_reason_is_missing(comparison) && !pairs_can_follow,
            // The stored baseline is of another machine or workload: pairs do not need it.
            Verdict::Incomparable => comparison.mismatches.is_empty() || !pairs_can_follow,
        }
    }

    /// Whether more repeats of the candidate cannot decide, because of the stored baseline's own noise.
    fn is_hopeless(&self, stage: Stage, comparison: &Comparison) -> bool {
        let Stage::Repeats(look) = stage else {
            return false;
        };
        !self.protocol.has_base
            && !look.is_spent()
            && look.at >= FEWEST_BEFORE_GIVING_UP
            && comparison.next.action == NextAction::Ab
    }
}

/// Why a look was not the last one.
fn because(before: &Comparison) -> Because {
    match before.verdict {
        Verdict::Incomparable => Because::NotComparable {
            headline: before.headline.clone(),
        },
        Verdict::Pass | Verdict::Warn | Verdict::Report | Verdict::Block => Because::RunAgain,
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
