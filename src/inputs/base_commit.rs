//! Which commit asks the question that a change answers: the one from which the change branched off.
//!
//! The CI service names the branch into which the change is to be merged, and the clone shows where the change branched off.
//! The base commit that a service names may be old, short or missing, so it counts only where no branch is named. An unknown
//! base is an error: a change is never judged by its own files because its base is missing.

use std::path::Path;

use crate::environment::Environment;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::{GitError, work_tree};
use crate::publish::change::{self, Base, Change, Target};
use crate::{files, limits};

/// The hint for a clone that has not enough of the history.
const FETCH: &str = "fetch the whole history: `fetch-depth: 0` at actions/checkout, `GIT_DEPTH: 0` on GitLab, `git fetch --unshallow` elsewhere";

/// The change that this job judges; `None` where neither flags nor the CI service name one. Where the verdict is published to
/// a pull request, it is that one, and the target that GitHub's API names comes before the event's. Publishing needs no
/// variable beside the event, so the event alone counts here too.
pub(crate) fn change_here(
    published: Option<Change>,
    environment: &Environment,
) -> Result<Option<Change>, Failure> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let of_event = match variable("GITHUB_EVENT_PATH") {
        Some(path) => {
            let unknown = |error: &dyn std::fmt::Display| {
                Failure::message(
                    ExitStatus::EnvironmentFailed,
                    format!("the base branch is not known: {error}"),
                )
                .hint("name it with `--baseline-ref REF`")
            };
            let json = files::read_within(Path::new(&path), limits::EVENT)
                .map_err(|error| unknown(&error))?;
            change::of_event(&json).map_err(|error| unknown(&error))?
        }
        None => None,
    };
    let found = of_event
        .or_else(|| change::of_variables(&variable))
        .or_else(|| beside_the_event(&variable));
    Ok(match (published, found) {
        (Some(published), found) if published.target == Target::Main => found.or(Some(published)),
        (Some(published), found) => {
            let head = found.and_then(|found| found.head);
            Some(Change {
                head: published.head.clone().or(head),
                ..published
            })
        }
        (None, found) => found,
    })
}

/// The change of a step of GitHub Actions whose event names none: that of an event that must have one, or another commit than
/// the event's that was checked out, such as a branch that somebody named when they started the workflow by hand.
fn beside_the_event(variable: &dyn Fn(&str) -> Option<String>) -> Option<Change> {
    if let Some(name) = variable("GITHUB_BASE_REF") {
        return Some(Change::into(Target::Branch(name)));
    }
    let event = variable("GITHUB_EVENT_NAME").unwrap_or_default();
    if event.starts_with("pull_request") || event == "merge_group" {
        return Some(Change::into(Target::Unknown));
    }
    let of_event = variable("GITHUB_SHA")?;
    let head = work_tree::commit_of("HEAD").ok()?;
    (head != of_event).then(|| Change::into(Target::Main))
}

/// The merge base of the change.
pub(crate) fn of_change(change: &Change) -> Result<String, Failure> {
    let head = work_tree::commit_of("HEAD").map_err(|error| {
        if error.is_of_question() {
            unknown("no commit is checked out here").hint(FETCH)
        } else {
            error.into()
        }
    })?;
    let target = target_commit(&change.target)?;
    if let Some(base) = parent_beside(change, &head)? {
        // The service did not make a merge of another commit.
        let is_of_target = |target: &TargetCommit| work_tree::is_ancestor(&base, &target.commit);
        if work_tree::commit_of(&base).is_err() {
            return Err(unknown(
                "the commit into which the change was merged is not in this clone",
            )
            .hint(FETCH));
        }
        if target.as_ref().is_none_or(is_of_target) {
            return Ok(base);
        }
    }
    // A local branch may have the name of the target and be the change itself.
    let may_be_other = matches!(change.target, Target::Branch(_))
        && target.as_ref().is_some_and(|target| target.is_local);
    let target = match (target, &change.base) {
        (Some(target), _) => target.commit,
        (None, Some(Base::Exact(sha))) => sha.text().to_owned(),
        (None, Some(Base::Old(sha))) if change.target == Target::Unknown => sha.text().to_owned(),
        (None, _) => return Err(no_target(&change.target)),
    };
    let base = branched_off(&target)?;
    let proposed = change
        .head
        .as_ref()
        .map_or(head.as_str(), |head| head.text());
    let has_it = base == head || work_tree::is_ancestor(proposed, &base);
    if may_be_other && has_it {
        return Err(unknown(
            "in this clone, the branch into which the change is to be merged already contains the change",
        )
        .hint("fetch that branch anew: `git fetch origin BRANCH`"));
    }
    Ok(base)
}

