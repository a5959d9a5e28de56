//! Events of adapters: the git repository and the storage of accepted runs.

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

/// An event of `baseline/`, with the data for its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEvent {
    /// Waiting for a bucket.
    Waiting {
        /// The bucket.
        address: String,
        /// The requested action, such as `list its objects`.
        action: String,
    },
    /// The local copy for use without network cannot be written.
    CopiesNotKept {
        /// Why.
        reason: String,
    },
    /// Another promotion finished first, and this one is retried.
    PromotionAgain {
        /// The file that the other promotion wrote.
        file: String,
    },
}
