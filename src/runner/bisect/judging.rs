//! One commit: checked out, built, measured, compared.

use std::path::PathBuf;
use std::time::Instant;

use super::super::evidence::{EvidenceFile, EvidenceFolder, price};
use super::super::sequential_gate::{Commits, Decided, SequentialGate, protocol};
use super::bisect_run::{BisectRun, Good};
use super::building::{Built, NotBuilt};
use super::question::{Base, known, with_image};
use super::session::{RecordedStep, keep_json};
use crate::bisect::{Role, Step, StepChange, StepOutcome};
use crate::config::Plan;
use crate::event::BisectEvent;
use crate::exit::{BisectStatus, ExitStatus};
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::git::checkout::Tree;
use crate::policy::rule::{Action, Policy};
use crate::policy::{bisect_outcome, percent};
use crate::record::Run;
use crate::record::format::Source;
use crate::report::comparison::{Comparison, Judgement};
use crate::report::price::Price;
use crate::stats::Outcome;
use crate::trial::{Author, StoredBaseline};

/// Starts of a failing target before it counts for its commit.
const ATTEMPTS: u32 = 2;

/// A commit that is ready to be measured.
struct Ready {
    plan: Plan,
    base: Base,
    policy: Policy,
    evidence: EvidenceFolder,
    path: PathBuf,
}

