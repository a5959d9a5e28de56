//! `perfgate gate`: measure until it is decided, render, publish, exit code.

use std::path::Path;

use super::accepted::Accepted;
use super::author::{self, Author};
use super::base_ref::Asks;
use super::compare::{finish, judged_by, policy_at, policy_path, write_junit};
use super::deciding::{Care, Commits, Decided, Deciding};
use super::evidence::{EvidenceFolder, Side};
use super::failing::cannot_keep;
use super::progress::Progress;
use super::publishing::Publishing;
use super::question::{self, Question};
use super::{Context, Failure, Interrupt, annotating, feasible, runtime, source, step};
use crate::cli::compare::{Format, OutputArgs};
use crate::cli::gate::GateArgs;
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Comparison;
use crate::policy::{self, rule::Policy};
use crate::record::{self, Run};
use crate::render;

pub(super) fn run(args: &GateArgs, context: &Context) -> Result<ExitStatus, Failure> {
    // Everything that can be wrong with the files is said before the first GPU minute is spent.
    let asks = Asks::find(
        args.baseline_ref.as_deref(),
        args.publish.pull_request,
        context,
    )?;
    let base_ref = asks.base();
    let question = question::of(args, base_ref)?;
    let plan = &question.plan;
    feasible::check_requests(plan)?;
    let policy = policy_at(&args.policy, base_ref)?;
    let accepted = Accepted::of(args, plan, base_ref, policy.first_run, context)?;
    let publishing = Publishing::prepare(&args.publish, context)?;
    let author = author::find(&args.author, context)?;
    files::create_folder(&args.output).map_err(cannot_keep)?;
    let comparison = Judging {
        args,
        question: &question,
        policy: &policy,
        accepted: &accepted,
        asks: &asks,
        author: &author,
    };
    let comparison = comparison
        .judge(context)
        .inspect_err(|failure| publishing.without_verdict(failure))?;
    let output = |name: &str| args.output.join(name);
    let comparison_path = output("comparison.json");
    let comparison = Comparison {
        head: publishing.head(),
        ..comparison
    };
    // On disk before GitHub is waited for.
    write_json(&comparison_path, &comparison)?;
    let (comparison, notes, place) = publishing.accept(comparison);
    if comparison.accepted.is_some() {
        write_json(&comparison_path, &comparison)?;
    }
    let files = OutputArgs {
        html: Some(output("report.html")),
        markdown: Some(output("comment.md")),
        junit: Some(output("junit.xml")),
    };
    if let Some(path) = &args.junit {
        write_junit(path, &comparison)?;
    }
    annotating::mark_rules(&comparison, context);
    let label = publishing.accept_label(&place);
    step::tell(&comparison, Some(&files), label, &comparison_path, context);
    let finished = finish(&comparison, Format::Text, &files, label, context);
    let told = publishing.publish(&comparison, notes, &place);
    told.finish(&args.publish, finished?, context)
}

/// What a gate measures and by what it judges.
struct Judging<'a> {
    args: &'a GateArgs,
    question: &'a Question,
    policy: &'a Policy,
    accepted: &'a Accepted<'a>,
    asks: &'a Asks,
    author: &'a Author,
}

impl Judging<'_> {
    /// Measures until it is decided; the result is kept whatever comes of it.
    fn judge(&self, context: &Context) -> Result<Comparison, Failure> {
        let Self {
            args,
            policy,
            accepted,
            ..
        } = *self;
        let plan = &self.question.plan;
        let output = |name: &str| args.output.join(name);
        let evidence = args.evidence.clone().unwrap_or_else(|| output("evidence"));
        let evidence = EvidenceFolder::of_commit(&evidence, plan, self.question.base_plan.as_ref());
        let find_stored = |candidate: &Run| accepted.find(candidate);
        let progress = Progress::new();
        let decided = runtime(|| {})?.block_on(async {
            let interrupt = Interrupt::listen()?;
            let deciding = Deciding {
                plan,
                policy,
                care: Care::GATE,
                evidence: &evidence,
                may_have_stored: accepted.may_exist()?,
                find_stored: &find_stored,
                scale: None,
                author: self.author,
                base_plan: self.question.base_plan.as_ref(),
                commits: Commits::default(),
                logs: &args.output,
                environment: context.environment,
                progress: &progress,
                interrupt: &interrupt,
            };
            deciding.run().await
        });
        // The result stands where it is looked for, whatever came of judging it.
        let measured = [Side::Candidate, Side::PairCandidate].map(|side| evidence.earlier(side));
        let measured = measured
            .into_iter()
            .find_map(|result| result.ok().flatten());
        let kept = measured.map_or(Ok(()), |result| {
            record::save(&output("result.json"), &result).map_err(cannot_keep)
        });
        // What went wrong first says more than what went wrong because of it.
        let Decided { mut comparison, .. } = decided?;
        kept?;
        let accepted_commit = comparison.baseline.commit.as_deref();
        comparison.baseline.commits_since = accepted_commit.and_then(source::commits_since);
        let mut bar = accepted.bar(measured_run(&evidence)?.as_ref());
        bar.push(policy_path(&args.policy).to_owned());
        let Question {
            edits, is_first, ..
        } = self.question;
        comparison = judged_by(comparison, self.asks, &bar, edits, *is_first)?;
        if let Some(sentence) = accepted.of_copies() {
            comparison = policy::judged_by_a_copy(comparison, sentence);
        }
        Ok(comparison)
    }
}

/// What was measured of the candidate, alone or beside its base.
fn measured_run(evidence: &EvidenceFolder) -> Result<Option<Run>, Failure> {
    match evidence.run(Side::Candidate)? {
        Some(run) => Ok(Some(run)),
        None => evidence.run(Side::PairCandidate),
    }
}

fn write_json(path: &Path, comparison: &Comparison) -> Result<(), Failure> {
    files::write_atomically(path, render::json::comparison(comparison).as_bytes())
        .map_err(cannot_keep)
}
