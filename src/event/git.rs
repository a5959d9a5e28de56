//! What happens in the repository of git.

use std::path::PathBuf;

/// An event of `git/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitEvent {
    /// The result of this run cannot name its commit.
    CommitUnknown {
        /// Why.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A work tree of perfgate's own could not be removed, and is left.
    TreeLeft {
        /// The work tree.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
