//! The driver of a trial: measures its steps, saves its interim looks, and emits events.

use std::path::Path;

use super::arm::Arm;
use super::evidence::{EvidenceFile, EvidenceFolder};
use super::repeat_context::{RepeatContext, server_of};
use super::repeating;
use super::slowdown::slowed;
use super::spending::{FindStored, Spending};
use crate::baseline;
use crate::config::{Fresh, Plan};
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::policy::rule::Policy;
use crate::record::Run;
use crate::record::format::Source;
use crate::report::comparison::Comparison;
use crate::trial::{Author, Evidence, LooksTaken, Names, Protocol, Step, StoredBaseline, Trial};

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
    /// Folder of server logs.
    pub(crate) logs: &'a Path,
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) events: &'a Events,
    pub(crate) interrupt: &'a Interrupt,
}

/// The result.
pub(crate) struct Decided {
    pub(crate) comparison: Comparison,
    /// Server starts of this run.
    pub(crate) starts: u32,
}

/// The protocol of a gate with this plan and policy.
pub(crate) fn protocol(plan: &Plan, policy: &Policy, may_have_stored: bool) -> Protocol {
    if plan.base.is_some() {
        Protocol::with_base(plan.repeat, may_have_stored)
    } else {
        Protocol::without_base(plan.repeat, policy.noise.max_repeats)
    }
}

/// The evidence on disk; the gate judges only what it has saved.
#[derive(Default)]
struct OnDisk {
    candidate: Option<Run>,
    pairs: Option<(Run, Run)>,
    stored: Option<StoredBaseline>,
    names: [String; 3],
    missing_baseline: String,
}

impl OnDisk {
    fn evidence(&self) -> Evidence<'_> {
        let [candidate, pair_baseline, pair_candidate] = &self.names;
        Evidence {
            candidate: self.candidate.as_ref(),
            pairs: self
                .pairs
                .as_ref()
                .map(|(base, candidate)| (base, candidate)),
            stored: self.stored.as_ref(),
            names: Names {
                candidate,
                pairs: (pair_baseline, pair_candidate),
            },
            missing_baseline: &self.missing_baseline,
        }
    }
}

impl SequentialGate<'_> {
    /// Measures and makes interim looks until the trial is done.
    pub(crate) async fn run(&self) -> Result<Decided, Failure> {
        self.evidence.create()?;
        let before = self.evidence.last_look()?;
        let here = before
            .as_ref()
            .map_or(&[][..], |before| &before.decision.looks);
        let elsewhere = self
            .spending
            .map_or(LooksTaken::NONE, |spending| spending.elsewhere(here));
        let mut trial = Trial::new(
            self.protocol,
            self.policy,
            self.author.clone(),
            before,
            elsewhere,
        );
        let mut on_disk = self.read(None)?;
        let mut starts = 0;
        loop {
            match trial.next(&on_disk.evidence()) {
                Step::Tell(event) => self.events.emit(event),
                Step::Measure { repeats } => {
                    starts += self.measure_repeats(repeats).await?;
                    on_disk = self.read(on_disk.stored)?;
                }
                Step::Pairs { pairs } => {
                    starts += self.measure_pairs(pairs).await?;
                    on_disk = self.read(on_disk.stored)?;
                }
                Step::Keep(comparison) => self.keep(&comparison, on_disk.stored.as_ref())?,
                Step::Done(Some(comparison)) => {
                    return Ok(Decided {
                        comparison: *comparison,
                        starts,
                    });
                }
                Step::Done(None) => {
                    return Err(Failure::message(ExitStatus::Bug, "nothing was measured"));
                }
            }
        }
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

    /// Reads the evidence from disk; `stored` is the baseline of an earlier look.
    fn read(&self, stored: Option<StoredBaseline>) -> Result<OnDisk, Failure> {
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
        let sides = [
            EvidenceFile::Candidate,
            EvidenceFile::PairBaseline,
            EvidenceFile::PairCandidate,
        ];
        Ok(OnDisk {
            candidate,
            pairs: pair_base.zip(pair_candidate),
            stored,
            names: sides.map(|side| self.evidence.path(side).display().to_string()),
            missing_baseline,
        })
    }

    fn arm(&self, side: EvidenceFile) -> Result<Arm<'_>, Failure> {
        let candidate = server_of(self.plan)?;
        let (server, name, ordinals) = match side {
            EvidenceFile::Candidate => (candidate, "", (0, 1)),
            EvidenceFile::PairBaseline => (
                self.plan.base.as_ref().unwrap_or(candidate),
                "base",
                (FIRST_PAIR_START, 2),
            ),
            EvidenceFile::PairCandidate => (candidate, "candidate", (FIRST_PAIR_START + 1, 2)),
        };
        let plan = match (side, self.base_plan) {
            (EvidenceFile::PairBaseline, Some(base_plan)) => base_plan,
            _ => self.plan,
        };
        let context = RepeatContext {
            plan,
            server,
            // Two versions do not fit on one GPU side by side.
            fresh: if side == EvidenceFile::Candidate {
                self.plan.fresh
            } else {
                Fresh::Repeat
            },
            side: name,
            ordinals,
            own_arrivals: false,
            may_fail: false,
            output: self.evidence.path(side),
            logs: Some(self.logs.to_owned()),
            environment: self.environment,
            events: self.events,
            interrupt: self.interrupt,
        };
        let mut arm = Arm::begin(context, self.evidence.earlier(side)?)?;
        let commit = match side {
            EvidenceFile::PairBaseline => &self.commits.base,
            EvidenceFile::Candidate | EvidenceFile::PairCandidate => &self.commits.candidate,
        };
        if let Some(commit) = commit {
            arm.is_of(commit.clone());
        }
        Ok(arm)
    }

    async fn measure_repeats(&self, wanted: u32) -> Result<u32, Failure> {
        let mut arm = self.arm(EvidenceFile::Candidate)?;
        repeating::measure_repeats(&mut arm, wanted).await?;
        Ok(arm.starts())
    }

    async fn measure_pairs(&self, wanted: u32) -> Result<u32, Failure> {
        let mut base = self.arm(EvidenceFile::PairBaseline)?;
        let mut candidate = self.arm(EvidenceFile::PairCandidate)?;
        repeating::measure_pairs(&mut base, &mut candidate, wanted).await?;
        Ok(base.starts() + candidate.starts())
    }
}
