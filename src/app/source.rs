//! The commit of the working tree, by the `git` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::record::format::Source;

/// The commit that is checked out here, or `None` where there is no repository or no git.
pub(super) fn of_working_tree() -> Option<Source> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let branch = git(&["rev-parse", "--abbrev-ref", "HEAD"]).filter(|branch| branch != "HEAD");
    let dirty =
        git(&["status", "--porcelain", "--untracked-files=no"]).map(|changes| !changes.is_empty());
    Some(Source {
        commit: Some(commit),
        branch,
        dirty,
    })
}

/// What tells one build of this tree from another: the commit and the changes beside it. `None` where there is no
/// repository or no git.
pub(super) fn state_of_working_tree() -> Option<String> {
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["diff", "HEAD", "--no-ext-diff", "--binary"])?;
    Some(format!("{commit}\n{changes}"))
}

/// The main branch: the one that is known, else `main`.
pub(super) fn main_branch() -> String {
    known_main_branch().unwrap_or_else(|| "main".to_owned())
}

/// What the remote calls its main branch, else `main` or `master`, where there is one.
pub(super) fn known_main_branch() -> Option<String> {
    let of_remote = git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"]);
    let of_remote = of_remote.and_then(|branch| branch.strip_prefix("origin/").map(str::to_owned));
    of_remote.or_else(|| {
        let is_there = |branch: &&str| {
            let name = format!("refs/heads/{branch}");
            git(&["rev-parse", "--verify", "--quiet", &name]).is_some()
        };
        ["main", "master"]
            .into_iter()
            .find(is_there)
            .map(str::to_owned)
    })
}

/// Commits that came after that one in this tree; `None` where git does not know it.
pub(super) fn commits_since(commit: &str) -> Option<u64> {
    // A file may say anything; only what is an object's name reaches git.
    let is_name = commit.len() >= 7 && commit.chars().all(|c| c.is_ascii_hexdigit());
    let range = format!("{commit}..HEAD");
    is_name
        .then(|| git(&["rev-list", "--count", &range]))??
        .parse()
        .ok()
}

/// The top of the work tree.
pub(super) fn top_of_working_tree() -> Option<PathBuf> {
    git(&["rev-parse", "--show-toplevel"]).map(PathBuf::from)
}

/// This folder from the top of the work tree, empty at the top; `None` outside of any.
pub(super) fn folder_in_working_tree() -> Option<String> {
    let prefix = git(&["rev-parse", "--show-prefix"])?;
    Some(prefix.trim_end_matches('/').to_owned())
}

/// The full name of the commit that a revision names.
pub(super) fn commit_of(revision: &str) -> Option<String> {
    let commit = format!("{revision}^{{commit}}");
    git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ])
}

/// The commit at which two branched off from each other.
pub(super) fn merge_base(one: &str, other: &str) -> Option<String> {
    git(&["merge-base", "--end-of-options", one, other]).filter(|commit| !commit.is_empty())
}

/// A file of a commit, `path` from the top of the tree; `None` where the commit has none.
pub(super) fn blob(top: &Path, commit: &str, path: &Path) -> Result<Option<Vec<u8>>, String> {
    // Without magic: a path is a path.
    let object = format!("{commit}:{}", path.display());
    let kind = run(top, &["cat-file", "-t", &object]).map_err(|error| error.to_string())?;
    if !kind.status.success() || kind.stdout.trim_ascii() != b"blob" {
        return Ok(None);
    }
    let output = run(top, &["cat-file", "blob", &object]).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(Some(output.stdout))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// The names of the files in a folder of a commit.
pub(super) fn names(top: &Path, commit: &str, folder: &Path) -> Vec<String> {
    let tree = format!("{commit}:{}", folder.display());
    let Ok(output) = run(top, &["ls-tree", "--name-only", "-z", &tree]) else {
        return Vec::new();
    };
    if !output.status.success() {
        return Vec::new();
    }
    let names = output.stdout.split(|byte| *byte == 0);
    names
        .filter_map(|name| String::from_utf8(name.to_vec()).ok())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The trimmed output; `None` where git failed. It takes no locks and runs no hooks.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = run(Path::new("."), arguments).ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn run(folder: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    command(folder, arguments).output()
}

/// Git in that folder, which runs no hooks and nothing else that the repository's configuration names.
pub(super) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args([
            "--no-optional-locks",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}
