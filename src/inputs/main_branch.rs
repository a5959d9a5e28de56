//! Whether a run is of the main branch, so that it may become a baseline.

use std::path::Path;

use crate::git::work_tree;
use crate::publish::change;
use crate::record::format::Source;

/// The main branch of a run, by its name or because the branch contains its commit. Otherwise the main branch as far as
/// known.
pub(crate) fn main_branch_of(
    run: Option<&Source>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> MainBranch {
    let of_service = main_branch_of_service(environment);
    let name = of_service.clone().unwrap_or_else(work_tree::main_branch);
    let branch = run.and_then(|run| run.branch.as_deref());
    let commit = run.and_then(|run| run.commit.as_deref());
    // A clone keeps the main branch name of the time of cloning, and `master` may have become `main` since.
    let is_renamed = of_service.is_none()
        && branch.is_some_and(|branch| work_tree::DEFAULT_MAIN.contains(&branch))
        && work_tree::DEFAULT_MAIN.contains(&name.as_str());
    let tips = ["refs/remotes/origin/", "refs/heads/"].map(|place| format!("{place}{name}"));
    let has_commit = commit.is_some_and(|commit| {
        // The text comes from a file; only a valid object name is passed to git.
        commit.len() >= 40
            && commit.chars().all(|c| c.is_ascii_hexdigit())
            && tips.iter().any(|tip| work_tree::is_ancestor(commit, tip))
    });
    MainBranch {
        is_of_it: branch == Some(&name) || is_renamed || has_commit,
        name,
    }
}

/// The main branch, and whether a run is of it.
pub(crate) struct MainBranch {
    pub(crate) name: String,
    pub(crate) is_of_it: bool,
}

/// The main branch name from the CI service.
fn main_branch_of_service(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let given = |name: &str| environment(name).filter(|value| !value.is_empty());
    let of_event = || {
        let path = given("GITHUB_EVENT_PATH").filter(|_| given("GITHUB_ACTIONS").is_some())?;
        change::main_branch_of_event(Path::new(&path))
    };
    of_event()
        .or_else(|| given("CI_DEFAULT_BRANCH"))
        .or_else(|| given("BUILDKITE_PIPELINE_DEFAULT_BRANCH"))
}
