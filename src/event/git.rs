//! Events of the git repository.

use std::path::PathBuf;

/// An event of `git/`, with the data for its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitEvent {
    /// The result of this run has no commit.
    CommitUnknown {
        /// Why.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// perfgate's own work tree cannot be removed.
    TreeLeft {
        /// The work tree.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
