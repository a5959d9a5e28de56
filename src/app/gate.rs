//! `perfgate gate`: measure until it is decided, render, publish, exit code.

use std::path::Path;

use super::Context;
use super::compare::{finish, write_junit};
use super::publishing::{Place, PublishResult, Publishing, Trust, annotations, step};
use crate::app::output;
use crate::baseline::Location;
use crate::cli::compare::{Format, OutputArgs};
use crate::cli::gate::GateArgs;
use crate::environment::full_environment;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::forecast::UnitPrice;
use crate::git::work_tree;
use crate::inputs::accepted::Accepted;
use crate::inputs::base_ref::JudgingFiles;
use crate::inputs::build_identity::{self, Own};
use crate::inputs::justification;
use crate::inputs::outputs::{LOCK, Outputs};
use crate::inputs::policy::{policy_at, policy_path};
use crate::inputs::question::{self, Question};
use crate::inputs::{feasible, plan};
use crate::launch;
use crate::policy::rule::Policy;
use crate::policy::{Circumstances, accept, complete};
use crate::publish::change::{Change, Target};
use crate::record::{self, Run};
use crate::report::comparison::Comparison;
use crate::runner::evidence::EvidenceFolder;
use crate::runner::gate_budget::GateBudget;
use crate::runner::lock::Lock;
use crate::runner::repeat_context::server_of;
use crate::runner::run_in_progress::OtherEvidence;
use crate::runner::sequential_gate::{Commits, Decided, SequentialGate, protocol};
use crate::runner::spending::{Of, Schedule, Spending};
use crate::runner::{gpus, runtime};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::trial::Author;

pub(super) fn run(args: &GateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let shown = plan::path(args.run.config.as_deref()).display().to_string();
    let publishing = Publishing::prepare(&args.publish, &shown, context)?;
    let place = publishing.place_of_checkout()?;
    let mut name = None;
    let judged = judged(args, &publishing, &place, &mut name, context);
    // After any failure: the success of an earlier run must not stay.
    let (comparison, _alone) = judged.inspect_err(|failure| {
        publishing.without_verdict(failure, &place, name.as_deref());
    })?;
    let (acceptance, notes, place) = publishing.acceptance(&comparison, place)?;
    let comparison = accept(comparison, acceptance);
    let output = |name: &str| args.output.join(name);
    let comparison_path = output("comparison.json");
    let kept = match &comparison.accepted {
        Some(_) => write_json(&comparison_path, &comparison),
        None => Ok(()),
    };
    let files = OutputArgs {
        html: Some(output("report.html")),
        markdown: Some(output("comment.md")),
        junit: Some(output("junit.xml")),
    };
    let junit = args.junit.as_deref();
    let kept = kept.and(junit.map_or(Ok(()), |path| write_junit(path, &comparison)));
    annotations::mark_rules(&comparison, context);
    let publisher = publishing.publisher();
    let label = publisher.and_then(|publisher| publisher.accept_label(&place));
    step::write_outputs(&comparison, Some(&files), label, &comparison_path, context);
    let finished = finish(&comparison, Format::Text, &files, label, context);
    let published = publisher.map_or_else(PublishResult::default, |publisher| {
        publisher.publish(&comparison, notes, &place, Trust::Ours)
    });
    kept?;
    published.finish(&args.publish, finished?, context)
}

/// Prepares, measures and judges; the comparison is on disk before any wait for GitHub. The folder stays locked.
fn judged(
    args: &GateArgs,
    publishing: &Publishing<'_>,
    place: &Place,
    name: &mut Option<String>,
    context: &Context,
) -> Result<(Comparison, Lock), Failure> {
    // Report all problems of the files before using the GPU.
    let named = args.publish.pull_request;
    let published = place
        .change()
        .or_else(|| named.map(|_| Change::into(Target::Main)));
    let judging_files =
        JudgingFiles::find(args.baseline_ref.as_deref(), published, context.environment)?;
    let base_ref = judging_files.base();
    let question = question::of(
        &args.run,
        args.base_image.as_deref(),
        base_ref,
        &context.events,
    )?;
    let plan = &question.plan;
    *name = Some(plan.name.clone());
    server_of(plan)?;
    feasible::check_requests(plan, &context.events)?;
    launch::check_variables(plan, context.environment)?;
    let policy = policy_at(&args.policy, base_ref)?;
    let accepted = Accepted::of(
        &args.accepted,
        args.output.join("result.json"),
        plan,
        base_ref,
        policy.first_run,
        context.environment,
        &context.events,
    )?;
    let author = justification::find(
        &args.author,
        || publishing.publisher()?.current_text(place.number?),
        context.environment,
        &context.events,
    )?;
    tracing::debug!(
        "judges by {} rules of `{}`, {}",
        policy.rules.len(),
        policy_path(&args.policy).display(),
        base_ref.map_or("as it is here", |base| &base.name)
    );
    files::create_folder(&args.output).map_err(cannot_keep)?;
    outputs_of(args).check()?;
    let shown = format!("the folder `{}`", args.output.display());
    let alone = Lock::take(&args.output.join(LOCK), &shown, &context.events)?;
    let judging = Judging {
        args,
        question: &question,
        policy: &policy,
        accepted: &accepted,
        files: &judging_files,
        author: &author,
        head: publishing.head(place),
    };
    let comparison = judging.judge(context)?;
    write_json(&args.output.join("comparison.json"), &comparison)?;
    Ok((comparison, alone))
}

