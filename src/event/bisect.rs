//! Events of bisect.

use std::path::PathBuf;

use crate::metric::Metric;

/// An event of a search, with the data for its message.
#[derive(Clone, Debug, PartialEq)]
pub enum BisectEvent {
    /// Judging of a commit begins.
    Begins {
        /// The task.
        task: BisectTask,
        /// Its short id.
        commit: String,
        /// The first line of its message.
        subject: String,
    },
    /// A commit is being built.
    Building {
        /// Its short id.
        commit: String,
    },
    /// An earlier answer is reused.
    MeasuredBefore {
        /// The result.
        reason: String,
    },
    /// A stored good result does not decide, so the good end is measured alternately.
    LeftOpen {
        /// The base of the comparison.
        base: String,
        /// Why it is undecided.
        reason: String,
    },
    /// A target failed and is started again.
    OnceMore {
        /// How it failed.
        reason: String,
    },
    /// A commit is judged.
    Judged {
        /// Its short id.
        commit: String,
        /// The answer in words.
        answer: &'static str,
        /// The change nearest to its limit, or furthest beyond.
        change: Option<JudgedChange>,
        /// Number of server starts.
        server_starts: u32,
        /// Duration in seconds.
        seconds: f64,
        /// Why the comparison is missing.
        reason: Option<String>,
    },
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

/// The reason to judge a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BisectTask {
    /// The good end must pass against itself.
    GoodEnd,
    /// The bad end must be slower than the good one.
    BadEnd,
    /// Git asks about it.
    Search,
    /// The found commit is compared with its parent.
    Confirmation,
}

/// A change with its 95 % confidence interval; positive is worse.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedChange {
    /// The metric.
    pub metric: Metric,
    /// Its estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}
