//! The commit of the working tree, by the `git` command.

use std::process::{Command, Stdio};

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

/// The trimmed output; `None` where git failed. It takes no locks and runs no hooks.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args([
            "--no-optional-locks",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
