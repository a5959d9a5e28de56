//! Bringing the submodules of a work tree to what its commit says.

use std::path::Path;

use super::error::GitError;
use super::search::git_elsewhere;

/// Updates all of them, as a fresh clone would have them.
pub(crate) fn update(tree: &Path) -> Result<(), GitError> {
    // Not `--quiet`, with which git does not say that a remote cannot be reached.
    let updated = ["submodule", "update", "--init", "--recursive", "--force"];
    match git_elsewhere(tree, &updated) {
        Err(GitError::Command { command, said }) => Err(GitError::Submodules {
            is_of_commit: is_of_commit(&said),
            command,
            said,
        }),
        updated => updated.map(drop),
    }
}

/// Whether another commit may do: the remote answered and does not have what this one names, or the commit itself names no
/// remote. A remote that cannot be reached says nothing of the commit, and neither does one that has moved.
fn is_of_commit(said: &str) -> bool {
    let is_missing = said.contains("but it did not contain")
        && !said.contains("Unable to fetch in submodule path");
    is_missing || said.contains("No url found for submodule path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_that_does_not_answer_is_no_commits_fault() {
        let missing = "fatal: Fetched in submodule path 'lib', but it did not contain 1f. Direct fetching of that commit failed.";
        assert!(is_of_commit(missing));
        let unreachable = format!(
            "fatal: unable to access 'https://example.org/lib/': Could not resolve host\n\
             Unable to fetch in submodule path 'lib'; trying to directly fetch 1f:\n{missing}"
        );
        assert!(!is_of_commit(&unreachable));
        assert!(is_of_commit(
            "fatal: No url found for submodule path 'lib' in .gitmodules"
        ));
    }
}
