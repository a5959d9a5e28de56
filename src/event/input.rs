//! What happens while arguments and files are resolved.

use std::path::PathBuf;

/// An event of `inputs/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq)]
pub enum InputEvent {
    /// Copies were read in place of a bucket; a sentence that the comparison has too.
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
    /// A data set has entries that cannot be sent.
    EntriesUnusable {
        /// The file.
        path: PathBuf,
        /// How many entries it has.
        all: usize,
        /// Why some cannot be sent, with how many.
        reasons: Vec<(String, usize)>,
    },
    /// `input_tokens` is given beside a data set.
    InputTokensUnused,
    /// A trace was read.
    TraceRead {
        /// The file.
        path: PathBuf,
        /// How many requests it has.
        requests: u32,
        /// From the first to the last, in seconds.
        seconds: f64,
    },
    /// The gaps of a trace suggest that its time stamps have another unit.
    TraceUnitUnlikely {
        /// As they were read.
        read_as: &'static str,
        /// What would make them usual.
        likely: &'static str,
    },
    /// A closed loop has more slots than there is to send at once.
    ConcurrencyNotReached {
        /// Requests in flight that were asked for.
        slots: usize,
        /// Requests that there are.
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
