//! Why a metric cannot be judged in a scenario.

use std::fmt;

/// Why a side has no usable value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Every repeat is void.
    AllVoid,
    /// A repeat that counts has no value.
    NotMeasured {
        /// Which one, from 1.
        number: usize,
        /// The reason in the file, if any.
        reason: Option<String>,
    },
    /// A value of zero has no relative change.
    Zero,
    /// Too few successful requests for the percentile.
    TooFewRequests {
        /// The fewest in a repeat.
        got: u64,
        /// The fewest that are enough.
        needed: u64,
    },
    /// The run has no such scenario.
    NoScenario,
    /// The two sides use different definitions.
    OtherDefinition {
        /// Version of the baseline's.
        baseline: u32,
        /// Version of the candidate's.
        candidate: u32,
    },
    /// Chunks carry unequal numbers of tokens.
    OtherPackaging {
        /// Tokens per chunk of the baseline.
        baseline: String,
        /// Tokens per chunk of the candidate.
        candidate: String,
    },
    /// The KV cache's capacity is the engine's own figure on one side, and blocks × block size on the other.
    AnotherFigure,
}

/// The reason with its side: `not measured by the baseline (repeat 1)`.
pub(crate) fn of_side(reason: &str, side: &str) -> String {
    match reason.strip_prefix("not measured") {
        Some(rest) => format!("not measured by the {side}{rest}"),
        None => format!("{side}: {reason}"),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllVoid => f.write_str("no repeat counts: all are void"),
            Self::NotMeasured {
                reason: Some(reason),
                ..
            } => write!(f, "not measured: {reason}"),
            Self::NotMeasured {
                number,
                reason: None,
            } => write!(f, "not measured (repeat {number})"),
            Self::Zero => f.write_str(
                "a value of zero has no relative change; give the rule a `max` or `min` instead",
            ),
            Self::TooFewRequests { got, needed } => write!(
                f,
                "a repeat has {got} successful requests and this percentile needs {needed}; raise `num_requests`"
            ),
            Self::AnotherFigure => f.write_str(
                "one side has the engine's own figure and the other blocks × block size, which are not comparable; measure both sides with the same versions of perfgate and of the engine",
            ),
            Self::NoScenario => f.write_str("the run has no such scenario"),
            Self::OtherDefinition {
                baseline,
                candidate,
            } => write!(
                f,
                "the baseline uses definition {baseline} of this metric and the candidate definition {candidate}; accept a new baseline (`perfgate baseline update`)"
            ),
            Self::OtherPackaging {
                baseline,
                candidate,
            } => write!(
                f,
                "chunks carry {baseline} tokens in the baseline and {candidate} in the candidate, so the times between chunks are not comparable; a server that is short of CPU puts more tokens into a chunk: measure again with less other load on the CPU, or for TPOT let vLLM report the tokens of each chunk on both sides (`extra_body: {{stream_options: {{continuous_usage_stats: true}}}}`)"
            ),
        }
    }
}
