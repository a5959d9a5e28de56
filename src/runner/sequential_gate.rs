//! The driver of a trial: measures its steps, saves its interim looks, and emits events.

use std::path::Path;

use super::CommandContext;
use super::arm::Arm;
use super::evidence::{EvidenceFile, EvidenceFolder, price};
use super::gate_budget::{GateBudget, SpentSoFar, missing, nothing_judged};
use super::repeat_context::{RepeatContext, server_of};
use super::repeating::{Arms, measure_repeats};
use super::slowdown::slowed;
use super::spending::{FindStored, Spending};
use crate::baseline;
use crate::config::{Fresh, Plan};
use crate::event::GateEvent;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::policy::rule::Policy;
use crate::record::format::Source;
use crate::record::{Run, average_price};
use crate::report::comparison::{Comparison, Verdict};
use crate::report::price::{BudgetEnd, VerdictPrice};
use crate::trial::{Author, ErrorsLeft, Evidence, Protocol, Step, StoredBaseline, Trial};

/// Number of the first start of pairs, so that they differ from the starts of repeats.
const FIRST_PAIR_START: u32 = 1000;

/// The commits of both versions, if they differ from the working tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commits {
    pub(crate) base: Option<Source>,
    pub(crate) candidate: Option<Source>,
}

/// One gate on one machine.
pub(crate) struct SequentialGate<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) policy: &'a Policy,
    /// Interim looks and error levels.
    pub(crate) protocol: &'a Protocol,
    pub(crate) evidence: &'a EvidenceFolder,
    /// Earlier spending of this commit; `None` without a commit, or if the evidence is complete.
    pub(crate) spending: Option<&'a Spending>,
    pub(crate) find_stored: &'a FindStored<'a>,
    /// The author's texts for a growth or a regression.
    pub(crate) author: Author,
    /// Artificial slow-down of the candidate, for a selftest.
    pub(crate) scale: Option<f64>,
    /// The plan of the base version, if it differs in more than the server; its load is that of `plan`.
    pub(crate) base_plan: Option<&'a Plan>,
    /// The commits of the measured versions.
    pub(crate) commits: Commits,
    /// The most that this run may cost; `None`: no limit.
    pub(crate) budget: Option<GateBudget>,
    /// Folder of server logs.
    pub(crate) logs: &'a Path,
    pub(crate) command: CommandContext<'a>,
}

/// The result.
pub(crate) struct Decided {
    pub(crate) comparison: Comparison,
    /// Server starts of this run.
    pub(crate) starts: u32,
    /// What the evidence cost, beside the accepted sessions.
    pub(crate) price: Option<VerdictPrice>,
    /// The budget that ended before the evidence decided.
    pub(crate) budget_end: Option<BudgetEnd>,
}

/// The protocol of a gate with this plan and policy.
pub(crate) fn protocol(plan: &Plan, policy: &Policy) -> Protocol {
    if plan.base.is_some() {
        Protocol::with_base(policy.noise.max_pairs)
    } else {
        Protocol::without_base(plan.repeat, policy.noise.max_repeats)
    }
}