/// The commit that `--baseline-ref` names: exactly the one whose full name it is, else where HEAD branched off from it.
pub(crate) fn of_flag(given: &str) -> Result<String, Failure> {
    let is_name = matches!(given.len(), 40 | 64) && given.chars().all(|c| c.is_ascii_hexdigit());
    // A tag of that name is not the branch.
    let names = [
        format!("refs/heads/{given}"),
        given.to_owned(),
        format!("refs/remotes/origin/{given}"),
    ];
    let mut last = None;
    for name in names {
        match work_tree::commit_of(&name) {
            Ok(commit) if is_name => return Ok(commit),
            Ok(commit) => return branched_off(&commit),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if !error.is_of_question() => error.into(),
        _ => unknown(&format!("git does not know the commit of {given} here"))
            .hint(format!("fetch it: `git fetch origin {given}`"))
            .hint(FETCH),
    })
}

fn branched_off(target: &str) -> Result<String, Failure> {
    let known = work_tree::commit_of(target);
    if let Err(error) = known {
        return Err(if error.is_of_question() {
            let short = target.get(..10).unwrap_or(target);
            unknown(&format!(
                "git does not know the commit of the base branch ({short}) here"
            ))
            .hint(FETCH)
        } else {
            error.into()
        });
    }
    work_tree::merge_base("HEAD", target).ok_or_else(|| {
        unknown("this clone does not have the commit from which the change branched off")
            .hint(FETCH)
    })
}

/// The tip of the target as this clone has it.
struct TargetCommit {
    commit: String,
    /// Whether it is a branch of this clone, and not what the remote has.
    is_local: bool,
}

fn target_commit(target: &Target) -> Result<Option<TargetCommit>, GitError> {
    let name = match target {
        Target::Branch(name) => Some(name.clone()),
        Target::Main => work_tree::known_main_branch(),
        Target::Unknown => None,
    };
    let Some(name) = name else { return Ok(None) };
    let places = [
        (format!("refs/remotes/origin/{name}"), false),
        (format!("refs/heads/{name}"), true),
    ];
    for (place, is_local) in places {
        match work_tree::commit_of(&place) {
            Ok(commit) => return Ok(Some(TargetCommit { commit, is_local })),
            Err(error) if error.is_of_question() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Where HEAD is a detached merge of the proposed commit: what that was merged with. The raw commit is read, because a
/// shallow clone hides the parents of its last commits.
fn parent_beside(change: &Change, head: &str) -> Result<Option<String>, GitError> {
    let Some(proposed) = &change.head else {
        return Ok(None);
    };
    if work_tree::branch_of_head().is_some() {
        return Ok(None);
    }
    let parents = work_tree::parents(head)?;
    Ok(match parents.as_slice() {
        [one, other] if other == proposed.text() => Some(one.clone()),
        [one, other] if one == proposed.text() => Some(other.clone()),
        _ => None,
    })
}

fn no_target(target: &Target) -> Failure {
    match target {
        Target::Branch(name) => unknown(&format!(
            "the branch `{name}`, into which the change is to be merged, is not in this clone"
        ))
        .hint(format!(
            "fetch it: `git fetch origin {name}:refs/remotes/origin/{name}`"
        ))
        .hint(FETCH),
        Target::Main => unknown("the main branch is not known"),
        Target::Unknown => unknown("the branch into which the change is to be merged is not known"),
    }
}

fn unknown(what: &str) -> Failure {
    Failure::message(
        ExitStatus::EnvironmentFailed,
        format!("{what}, so perfgate.yaml, thresholds and baseline from before the change cannot be read"),
    )
    .hint("name another commit with `--baseline-ref REF`, or judge by the change's own files with `--baseline-ref \"\"`; the report then warns of it")
}
