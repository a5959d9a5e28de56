//! Updates the submodules of a work tree to its commit.

use std::path::Path;

use super::error::GitError;
use super::search::git_elsewhere;

/// Updates all submodules, as in a fresh clone.
pub(crate) fn update(tree: &Path) -> Result<(), GitError> {
    // Without `--quiet`, which hides that a remote is unreachable.
    let updated = ["submodule", "update", "--init", "--recursive", "--force"];
    match git_elsewhere(tree, &updated) {
        Err(GitError::Command { command, stderr }) => Err(GitError::Submodules {
            is_of_commit: is_of_commit(&stderr),
            command,
            stderr,
        }),
        updated => updated.map(drop),
    }
}

/// Whether another commit may work: the remote answered and lacks the submodule commit, or the commit names no remote. An
/// unreachable or moved remote is not a property of the commit.
fn is_of_commit(stderr: &str) -> bool {
    let is_missing = stderr.contains("but it did not contain")
        && !stderr.contains("Unable to fetch in submodule path");
    is_missing || stderr.contains("No url found for submodule path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_remote_is_not_a_problem_of_the_commit() {
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
