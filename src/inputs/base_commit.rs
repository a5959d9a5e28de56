//! Finds the base commit of a change: its merge base with the target branch.
//!
//! The CI service reports the target branch, and the clone contains the merge base. A base commit from the service may be
//! old, short or missing, so it counts only without a branch. An unknown base is an error: a missing base must not lead
//! to a change judged by its own files.

use std::path::Path;

use crate::environment::Environment;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::{GitError, work_tree};
use crate::publish::change::{self, Base, Change, Target};
use crate::publish::payload::Event;

/// The hint for a clone without enough history.
const FETCH: &str = "fetch the whole history: `fetch-depth: 0` at actions/checkout, `GIT_DEPTH: 0` on GitLab, `git fetch --unshallow` elsewhere";

/// The change that this job judges; `None` if neither flags nor the CI service name one. If the verdict is published on a
/// pull request, it is that one, and the target from GitHub's API takes precedence over the event's. Publishing needs only
/// the event, so the event alone counts here too.
pub(crate) fn change_here(
    published: Option<Change>,
    environment: &Environment,
) -> Result<Option<Change>, Failure> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let of_event = match variable("GITHUB_EVENT_PATH") {
        Some(path) => {
            let event = Event::read(Path::new(&path)).map_err(|error| {
                Failure::environment(format!("the base branch is unknown: {error}"))
                    .hint("set it with `--baseline-ref REF`")
            })?;
            change::of_event(&event)
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

/// The change of a GitHub Actions step whose event contains none: for an event that must have one, or if the checked-out
/// commit differs from the event's, as after a manual start of the workflow with another branch.
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
    let head = known("HEAD", "no commit is checked out")?;
    let target = target_commit(&change.target)?;
    if let Some(base) = parent_beside(change, &head)? {
        // Only if the service did not merge another commit.
        let is_of_target = |target: &TargetCommit| work_tree::is_ancestor(&base, &target.commit);
        if work_tree::commit_of(&base).is_err() {
            return Err(unknown(
                "this clone does not have the commit into which the change was merged",
            )
            .hint(FETCH));
        }
        if target.as_ref().is_none_or(is_of_target) {
            return Ok(base);
        }
    }
    // A local branch with the target's name may be the change itself.
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
        return Err(
            unknown("the target branch of this clone already contains the change")
                .hint("fetch that branch again: `git fetch origin BRANCH`"),
        );
    }
    Ok(base)
}

/// The commit of `--baseline-ref`: a full commit name, else the merge base of HEAD with that branch.
pub(crate) fn of_flag(given: &str) -> Result<String, Failure> {
    let is_name = matches!(given.len(), 40 | 64) && given.chars().all(|c| c.is_ascii_hexdigit());
    // Not a tag of that name.
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
        Some(error) if !error.is_missing_object() => error.into(),
        _ => unknown(&format!("this clone does not have the commit of {given}"))
            .hint(format!("fetch it: `git fetch origin {given}`"))
            .hint(FETCH),
    })
}

fn branched_off(target: &str) -> Result<String, Failure> {
    let short = target.get(..10).unwrap_or(target);
    let missing = format!("this clone does not have the commit of the base branch ({short})");
    known(target, &missing)?;
    work_tree::merge_base("HEAD", target)
        .ok_or_else(|| unknown("this clone does not have the merge base of the change").hint(FETCH))
}

/// The commit of a revision; `missing` is the message if this clone does not have it.
fn known(revision: &str, missing: &str) -> Result<String, Failure> {
    work_tree::commit_of(revision).map_err(|error| {
        if error.is_missing_object() {
            unknown(missing).hint(FETCH)
        } else {
            error.into()
        }
    })
}

/// The tip of the target in this clone.
struct TargetCommit {
    commit: String,
    /// Whether it is a local branch and not a remote-tracking one.
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
            Err(error) if error.is_missing_object() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// If HEAD is a detached merge of the proposed commit: the other parent. Reads the raw commit, because a shallow clone
/// hides the parents of its last commits.
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
            "this clone does not have the target branch `{name}`"
        ))
        .hint(format!(
            "fetch it: `git fetch origin {name}:refs/remotes/origin/{name}`"
        ))
        .hint(FETCH),
        Target::Main => unknown("the main branch is unknown"),
        Target::Unknown => unknown("the target branch is unknown"),
    }
}

fn unknown(what: &str) -> Failure {
    Failure::message(
        ExitStatus::EnvironmentFailed,
        format!("{what}, so perfgate cannot read perfgate.yaml, thresholds and baseline of the base"),
    )
    .hint("select another commit with `--baseline-ref REF`, or judge by the change's own files with `--baseline-ref \"\"`, which adds a warning to the report")
}
