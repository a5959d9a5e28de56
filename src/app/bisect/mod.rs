//! `perfgate bisect`: the predicate of `git bisect run`, and what prepares it.

mod bar;
mod building;
mod finishing;
mod hunt;
mod judging;
mod lock;
mod noise;
mod question;
mod repository;
mod session;
mod start;
mod submodules;
mod tree;

use clap::Parser as _;

use super::progress::Progress;
use super::{Context, Failure, Interrupt, runtime};
use crate::bisect::{Answer, Role, Step};
use crate::cli::bisect::{BisectArgs, BisectCommand, BisectOptions, StartupFailure};
use crate::cli::{Cli, Command};
use crate::exit::{BisectStatus, ExitStatus};
use hunt::{Ends, Hunt, Scene, say};
use lock::Lock;
use repository::{Repository, Search};
use session::Started;

pub(super) fn run(args: &BisectArgs, context: &Context) -> Result<BisectStatus, Failure> {
    match &args.command {
        Some(BisectCommand::Start(args)) => {
            start::run(args, context)?;
            Ok(BisectStatus::Good)
        }
        Some(BisectCommand::Clean) => {
            start::clean()?;
            Ok(BisectStatus::Good)
        }
        None => {
            let repository = Repository::here()?;
            let _lock = Lock::take(&repository)?;
            let search = repository.search()?;
            let started = Started::last(&repository).filter(|started| {
                is_unset(&args.options) && started.ends == Ends::of(search.as_ref())
            });
            match started {
                Some(started) => {
                    let options = options_of(&started.arguments)?;
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
    let progress = Progress::new();
    runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let scene = Scene {
            context,
            progress: &progress,
            interrupt: &interrupt,
        };
        let judging = async {
            let mut hunt = Hunt::begin(repository, ends, &commit, options, scene)?;
            Box::pin(hunt.check_ends()).await?;
            let kept = Box::pin(hunt.judge(Role::Search, &commit, None)).await?;
            say(&kept.step);
            let status = status_of(&kept.step, options.startup_failure);
            hunt.remember(kept)?;
            Box::pin(hunt.conclude(search, &commit, status)).await
        };
        or_interrupted(Box::pin(judging).await, &interrupt)
    })
}

fn status_of(step: &Step, startup_failure: StartupFailure) -> BisectStatus {
    match (step.answer, startup_failure) {
        (Answer::Good, _) => BisectStatus::Good,
        (Answer::Bad, _) | (Answer::TargetFailed, StartupFailure::Bad) => BisectStatus::Bad,
        (
            Answer::Undecided
            | Answer::BuildFailed
            | Answer::TargetFailed
            | Answer::NoConfiguration,
            _,
        ) => BisectStatus::Skip,
    }
}

/// What fails after an interruption fails because of it: it reached git and the build, too.
fn or_interrupted<T>(result: Result<T, Failure>, interrupt: &Interrupt) -> Result<T, Failure> {
    match (result, interrupt.check()) {
        (Err(failure), Err(interrupted)) if failure.status != ExitStatus::Interrupted => {
            Err(interrupted)
        }
        (result, _) => result,
    }
}

/// Whether no option says how commits are judged.
fn is_unset(options: &BisectOptions) -> bool {
    let none = Cli::try_parse_from(["perfgate", "bisect"]);
    none.is_ok_and(|none| matches!(none.command, Command::Bisect(none) if none.options == *options))
}

/// The options that `bisect start` was given.
fn options_of(arguments: &[String]) -> Result<BisectOptions, Failure> {
    let words = ["perfgate", "bisect"].into_iter();
    let words = words.chain(arguments.iter().map(String::as_str));
    let unreadable = |error: String| {
        Failure::message(
            ExitStatus::Usage,
            format!("what `bisect start` was given cannot be read any more: {error}"),
        )
        .hint("give the options to `perfgate bisect` itself, or start anew")
    };
    let cli = Cli::try_parse_from(words).map_err(|error| unreadable(error.to_string()))?;
    let Command::Bisect(args) = cli.command else {
        return Err(unreadable("they are another command's".to_owned()));
    };
    match args.command {
        Some(BisectCommand::Start(start)) => Ok(start.options),
        Some(BisectCommand::Clean) | None => Err(unreadable("they start nothing".to_owned())),
    }
}