impl SequentialGate<'_> {
    /// Measures and makes interim looks until the trial is done.
    pub(crate) async fn run(&self) -> Result<Decided, Failure> {
        self.evidence.create()?;
        let before = self.evidence.last_look()?;
        let left = self.spending.map_or(ErrorsLeft::ALL, Spending::left);
        let author = self.author.clone();
        let mut trial = Trial::new(self.protocol, self.policy, author, before, left);
        let mut evidence = self.read(None)?;
        let begin = |budget| SpentSoFar::begin(budget, self.evidence);
        let budget = self.budget.map(begin).transpose()?;
        let mut starts = 0;
        loop {
            let step = trial.next(&evidence);
            if let Some(budget) = &budget
                && let Step::Measure { .. } | Step::Pairs { .. } = step
            {
                let last = trial.last_look();
                let missing = missing(self.plan, self.protocol, &evidence, &step, last);
                if let Some(end) = budget.ends_before(&missing)? {
                    let why = end.to_string();
                    self.command.events.emit(GateEvent::BudgetEnded { why });
                    let last = trial.stopped().ok_or_else(|| nothing_judged(&end))?;
                    return self.decided(last, starts, &evidence, Some(end));
                }
            }
            match step {
                Step::Tell(event) => self.command.events.emit(event),
                Step::Measure { repeats } => {
                    let mut arm = self.arm(EvidenceFile::Candidate)?;
                    measure_repeats(&mut arm, repeats).await?;
                    starts += arm.starts;
                    evidence = self.read(evidence.stored)?;
                }
                Step::Pairs { pairs } => {
                    let mut arms = Arms {
                        base: self.arm(EvidenceFile::PairBaseline)?,
                        candidate: self.arm(EvidenceFile::PairCandidate)?,
                    };
                    arms.measure_pairs(pairs, self.plan.seed).await?;
                    starts += arms.base.starts + arms.candidate.starts;
                    evidence = self.read(evidence.stored)?;
                }
                Step::Keep(comparison) => self.keep(&comparison, evidence.stored.as_ref())?,
                Step::Done(Some(comparison)) => {
                    return self.decided(*comparison, starts, &evidence, None);
                }
                Step::Done(None) => {
                    return Err(Failure::message(ExitStatus::Bug, "nothing was measured"));
                }
            }
        }
    }

    /// The result with its price. The end of a budget changes no verdict that is settled.
    fn decided(
        &self,
        comparison: Comparison,
        starts: u32,
        evidence: &Evidence,
        budget_end: Option<BudgetEnd>,
    ) -> Result<Decided, Failure> {
        let stored = evidence.stored.as_ref();
        let average = stored.and_then(|stored| average_price(&stored.ledger));
        let price = price(self.evidence.measured()?.iter());
        Ok(Decided {
            budget_end: budget_end.filter(|_| comparison.verdict == Verdict::Inconclusive),
            comparison,
            starts,
            price: price.map(|evidence| VerdictPrice { evidence, average }),
        })
    }

    /// Saves an interim look, its spending first: a gate that is killed in between has spent it.
    fn keep(
        &self,
        comparison: &Comparison,
        stored: Option<&StoredBaseline>,
    ) -> Result<(), Failure> {
        tracing::debug!(
            "looked with {} rules: {}",
            comparison.judgements.len(),
            comparison.headline
        );
        if let Some(spending) = self.spending {
            spending.note(&comparison.decision.looks, stored)?;
        }
        self.evidence.keep(comparison)
    }

    /// Reads the evidence from disk, because only saved evidence is judged; `stored` is the baseline of an earlier look.
    fn read(&self, stored: Option<StoredBaseline>) -> Result<Evidence, Failure> {
        let slowed = |run: Option<Run>| match (run, self.scale) {
            (Some(run), Some(share)) => slowed(run, share).map(Some),
            (run, _) => Ok(run),
        };
        let candidate = slowed(self.evidence.run(EvidenceFile::Candidate)?)?;
        let pair_base = self.evidence.run(EvidenceFile::PairBaseline)?;
        let pair_candidate = slowed(self.evidence.run(EvidenceFile::PairCandidate)?)?;
        let measured = candidate.as_ref().or(pair_candidate.as_ref());
        let stored = match (stored, measured) {
            (None, Some(measured)) => (self.find_stored)(measured)?,
            (stored, _) => stored,
        };
        let environment = measured.and_then(|run| run.file.environment.as_ref());
        let hardware = baseline::hardware_name(environment);
        let missing_baseline = format!("no baseline of `{}` for `{hardware}` yet", self.plan.name);
        let name = |side| self.evidence.path(side).display().to_string();
        let [candidate_name, pair_base_name, pair_candidate_name] = EvidenceFile::ALL.map(name);
        Ok(Evidence {
            candidate,
            pairs: pair_base.zip(pair_candidate),
            stored,
            candidate_name,
            pair_names: (pair_base_name, pair_candidate_name),
            missing_baseline,
        })
    }

    fn arm(&self, side: EvidenceFile) -> Result<Arm<'_>, Failure> {
        let candidate = server_of(self.plan)?;
        let base = self.plan.base.as_ref().unwrap_or(candidate);
        let base_plan = self.base_plan.unwrap_or(self.plan);
        let Commits {
            base: base_commit,
            candidate: commit,
        } = &self.commits;
        let (plan, server, name, ordinals, commit) = match side {
            EvidenceFile::Candidate => (self.plan, candidate, "", (0, 1), commit),
            EvidenceFile::PairBaseline => {
                (base_plan, base, "base", (FIRST_PAIR_START, 2), base_commit)
            }
            EvidenceFile::PairCandidate => {
                let ordinals = (FIRST_PAIR_START + 1, 2);
                (self.plan, candidate, "candidate", ordinals, commit)
            }
        };
        let context = RepeatContext {
            // Two versions do not fit on one GPU side by side, and the first start is like the others.
            fresh: if self.protocol.has_base() {
                Fresh::Repeat
            } else {
                plan.fresh
            },
            side: name,
            ordinals,
            logs: Some(self.logs.to_owned()),
            ..RepeatContext::new(plan, server, self.evidence.path(side), self.command)
        };
        let earlier = self.evidence.run(side)?.map(|run| run.file);
        let mut arm = Arm::begin(context, earlier)?;
        if commit.is_some() {
            arm.run.result.source.clone_from(commit);
        }
        Ok(arm)
    }
}
