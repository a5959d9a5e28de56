//! Events of bisect.

use std::path::PathBuf;

use crate::bisect::{Commit, Role, Step};

/// An event of a search, with the data for its message.
#[derive(Clone, Debug, PartialEq)]
pub enum BisectEvent {
    /// Judging of a commit in a role begins.
    Begins(Role, Commit),
    /// The commit with this short id is being built.
    Building(String),
    /// An earlier answer is reused; contains its reason.
    MeasuredBefore(String),
    /// A stored good result does not decide, so the good end is measured alternately.
    LeftOpen {
        /// The base of the comparison.
        base: String,
        /// Why it is undecided.
        reason: String,
    },
    /// A target failed for this reason and is started again.
    OnceMore(String),
    /// A commit is judged.
    Judged(Box<Step>),
    /// Git will ask about more commits.
    MoreToJudge {
        /// Number of possible culprits.
        commits: usize,
        /// Estimated number of commits to judge.
        steps: u32,
    },
    /// The search is over.
    Summarized {
        /// The summary.
        summary: PathBuf,
        /// The folder of all measurements.
        results: PathBuf,
    },
}
