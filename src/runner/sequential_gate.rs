//! The gate's loop: measure as much as the next look needs, look, and stop as soon as it is decided.

use std::path::Path;

use super::arm::{Arm, MOST_VOID};
use super::evidence::{EvidenceFolder, Side, looks_taken};
use super::repeat_runner::{Measuring, server_of};
use super::slowdown::slowed;
use super::spending::Spending;
use crate::baseline;
use crate::compare::Given;
use crate::config::{Fresh, Plan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::justification::Author;
use crate::interrupt::Interrupt;
use crate::policy::rule::Policy;
use crate::policy::{self, GATE_LEVELS, Labels, ThisLook, compare_evidence};
use crate::record::Run;
use crate::record::format::Source;
use crate::report::comparison::{Comparison, LookTaken, NextAction, Verdict};
use crate::stats::{Levels, Look, PAIR_LOOKS, candidate_looks};
use crate::terminal::progress::{Progress, note};

/// Pairs that a re-run adds when every look is spent.
const MORE_PAIRS: u32 = 3;

/// Of fewer repeats today's own noise is known too badly to say that more of them cannot decide.
const FEWEST_BEFORE_GIVING_UP: u32 = 5;

/// Starts of a gate count from here in pairs, so that no start of a pair is one of the repeats before.
const FIRST_PAIR_START: u32 = 1000;

/// The accepted runs.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) run: Run,
    /// How its file is called.
    pub(crate) path: String,
    pub(crate) ledger: Vec<Run>,
    pub(crate) ledger_path: Option<String>,
    /// The last release.
    pub(crate) release: Option<Run>,
}

/// Finds the accepted runs of the machine that was measured; `None` where there are none.
pub(crate) type FindStored<'a> = dyn Fn(&Run) -> Result<Option<Stored>, Failure> + 'a;

/// How carefully it is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care<'a> {
    pub(crate) levels: Levels,
    /// Looks at alternating pairs.
    pub(crate) pair_looks: &'a [Look],
    /// Runs of the base version from which the noise is learnt where there is no stored baseline with a ledger.
    pub(crate) ledger: &'a [Run],
}

impl Care<'_> {
    /// That of a gate.
    pub(crate) const GATE: Self = Self {
        levels: GATE_LEVELS,
        pair_looks: &PAIR_LOOKS,
        ledger: &[],
    };
}

/// The commits of both versions, where they are not that of the working tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commits {
    pub(crate) base: Option<Source>,
    pub(crate) candidate: Option<Source>,
}

/// One gate.
pub(crate) struct Deciding<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) policy: &'a Policy,
    /// How often the answer may be wrong, and when it is looked at pairs.
    pub(crate) care: Care<'a>,
    pub(crate) evidence: &'a EvidenceFolder,
    /// What this commit has spent before; nothing where no commit is known, or where the evidence is all there is.
    pub(crate) spending: Option<&'a Spending>,
    /// Whether there may be a stored baseline; only a measured machine has a name.
    pub(crate) may_have_stored: bool,
    pub(crate) find_stored: &'a FindStored<'a>,
    /// What the author says of a growth that a `report` rule asks about.
    pub(crate) author: &'a Author,
    /// How much slower the candidate is made to look (a selftest).
    pub(crate) scale: Option<f64>,
    /// The plan of the base version, where more of it is its own than its server; its load is that of `plan`.
    pub(crate) base_plan: Option<&'a Plan>,
    /// Whose versions are measured.
    pub(crate) commits: Commits,
    /// Where server logs go.
    pub(crate) logs: &'a Path,
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) progress: &'a Progress,
    pub(crate) interrupt: &'a Interrupt,
}

/// What came of it.
pub(crate) struct Decided {
    pub(crate) comparison: Comparison,
    /// Server starts of this run.
    pub(crate) starts: u32,
}

/// What is measured before a look.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Repeats of the candidate against the stored baseline.
    Repeats(Look),
    /// Alternating pairs.
    Pairs(Look),
    /// Pairs beyond the last look.
    MorePairs,
}

impl Stage {
    /// Whether it is only to show what is there.
    fn is_spent(self) -> bool {
        matches!(self, Self::Repeats(look) if look.is_spent())
    }
}

