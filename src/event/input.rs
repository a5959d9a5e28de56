//! Events of resolving arguments and files.

use std::path::PathBuf;

/// An event of `inputs/`, with the data for its message.
#[derive(Clone, Debug, PartialEq)]
pub enum InputEvent {
    /// Local copies replaced a bucket; the comparison contains the same sentence.
    CopiesRead(String),
    /// The pull request's current text cannot be read.
    PullRequestTextUnknown {
        /// Why.
        reason: String,
    },
    /// A section of the pull request's text is too short or too long to count.
    SectionIgnored {
        /// `analysis` or `explanation`.
        section: &'static str,
    },
    /// A data set has unusable entries.
    EntriesUnusable {
        /// The file.
        path: PathBuf,
        /// Number of entries.
        all: usize,
        /// Reasons for unusable entries, with counts.
        reasons: Vec<(String, usize)>,
    },
    /// `input_tokens` is set together with a data set.
    InputTokensUnused,
    /// A trace was read.
    TraceRead {
        /// The file.
        path: PathBuf,
        /// Number of requests.
        requests: u32,
        /// Time from the first to the last, in seconds.
        seconds: f64,
    },
    /// The gaps of a trace suggest that its time stamps have another unit.
    TraceUnitUnlikely {
        /// The unit used.
        read_as: &'static str,
        /// The unit with plausible gaps.
        likely: &'static str,
    },
    /// A closed loop has more slots than requests that can run at once.
    ConcurrencyNotReached {
        /// Wanted requests in flight.
        slots: usize,
        /// Number of requests.
        requests: usize,
        /// Turns of each conversation; 1 without conversations.
        turns: usize,
    },
    /// The prompts of a scenario of MLPerf have the lengths of the plan.
    PromptsOfOwnLengths,
    /// The prompts of a scenario of MLPerf have a beginning in common.
    PromptsShareBeginnings {
        /// The share of each prompt that is the same in others.
        share: f64,
    },
    /// `init` found a Dockerfile whose image is in no registry.
    ImageNotInRegistry {
        /// The Dockerfile.
        dockerfile: String,
        /// The image that it builds on.
        base: String,
    },
    /// `init` found an option in a compose file whose value is not known.
    OptionValueUnknown {
        /// The option.
        option: String,
    },
}
