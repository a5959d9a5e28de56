//! `perfgate bisect`: the predicate of `git bisect run`, and its preparation.

mod arguments;
mod start;

use std::path::Path;

use crate::app::Context;
use crate::app::output::print;
use crate::bisect::{BisectReport, Role, Step, StepOutcome};
use crate::cli::bisect::{BisectArgs, BisectCommand, BisectOptions, StartupFailure};
use crate::exit::{BisectStatus, ExitStatus};
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::git::search::{Repository, Search};
use crate::interrupt::Interrupt;
use crate::runner::bisect::bisect_run::BisectRun;
use crate::runner::bisect::session::{Ends, Lock, Started};
use crate::terminal::Output;
use crate::{files, render};

pub(super) fn run(args: &BisectArgs, context: &Context) -> Result<BisectStatus, Failure> {
    match &args.command {
        Some(BisectCommand::Start(args)) => {
            start::run(args, context)?;
            Ok(BisectStatus::Good)
        }
        Some(BisectCommand::Clean) => {
            start::clean(context)?;
            Ok(BisectStatus::Good)
        }
        None => {
            let repository = Repository::here()?;
            let _lock = Lock::take(&repository)?;
            let search = repository.search()?;
            let started = Started::last(&repository)
                .filter(|started| started.ends == Ends::of(search.as_ref()));
            match started {
                Some(started) => {
                    let options = arguments::laid_over(&started.arguments, &arguments::own())?;
                    judge(repository, search.as_ref(), &options, context)
                }
                None => judge(repository, search.as_ref(), &args.options, context),
            }
        }
    }
}

/// Judges the commit that git asks about.
fn judge(
    repository: Repository,
    search: Option<&Search>,
    options: &BisectOptions,
    context: &Context,
) -> Result<BisectStatus, Failure> {
    let commit = repository.asked_about()?;
    let ends = Ends::of(search);
    context.block_on(async |command| {
        let judging = async {
            let summary = write_summary;
            let mut run = BisectRun::begin(repository, ends, &commit, options, summary, command)?;
            Box::pin(run.check_ends()).await?;
            let kept = Box::pin(run.judge(Role::Search, &commit, None)).await?;
            run.emit_judged(&kept.step);
            let status = status_of(&kept.step, options.startup_failure);
            run.remember(kept)?;
            Box::pin(run.conclude(search, &commit, status)).await
        };
        or_interrupted(Box::pin(judging).await, command.interrupt)
    })
}

fn status_of(step: &Step, startup_failure: StartupFailure) -> BisectStatus {
    match (step.answer, startup_failure) {
        (StepOutcome::Good, _) => BisectStatus::Good,
        (StepOutcome::Bad, _) | (StepOutcome::TargetFailed, StartupFailure::Bad) => {
            BisectStatus::Bad
        }
        (
            StepOutcome::Undecided
            | StepOutcome::BuildFailed
            | StepOutcome::TargetFailed
            | StepOutcome::NoConfiguration,
            _,
        ) => BisectStatus::Skip,
    }
}

/// Converts a failure after an interruption: the signal also reached git and the build.
fn or_interrupted<T>(result: Result<T, Failure>, interrupt: &Interrupt) -> Result<T, Failure> {
    match (result, interrupt.check()) {
        (Err(failure), Err(interrupted)) if failure.status != ExitStatus::Interrupted => {
            Err(interrupted)
        }
        (result, _) => result,
    }
}

/// Writes `summary.json` and `summary.md` beside the results, and shows the report.
fn write_summary(report: &BisectReport, folder: &Path) -> Result<(), Failure> {
    let write = |name: &str, text: &str| {
        files::write_atomically(&folder.join(name), text.as_bytes()).map_err(cannot_keep)
    };
    write("summary.json", &render::bisect::json(report))?;
    write("summary.md", &render::bisect::markdown(report))?;
    print(Output::Text, &render::bisect::text(report))
}
