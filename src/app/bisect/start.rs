//! `perfgate bisect start` and `perfgate bisect clean`.

use super::super::Context;
use super::arguments::own_text;
use super::{or_interrupted, write_summary};
use crate::app::output::print;
use crate::bisect::steps_for;
use crate::cli::bisect::StartArgs;
use crate::exit::BisectStatus;
use crate::failure::Failure;
use crate::git::checkout::{remove_all, remove_folder};
use crate::git::search::Repository;
use crate::git::{UNSHALLOW, work_tree};
use crate::runner::bisect::bisect_run::BisectRun;
use crate::runner::bisect::building::built_images;
use crate::runner::bisect::session::{Ends, Lock, Started};
use crate::terminal::Output;
use crate::terminal::progress::note;

/// Checks both ends, begins git's search, and prints the command that runs it.
pub(super) fn run(args: &StartArgs, context: &Context) -> Result<(), Failure> {
    let repository = Repository::here()?;
    let _lock = Lock::take(&repository)?;
    if repository.search()?.is_some() {
        let message = "a `git bisect` is already running";
        return Err(Failure::usage(message)
            .hint("show it with `git bisect log`; end it with `git bisect reset`"));
    }
    // The options are stored in a file.
    if !args.options.run.load.header.is_empty() {
        let message =
            "`bisect start` stores its options in a file, but header values must not be stored";
        return Err(Failure::usage(message).hint(
            "set the value in an environment variable, with `headers: {NAME: {env: VARIABLE}}` in the file of `--config`",
        ));
    }
    let arguments = own_text()?;
    let good = repository.commit(&args.good)?;
    let bad = repository.commit(&args.bad)?;
    check_whole(&repository, [&good, &bad])?;
    let between = commits_between(&repository, args.first_parent, [&good, &bad])?;
    let base = work_tree::merge_base(&good, &bad);
    let fork = base.filter(|base| *base != good);
    if let Some(fork) = &fork {
        note(&format!(
            "the ends have diverged: git first asks about {}, their merge base. If that is bad, the regression is older",
            fork.get(..10).unwrap_or(fork)
        ));
    }
    let is_clear = between == 1 && fork.is_none();
    if repository.is_dirty()? {
        note("the working tree has uncommitted changes: they are not measured and stay unchanged");
    }
    let options = &args.options;
    context.block_on(async |command| {
        let ends = Ends {
            good: Some(good.clone()),
            bad: Some(bad.clone()),
        };
        let preparing = async {
            let started = Started {
                ends: ends.clone(),
                arguments,
            };
            let (repository, summary) = (repository.clone(), write_summary);
            let mut run = BisectRun::begin(repository, ends, &bad, options, summary, command)?;
            Box::pin(run.check_ends()).await?;
            started.save(&run.repository)?;
            begin_search(&run.repository, args.first_parent, [&bad, &good])?;
            if !is_clear {
                return Ok(());
            }
            // No commit is left for git to ask about.
            if let Some(search) = run.repository.search()? {
                Box::pin(run.confirm(&search, &bad, BisectStatus::Bad)).await?;
            }
            Ok(())
        };
        or_interrupted(Box::pin(preparing).await, command.interrupt)
    })?;
    if is_clear {
        return Ok(());
    }
    note(&format!(
        "both ends are confirmed, and `git bisect` is started: {between} commits, about {} to judge. Now run",
        steps_for(between)
    ));
    print(
        Output::Text,
        &format!("git bisect run {} bisect", program()),
    )?;
    note(
        "your working tree stays unchanged; `git bisect skip` and `git bisect log` work as usual; `git bisect reset` ends the search",
    );
    Ok(())
}

/// Starts git bisect without a checkout in the user's tree.
fn begin_search(
    repository: &Repository,
    first_parent: bool,
    [bad, good]: [&str; 2],
) -> Result<(), Failure> {
    let start = ["bisect", "start", "--no-checkout"].into_iter();
    let start = start.chain(first_parent.then_some("--first-parent"));
    repository.git(&start.chain([bad, good, "--"]).collect::<Vec<_>>())?;
    Ok(())
}

/// A shallow clone may end between the two: a missing commit may be the culprit, and git would ask only about the rest.
fn check_whole(repository: &Repository, [good, bad]: [&str; 2]) -> Result<(), Failure> {
    if !work_tree::is_shallow() {
        return Ok(());
    }
    let ends = work_tree::own_file("shallow")
        .and_then(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_default();
    let range = format!("{good}..{bad}");
    let between = repository.git(&["rev-list", &range, "--"])?;
    let is_end = |commit: &str| ends.lines().any(|end| end == commit);
    if between.lines().any(is_end) {
        let message = "this clone does not have all commits between the good and the bad end";
        return Err(Failure::environment(message).hint(UNSHALLOW));
    }
    Ok(())
}

/// Commits that contain the culprit.
fn commits_between(
    repository: &Repository,
    first_parent: bool,
    [good, bad]: [&str; 2],
) -> Result<usize, Failure> {
    let range = format!("{good}..{bad}");
    let list = ["rev-list", "--count"].into_iter();
    let list = list.chain(first_parent.then_some("--first-parent"));
    let count = repository.git(&list.chain([range.as_str(), "--"]).collect::<Vec<_>>())?;
    let count: usize = count.parse().unwrap_or(0);
    if count == 0 {
        let message = "the bad end is not later than the good end";
        return Err(Failure::usage(message)
            .hint("run `perfgate bisect start GOOD BAD`: first the fast commit"));
    }
    Ok(count)
}

/// This program in a form that the shell finds from any folder.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = called.display().to_string();
    if !called.contains('/') {
        return called;
    }
    let path = std::env::current_exe().map(|path| path.display().to_string());
    let path = path.unwrap_or(called);
    let is_plain = path
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    if is_plain {
        path
    } else {
        crate::text::sanitize::shell(&path)
    }
}

/// Removes everything of searches except images, which the container engine keeps.
pub(super) fn clean(context: &Context) -> Result<(), Failure> {
    let repository = Repository::here()?;
    let _lock = Lock::take(&repository)?;
    let images = built_images(&repository);
    remove_all(&repository, &context.events);
    remove_folder(&repository.state)?;
    note(&format!("`{}` is removed", repository.state.display()));
    if !images.is_empty() {
        note("the built images are kept; this command removes them");
        // Also valid for podman; without an error for a missing image.
        print(
            Output::Text,
            &format!("docker image rm --force {}", images.join(" ")),
        )?;
    }
    Ok(())
}