impl Deciding<'_> {
    /// The stages in their order, without those that an earlier run has looked at.
    fn stages(&self, before: Option<&Comparison>) -> Vec<Stage> {
        let first = self.plan.repeat;
        let base = self.plan.base.is_some();
        let told = told(before);
        let (at_repeats, at_pairs) = looks_taken(told);
        let (repeats_elsewhere, pairs_elsewhere) = self.elsewhere(before);
        let at_repeats = at_repeats + repeats_elsewhere;
        let at_pairs = at_pairs + pairs_elsewhere;
        let repeats: Vec<Stage> = if !base {
            let looks = candidate_looks(first, self.policy.noise.max_repeats);
            looks.into_iter().map(Stage::Repeats).collect()
        } else if self.may_have_stored {
            vec![Stage::Repeats(Look::before_pairs(first))]
        } else {
            Vec::new()
        };
        let pairs: Vec<Stage> = if base {
            self.care
                .pair_looks
                .iter()
                .copied()
                .map(Stage::Pairs)
                .collect()
        } else {
            Vec::new()
        };
        let mut left: Vec<Stage> = Vec::new();
        // Where pairs follow, repeats beside the stored baseline may only pass; once there are pairs, that chance is over.
        if at_pairs == 0 {
            left.extend(repeats.into_iter().skip(at_repeats));
        }
        left.extend(pairs.into_iter().skip(at_pairs));
        if left.is_empty() {
            // Nothing is left to decide with. What is there is judged all the same: a rule that was decided stays so, and
            // one that asks something else stays open.
            left.push(if base {
                Stage::MorePairs
            } else {
                Stage::Repeats(Look::spent(first))
            });
        }
        left
    }

    /// Looks at repeats and at pairs that other evidence of this commit has taken.
    fn elsewhere(&self, before: Option<&Comparison>) -> (usize, usize) {
        self.spending
            .map_or((0, 0), |spending| spending.elsewhere(told(before)))
    }

    /// Saves a look, its spending first: a gate that is killed in between has spent it.
    fn keep(&self, comparison: &Comparison, stored: Option<&Stored>) -> Result<(), Failure> {
        if let Some(spending) = self.spending {
            spending.note(&comparison.decision.looks, stored)?;
        }
        self.evidence.keep(comparison)
    }

    /// Measures and looks until it is decided or every look is spent.
    pub(crate) async fn run(&self) -> Result<Decided, Failure> {
        self.evidence.create()?;
        let mut before = self.evidence.last_look()?;
        if let Some(before) = &before {
            note(&format!(
                "this commit was looked at before ({}): its evidence is kept and added to",
                before.headline
            ));
        }
        let elsewhere = self.elsewhere(before.as_ref());
        if elsewhere != (0, 0) {
            note(&format!(
                "this commit was looked at before, but as another build, on another machine, against another baseline or with evidence that is gone: evidence starts anew with what is left of the accepted error probabilities (looks at repeats: {} spent, at pairs: {} spent)",
                elsewhere.0, elsewhere.1
            ));
        }
        let mut starts = 0;
        let mut stored = None;
        for stage in self.stages(before.as_ref()) {
            if stage.is_spent() {
                note(
                    "every look at this commit is spent; more can only be said with the base version at hand",
                );
                // The author's analysis is not part of the evidence, and may be newer.
                before = before.map(|before| self.author.said_of(before));
            }
            note(&self.why(stage, before.as_ref())?);
            starts += self.measure(stage).await?;
            let comparison = self.look(stage, &mut stored, before.as_ref())?;
            let Some(comparison) = comparison else {
                if self.plan.base.is_none() {
                    let comparison = self.first_run()?;
                    self.keep(&comparison, None)?;
                    before = Some(comparison);
                    break;
                }
                note(
                    "there is no stored baseline of this machine: the base version is measured alternately with the candidate",
                );
                continue;
            };
            // What is kept are the decisions that were paid for.
            if !stage.is_spent() || before.is_none() {
                self.keep(&comparison, stored.as_ref())?;
            }
            tracing::debug!(
                "looked with {} rules: {}",
                comparison.judgements.len(),
                comparison.headline
            );
            let settled = match comparison.verdict {
                Verdict::Pass | Verdict::Warn | Verdict::Block | Verdict::Report => true,
                // Pairs come before the request for a reason: more of the same repeats would not give one.
                Verdict::Inconclusive => {
                    policy::only_a_reason_is_missing(&comparison)
                        && (!matches!(stage, Stage::Repeats(_)) || self.plan.base.is_none())
                }
                // Another machine or workload than the stored baseline's: pairs need neither.
                Verdict::Incomparable => {
                    comparison.mismatches.is_empty()
                        || !matches!(stage, Stage::Repeats(_))
                        || self.plan.base.is_none()
                }
            };
            let hopeless = !settled && self.is_hopeless(stage, &comparison);
            before = Some(comparison);
            if settled || hopeless {
                break;
            }
        }
        let Some(comparison) = before else {
            let message = "nothing was measured";
            return Err(Failure::message(ExitStatus::Bug, message));
        };
        Ok(Decided { comparison, starts })
    }

    /// Whether more repeats of the candidate cannot decide: the stored baseline's own noise is what is in the way.
    fn is_hopeless(&self, stage: Stage, comparison: &Comparison) -> bool {
        let Stage::Repeats(look) = stage else {
            return false;
        };
        let hopeless = self.plan.base.is_none()
            && look.at >= FEWEST_BEFORE_GIVING_UP
            && comparison.next.action == NextAction::Ab;
        if hopeless {
            note(
                "more repeats of the candidate cannot decide against this baseline, so the gate stops: give the base version \
                 (`--base-image`, `server.base`), or accept a baseline from a quieter machine",
            );
        }
        hopeless
    }

    /// The verdict where there is no baseline and the policy lets that pass.
    fn first_run(&self) -> Result<Comparison, Failure> {
        let Some(candidate) = self.evidence.run(Side::Candidate)? else {
            return Err(Failure::message(ExitStatus::Bug, "nothing was measured"));
        };
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let missing = format!(
            "there is no baseline of `{}` for `{hardware}` yet",
            self.plan.name
        );
        let labels = Labels {
            baseline: "none yet",
            candidate: &self.evidence.path(Side::Candidate).display().to_string(),
            ..Labels::default()
        };
        let this_look = ThisLook {
            analysis: self.author.analysis.as_ref(),
            explanation: self.author.explanation.as_ref(),
            ..ThisLook::ONLY
        };
        Ok(policy::first_run(
            self.policy,
            &candidate,
            labels,
            &missing,
            this_look,
        ))
    }

    /// Repeats of a side that are there and count.
    fn counting(&self, side: Side) -> Result<u32, Failure> {
        let run = self.evidence.run(side)?;
        Ok(run.map_or(0, |run| run.counting_repeats()))
    }

    /// What is measured next, and why.
    fn why(&self, stage: Stage, before: Option<&Comparison>) -> Result<String, Failure> {
        let because = before.map_or_else(String::new, reason_to_go_on);
        Ok(match stage {
            Stage::Repeats(look) => {
                let have = self.counting(Side::Candidate)?;
                if have < look.at {
                    format!(
                        "{because}measuring repeats {} to {} of the candidate",
                        have + 1,
                        look.at
                    )
                } else {
                    format!(
                        "{because}looking at the {have} repeats of the candidate that are there"
                    )
                }
            }
            Stage::Pairs(look) => {
                let have = self.counting(Side::PairCandidate)?;
                if have < look.at {
                    format!(
                        "{because}measuring baseline and candidate alternately on this machine, pairs {} to {}",
                        have + 1,
                        look.at
                    )
                } else {
                    format!("{because}looking at the {have} alternating pairs that are there")
                }
            }
            Stage::MorePairs => {
                format!("{because}every look is spent; {MORE_PAIRS} more pairs may still block")
            }
        })
    }

    /// Measures what the look needs and is not there yet; the number of server starts.
    async fn measure(&self, stage: Stage) -> Result<u32, Failure> {
        match stage {
            Stage::Repeats(look) => self.measure_repeats(look.at).await,
            Stage::Pairs(look) => self.measure_pairs(look.at).await,
            Stage::MorePairs => {
                let have = self.counting(Side::PairCandidate)?;
                self.measure_pairs(have + MORE_PAIRS).await
            }
        }
    }

    fn arm(&self, side: Side) -> Result<Arm<'_>, Failure> {
        let candidate = server_of(self.plan)?;
        let (server, name, ordinals) = match side {
            Side::Candidate => (candidate, "", (0, 1)),
            Side::PairBaseline => (
                self.plan.base.as_ref().unwrap_or(candidate),
                "base",
                (FIRST_PAIR_START, 2),
            ),
            Side::PairCandidate => (candidate, "candidate", (FIRST_PAIR_START + 1, 2)),
        };
        let plan = match (side, self.base_plan) {
            (Side::PairBaseline, Some(base_plan)) => base_plan,
            _ => self.plan,
        };
        let measuring = Measuring {
            plan,
            server,
            // Two versions do not fit on one GPU side by side.
            fresh: if side == Side::Candidate {
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
            progress: self.progress,
            interrupt: self.interrupt,
        };
        let mut arm = measuring.begin(self.evidence.earlier(side)?)?;
        let commit = match side {
            Side::PairBaseline => &self.commits.base,
            Side::Candidate | Side::PairCandidate => &self.commits.candidate,
        };
        if let Some(commit) = commit {
            arm.is_of(commit.clone());
        }
        Ok(arm)
    }

    async fn measure_repeats(&self, wanted: u32) -> Result<u32, Failure> {
        let mut arm = self.arm(Side::Candidate)?;
        let most = arm.repeats() + wanted + MOST_VOID;
        loop {
            let have = arm.result().counting_repeats();
            if have >= wanted || arm.repeats() >= most {
                return Ok(arm.starts());
            }
            arm.repeat(arm.repeats() + wanted - have).await?;
        }
    }

    /// A B, then B A, so that a drift of the machine favours no side.
    async fn measure_pairs(&self, wanted: u32) -> Result<u32, Failure> {
        let mut base = self.arm(Side::PairBaseline)?;
        let mut candidate = self.arm(Side::PairCandidate)?;
        // Half of a pair that was interrupted has no partner of its own hour.
        let begun = base.repeats().max(candidate.repeats());
        base.fill_up(begun);
        candidate.fill_up(begun);
        let most = begun + wanted + MOST_VOID;
        loop {
            let have = base.result().counting_pairs(candidate.result());
            if have >= wanted || base.repeats() >= most {
                return Ok(base.starts() + candidate.starts());
            }
            let of = base.repeats() + wanted - have;
            if base.repeats().is_multiple_of(2) {
                base.repeat(of).await.map_err(Failure::of_base)?;
                candidate.repeat(of).await?;
            } else {
                candidate.repeat(of).await?;
                base.repeat(of).await.map_err(Failure::of_base)?;
            }
        }
    }

    /// Judges all evidence; `None` where there is nothing to compare with yet.
    fn look(
        &self,
        stage: Stage,
        stored: &mut Option<Stored>,
        before: Option<&Comparison>,
    ) -> Result<Option<Comparison>, Failure> {
        // Read back as any other program would: what is judged is what stands in the files.
        let [candidate, pair_base, pair_candidate] =
            [Side::Candidate, Side::PairBaseline, Side::PairCandidate]
                .map(|side| self.evidence.run(side));
        let slowed = |run: Option<Run>| match (run, self.scale) {
            (Some(run), Some(share)) => slowed(run, share).map(Some),
            (run, _) => Ok(run),
        };
        let (candidate, pair_base, pair_candidate) =
            (slowed(candidate?)?, pair_base?, slowed(pair_candidate?)?);
        if stored.is_none()
            && let Some(candidate) = candidate.as_ref().or(pair_candidate.as_ref())
        {
            *stored = (self.find_stored)(candidate)?;
        }
        let pairs = pair_base.as_ref().zip(pair_candidate.as_ref());
        let beside = stored
            .as_ref()
            .map(|stored| &stored.run)
            .zip(candidate.as_ref());
        if pairs.is_none() && beside.is_none() {
            return Ok(None);
        }
        let given = Given {
            stored: beside,
            pairs,
            ledger: stored
                .as_ref()
                .map_or(self.care.ledger, |stored| &stored.ledger),
            release: stored.as_ref().and_then(|stored| stored.release.as_ref()),
            ..Given::default()
        };
        let shown = |side| self.evidence.path(side).display().to_string();
        let baseline = stored.as_ref().map(|stored| stored.path.as_str());
        let ledger = stored
            .as_ref()
            .and_then(|stored| stored.ledger_path.as_deref());
        let labels = Labels {
            baseline: baseline.unwrap_or_default(),
            candidate: &shown(Side::Candidate),
            pairs: (&shown(Side::PairBaseline), &shown(Side::PairCandidate)),
            ledger,
        };
        let (look, anytime) = match stage {
            Stage::Repeats(look) | Stage::Pairs(look) => (look, false),
            // What decides at any time has spent α of this evidence alone; other evidence of the commit has none left for it.
            Stage::MorePairs => (
                Look::spent(self.counting(Side::PairCandidate)?),
                self.elsewhere(before) == (0, 0),
            ),
        };
        let this_look = ThisLook {
            levels: self.care.levels,
            look,
            anytime,
            before,
            analysis: self.author.analysis.as_ref(),
            explanation: self.author.explanation.as_ref(),
        };
        Ok(Some(compare_evidence(
            self.policy,
            &given,
            labels,
            this_look,
        )))
    }
}

/// The looks that a comparison tells of.
fn told(before: Option<&Comparison>) -> &[LookTaken] {
    before.map_or(&[], |before| &before.decision.looks)
}

/// Why a look was not the last one.
fn reason_to_go_on(before: &Comparison) -> String {
    match before.verdict {
        Verdict::Inconclusive => {}
        Verdict::Incomparable => {
            return format!(
                "not comparable with the stored baseline ({}): ",
                before.headline
            );
        }
        Verdict::Pass | Verdict::Warn | Verdict::Report | Verdict::Block => {
            return "run again on the same commit: ".to_owned();
        }
    }
    let row = before.judgements.iter().find(|row| {
        row.status == crate::report::comparison::Status::Inconclusive
            && row.rule.action != policy::rule::Action::Warn
    });
    let shown = row.and_then(|row| {
        let change = row.change?;
        Some(format!(
            "{} at {} may have changed by anything from {} to {} (plus is worse, the limit is {})",
            row.metric.label(),
            row.scenario,
            policy::signed_percent(change.low),
            policy::signed_percent(change.high),
            policy::percent(row.rule.regression?)
        ))
    });
    format!(
        "undecided, {}: ",
        shown.unwrap_or_else(|| before.headline.clone())
    )
}