/// The outputs, which must differ from the inputs.
fn outputs_of(args: &GateArgs) -> Outputs {
    let output = |name: &str| args.output.join(name);
    let usual = output("junit.xml");
    let outputs = Outputs::default()
        .writes("result", &output("result.json"))
        .writes("comparison", &output("comparison.json"))
        .writes("report", &output("report.html"))
        .writes("comment", &output("comment.md"))
        .writes("test report", &usual)
        // Both options may name the same file.
        .writes(
            "--junit",
            args.junit.as_ref().filter(|path| **path != usual),
        )
        .reads("--baseline", args.accepted.baseline.as_deref())
        .reads("--ledger", args.accepted.ledger.as_deref())
        .reads_plan(&args.run)
        .reads_policy(&args.policy)
        .reads_author(&args.author);
    match &args.accepted.storage.baselines {
        Location::Folder(folder) => outputs.reads_folder(folder),
        Location::Bucket(_) => outputs,
    }
}

/// What a gate measures, and its limits.
struct Judging<'a> {
    args: &'a GateArgs,
    question: &'a Question,
    policy: &'a Policy,
    accepted: &'a Accepted<'a>,
    files: &'a JudgingFiles,
    author: &'a Author,
    /// The commit of the verdict, if the event contains it.
    head: Option<String>,
}

impl Judging<'_> {
    /// Measures until it is decided; keeps the result in any case.
    fn judge(&self, context: &Context) -> Result<Comparison, Failure> {
        let (args, policy, accepted) = (self.args, self.policy, self.accepted);
        let plan = &self.question.plan;
        let output = |name: &str| args.output.join(name);
        let find_stored = |candidate: &Run| accepted.find(candidate);
        let parent = args.evidence.clone().unwrap_or_else(|| output("evidence"));
        let spending = self.spending(&parent, context)?;
        let mut evidence = match &spending {
            Some(spending) => spending.evidence(&find_stored)?,
            None => EvidenceFolder::without_commit(&parent),
        };
        if let Some(coverage) = build_identity::coverage(plan)
            && evidence.has_repeats()
        {
            note(&format!(
                "earlier repeats of this commit count if they are of the same build, which is identified by {coverage}"
            ));
        }
        let budget = self.budget()?;
        let decide = |evidence: &EvidenceFolder| {
            context.block_on(async |command| {
                let gate = SequentialGate {
                    plan,
                    policy,
                    protocol: &protocol(plan, policy),
                    evidence,
                    spending: spending.as_ref(),
                    find_stored: &find_stored,
                    scale: None,
                    author: self.author.clone(),
                    base_plan: self.question.base_plan.as_ref(),
                    commits: Commits::default(),
                    budget,
                    logs: &args.output,
                    command,
                };
                gate.run().await
            })
        };
        let mut decided = decide(&evidence);
        if let Err(failure) = &decided
            && failure.error.is::<OtherEvidence>()
            && let Some(spending) = &spending
        {
            note(&format!("{}; evidence starts again", failure.reason()));
            evidence = spending.begin_series()?;
            decided = decide(&evidence);
        }
        // Write the result even if judging failed.
        let measured = evidence.candidate();
        let kept = match &measured {
            Ok(Some(run)) => record::save(&output("result.json"), &run.file).map_err(cannot_keep),
            Ok(None) | Err(_) => Ok(()),
        };
        // The first failure explains more than later ones.
        let decided = decided?;
        kept?;
        let circumstances = self.circumstances(&decided, measured?.as_ref())?;
        Ok(complete(decided.comparison, circumstances))
    }

    /// The budget of this run. A start costs what it did in the ledger, if there is only one hardware.
    fn budget(&self) -> Result<Option<GateBudget>, Failure> {
        let given = self.args.budget.or(self.policy.noise.budget);
        let Some(budget) = given else {
            return Ok(None);
        };
        let known = self.accepted.known()?;
        let of_ledger = match &known[..] {
            [(_, only)] => UnitPrice::of_ledger(&only.ledger),
            _ => None,
        };
        Ok(Some(GateBudget { budget, of_ledger }))
    }

    /// The judging files, and other facts about the verdict.
    fn circumstances(
        &self,
        decided: &Decided,
        measured: Option<&Run>,
    ) -> Result<Circumstances, Failure> {
        let mut criteria = self.accepted.criteria_files(measured);
        criteria.push(policy_path(&self.args.policy).to_owned());
        let question = self.question;
        let accepted_commit = decided.comparison.baseline.commit.as_deref();
        Ok(Circumstances {
            judged_by: self
                .files
                .judged_by(&criteria, &question.edits, question.is_first)?,
            copies: self.accepted.of_copies(),
            commits_since: accepted_commit.and_then(work_tree::commits_since),
            head: self.head.clone(),
            price: decided.price,
            budget: decided.budget_end,
        })
    }

    /// The earlier spending for this commit; `None` without a commit.
    fn spending(&self, parent: &Path, context: &Context) -> Result<Option<Spending>, Failure> {
        let args = self.args;
        let plan = &self.question.plan;
        let own = Own::of_gate(args, parent, context.environment);
        let build = build_identity::name(
            plan,
            self.question.base_plan.as_ref(),
            &own,
            &full_environment(),
            context.environment,
        );
        let commit = work_tree::commit_and_parents().map(|(commit, _)| commit);
        let (Some(build), Some(commit)) = (build, commit) else {
            return Ok(None);
        };
        let head = self.head.clone().unwrap_or(commit);
        let server = server_of(plan)?;
        let machine = runtime(|| {})?.block_on(gpus::machine(server, context.environment));
        let of = Of {
            head: &head,
            gate: &plan.name,
            build: &build,
            machine: &machine,
            schedule: if plan.base.is_some() {
                Schedule::Pairs
            } else {
                Schedule::Repeats
            },
        };
        Spending::open(parent, of, &context.events).map(Some)
    }
}

fn write_json(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    output::write(path, Output::Json, &comparison.json())
}