impl BisectRun<'_> {
    /// Judges a commit in a role; `parent` is the base of a confirmation.
    pub(crate) async fn judge(
        &self,
        role: Role,
        commit: &str,
        parent: Option<&str>,
    ) -> Result<RecordedStep, Failure> {
        let began = Instant::now();
        let described = self.repository.described(commit)?;
        let tree = self.tree(if role == Role::GoodEnd {
            "good"
        } else {
            "commit"
        });
        self.emit(BisectEvent::Begins(role, described.clone()));
        let step = Step {
            role,
            commit: described,
            against: String::new(),
            answer: StepOutcome::NoConfiguration,
            reason: String::new(),
            change: None,
            seconds: 0.0,
            server_starts: 0,
            price: None,
            reused: false,
        };
        let not_measured = |answer: StepOutcome, failure: &Failure| RecordedStep {
            folder: String::new(),
            step: Step {
                answer,
                reason: failure.reason(),
                seconds: began.elapsed().as_secs_f64(),
                ..step.clone()
            },
        };
        if let Err(error) = tree.check_out(&self.repository, commit) {
            let failure = Failure::from(error);
            return if role == Role::Search && is_of_commit(&failure) {
                Ok(not_measured(StepOutcome::BuildFailed, &failure))
            } else {
                Err(failure)
            };
        }
        let plan = match self.criteria.of_commit(self.options, &tree, commit) {
            Ok(plan) => plan,
            // The ends have a readable file, so the problem belongs to this commit.
            Err(failure) if role == Role::Search => {
                return Ok(not_measured(StepOutcome::NoConfiguration, &failure));
            }
            Err(failure) => return Err(failure),
        };
        let plan = match (&self.good, role) {
            (Good::Image(image), Role::GoodEnd) => with_image(plan, image),
            _ => plan,
        };
        let base = self.base(role, &plan, parent)?;
        let asked = self.ask(step.clone(), plan.clone(), base.clone(), &tree);
        let mut kept = Box::pin(asked).await?;
        if self.may_alternate(&kept, &plan, &base) {
            self.emit(BisectEvent::LeftOpen {
                base: base.name.clone(),
                reason: kept.step.reason.clone(),
            });
            let before = kept.step;
            let asked = self.ask(step, plan, self.good_end()?, &tree);
            kept = Box::pin(asked).await?;
            // Reused answers cost no time.
            if !before.reused {
                kept.step.seconds += before.seconds;
                kept.step.server_starts += before.server_starts;
                kept.step.price = Price::both(before.price, kept.step.price);
            }
        }
        Ok(kept)
    }

    /// Answers one question: reuses an earlier answer or measures.
    async fn ask(
        &self,
        mut step: Step,
        plan: Plan,
        base: Base,
        tree: &Tree,
    ) -> Result<RecordedStep, Failure> {
        let began = Instant::now();
        let role = step.role;
        let commit = step.commit.id.clone();
        step.against.clone_from(&base.name);
        let policy = self.policy(role)?;
        let name = self.folder_name(role, &commit, &plan, &base, &policy);
        let path = self.results().join(&name);
        // A confirmation is always measured again.
        if role != Role::Confirmation
            && let Some(known) = known(&path, role)
        {
            self.emit(BisectEvent::MeasuredBefore(known.reason.clone()));
            return Ok(RecordedStep {
                folder: name,
                step: known,
            });
        }
        files::create_folder(&path).map_err(cannot_keep)?;
        let ready = Ready {
            evidence: EvidenceFolder::at(path.clone()),
            plan,
            base,
            policy,
            path,
        };
        Box::pin(self.measure(&ready, tree, &mut step)).await?;
        step.seconds = began.elapsed().as_secs_f64();
        keep_json(&ready.path.join("step.json"), &step)?;
        Ok(RecordedStep { folder: name, step })
    }

    /// Builds and measures, and writes the result into the step.
    async fn measure(&self, ready: &Ready, tree: &Tree, step: &mut Step) -> Result<(), Failure> {
        let role = step.role;
        let mut builds = vec![self.build_base(&ready.base, &ready.path).await?];
        let is_given = role == Role::GoodEnd && matches!(self.good, Good::Image(_));
        if !is_given {
            match self.build(tree, &step.commit.id, &ready.path).await {
                Ok(built) => builds.push(built),
                Err(NotBuilt::OfCommit(said)) if role == Role::Search => {
                    step.answer = StepOutcome::BuildFailed;
                    step.reason = said;
                    return Ok(());
                }
                Err(failure) => return Err(failure.failure()),
            }
        }
        if builds.contains(&Built::Now) {
            // Repeats of different builds must not be mixed.
            ready.evidence.forget()?;
        }
        let paid = price(ready.evidence.measured()?.iter()).unwrap_or_default();
        let mut attempt = 1;
        let decided = loop {
            let before = counted(&ready.evidence)?;
            match Box::pin(self.decide(ready, step)).await {
                Ok(decided) => {
                    step.server_starts += decided.starts;
                    break Ok(decided.comparison);
                }
                Err(failure) => {
                    // Starts with a complete repeat, and the failed one.
                    step.server_starts += counted(&ready.evidence)? - before + 1;
                    if !is_of_commit(&failure) || attempt == ATTEMPTS {
                        break Err(failure);
                    }
                    attempt += 1;
                    self.emit(BisectEvent::OnceMore(failure.reason()));
                }
            }
        };
        step.price = price(ready.evidence.measured()?.iter()).map(|price| price.since(paid));
        match decided {
            Ok(comparison) => take(&comparison, step),
            // In a confirmation the parent was started first and worked.
            Err(failure) if is_of_commit(&failure) && self.may_not_serve(role) => {
                step.answer = StepOutcome::TargetFailed;
                step.reason = failure.reason();
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn decide(&self, ready: &Ready, step: &Step) -> Result<Decided, Failure> {
        let of = |commit: Option<&String>| {
            commit.map(|commit| Source {
                commit: Some(commit.clone()),
                dirty: Some(false),
                ..Source::default()
            })
        };
        let stored = match &self.good {
            Good::Result(result) if ready.base.plan.is_none() => Some(StoredBaseline {
                run: result.run.clone(),
                path: result.path.display().to_string(),
                ledger: result.ledger.clone(),
                ledger_path: None,
                release: None,
            }),
            Good::Result(_) | Good::Image(_) | Good::Commit => None,
        };
        let mut plan = ready.plan.clone();
        plan.base = ready
            .base
            .plan
            .as_ref()
            .and_then(|base| base.server.clone());
        let find_stored = |_: &Run| Ok(stored.clone());
        let protocol = protocol(&plan, &ready.policy).of_search(
            step.role,
            self.options.max_pairs,
            matches!(self.good, Good::Result(_)),
            self.ledger(),
        );
        let gate = SequentialGate {
            plan: &plan,
            policy: &ready.policy,
            protocol: &protocol,
            evidence: &ready.evidence,
            spending: None,
            find_stored: &find_stored,
            author: Author::default(),
            scale: None,
            budget: None,
            base_plan: ready.base.plan.as_ref(),
            commits: Commits {
                base: of(ready.base.commit.as_ref()),
                candidate: of(Some(&step.commit.id)),
            },
            logs: &ready.path,
            command: self.command,
        };
        gate.run().await
    }

    /// Whether a failing target is an answer and not an error.
    fn may_not_serve(&self, role: Role) -> bool {
        match role {
            Role::GoodEnd => false,
            Role::Search => true,
            Role::BadEnd | Role::Confirmation => self.options.is_startup_searched(),
        }
    }
}

/// Whether the failure is specific to this commit.
pub(crate) fn is_of_commit(failure: &Failure) -> bool {
    let skips = BisectStatus::of(failure.status) == BisectStatus::Skip;
    !failure.is_of_base && (skips || failure.is_of_version)
}

/// Number of repeats on disk.
fn counted(evidence: &EvidenceFolder) -> Result<u32, Failure> {
    let mut count = 0;
    for side in EvidenceFile::ALL {
        let run = evidence.run(side)?;
        let most = run.map_or(0, |run| {
            let repeats = run.scenarios.iter().map(|scenario| scenario.repeats.len());
            repeats.max().unwrap_or(0)
        });
        count += u32::try_from(most).unwrap_or(u32::MAX);
    }
    Ok(count)
}

/// Writes the comparison into the step.
fn take(comparison: &Comparison, step: &mut Step) -> Result<(), Failure> {
    step.answer = match bisect_outcome(comparison) {
        Some(Outcome::Pass) => StepOutcome::Good,
        Some(Outcome::Fail) => StepOutcome::Bad,
        Some(Outcome::Undecided) => StepOutcome::Undecided,
        None => {
            let message = format!(
                "{} cannot be compared with {}: {}",
                step.commit.short(),
                step.against,
                comparison.headline
            );
            let hint = if comparison.mismatches.is_empty() {
                "see above why its repeats are void, or which metric is missing; fix the cause (`perfgate doctor`), then the same command continues"
            } else {
                "measure both on one machine and with one load, that of `perfgate.yaml` of the bad end"
            };
            return Err(Failure::message(ExitStatus::NotComparable, message).hint(hint));
        }
    };
    step.reason.clone_from(&comparison.headline);
    step.change = worst_change(comparison);
    if step.role == Role::GoodEnd
        && step.answer == StepOutcome::Good
        && let Some(row) = comparison
            .judgements
            .iter()
            .find(|row| is_accidental_pass(row))
        && let Some(change) = row.change
    {
        step.answer = StepOutcome::Undecided;
        step.reason = format!(
            "{} was {} better than itself, which exceeds its limit",
            row.metric.label(),
            percent(change.value.abs())
        );
    }
    Ok(())
}

/// Whether a version appears better than itself by more than its limit: that is noise, and the pass is accidental.
fn is_accidental_pass(row: &Judgement) -> bool {
    let change_and_limit = row.change.zip(row.rule.regression);
    row.rule.action != Action::Warn
        && change_and_limit.is_some_and(|(change, limit)| change.value <= -limit)
}

/// The change nearest to its limit or furthest beyond it.
fn worst_change(comparison: &Comparison) -> Option<StepChange> {
    let share_of_limit = |row: &Judgement| Some(row.change?.value / row.rule.regression?);
    let rows = comparison.judgements.iter();
    let (_, row) = rows
        .filter(|row| row.rule.action != Action::Warn)
        .filter_map(|row| Some((share_of_limit(row)?, row)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    let change = row.change?;
    Some(StepChange {
        metric: row.metric,
        scenario: row.scenario.clone(),
        value: change.value,
        low: change.low,
        high: change.high,
        confidence: change.confidence,
    })
}
