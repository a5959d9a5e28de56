//! What happens while commits are judged one after the other.

use std::path::PathBuf;

use crate::metric::Metric;

/// An event of a search; each carries the data to word it.
#[derive(Clone, Debug, PartialEq)]
pub enum BisectEvent {
    /// A commit comes next.
    Begins {
        /// What for.
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
    /// The same question was answered before.
    MeasuredBefore {
        /// What came of it.
        reason: String,
    },
    /// A stored good result does not decide, so the good end is measured alternately.
    LeftOpen {
        /// What the commit was compared with.
        base: String,
        /// Why it is open.
        reason: String,
    },
    /// A target failed, and is started once more.
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
        /// Servers that were started for it.
        server_starts: u32,
        /// How long it took.
        seconds: f64,
        /// Why there is no comparison.
        reason: Option<String>,
    },
    /// Git will ask about more commits.
    MoreToJudge {
        /// How many may still be the one.
        commits: usize,
        /// About how many of them will be judged.
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

/// What a commit is judged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BisectTask {
    /// The good end must pass against itself.
    GoodEnd,
    /// The bad end must be slower than the good one.
    BadEnd,
    /// Git asks about it.
    Search,
    /// It was found, and is compared with its parent.
    Confirmation,
}

/// A change with its 95 % interval; plus is worse.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedChange {
    /// Of what.
    pub metric: Metric,
    /// Its estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}
