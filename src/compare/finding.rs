//! What a reader should know about two runs beside their numbers.

use std::fmt;

use crate::code::Code;
use crate::metric::Metric;
use crate::report::comparison::Difference;

/// Something a reader should know about the two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// One side does not say what it ran on or what it was sent.
    Unknown {
        /// What is not said.
        what: &'static str,
        /// `baseline`, `candidate` or `neither run`.
        side: &'static str,
    },
    /// A load point of the candidate that the baseline does not have.
    NewScenario(String),
    /// Load points that the search of one side chose and the other did not.
    ChosenPoints {
        /// `baseline` or `candidate`.
        side: &'static str,
        /// Names of the scenarios.
        names: Vec<String>,
    },
    /// The two sides sent unequally many requests.
    RequestCounts {
        /// Name of the scenario.
        scenario: String,
        /// Requests of the baseline.
        baseline: String,
        /// Requests of the candidate.
        candidate: String,
    },
    /// Tokens came in unlike pieces.
    OtherPackaging {
        /// Name of the scenario.
        scenario: String,
        /// Tokens per chunk of the baseline.
        baseline: String,
        /// Tokens per chunk of the candidate.
        candidate: String,
    },
    /// Requests that failed or were truncated.
    FailedRequests {
        /// `baseline` or `candidate`.
        side: &'static str,
        /// Name of the scenario.
        scenario: String,
        /// Failed and truncated requests.
        failed: u64,
        /// All requests.
        all: u64,
    },
    /// Metrics that the baseline has and the candidate lacks.
    LostMetrics {
        /// Name of the scenario.
        scenario: String,
        /// Which ones.
        metrics: Vec<Metric>,
    },
    /// Pairs decide alone: the stored baseline cannot be compared.
    StoredNotUsed(Difference),
    /// Sessions of the ledger with another fingerprint.
    LedgerSkipped {
        /// How many.
        skipped: usize,
        /// Of how many.
        all: usize,
    },
    /// Sessions of the ledger that are there once more.
    LedgerRepeated(usize),
    /// Alternating repeats of which one side has more.
    Unpaired {
        /// Name of the scenario.
        scenario: String,
        /// Repeats of the baseline.
        baseline: usize,
        /// Repeats of the candidate.
        candidate: usize,
    },
    /// What was seen beside the results of a repeat, and does not void it.
    RepeatWarning {
        /// `baseline` or `candidate`.
        side: &'static str,
        /// Name of the scenario.
        scenario: String,
        /// The sentence.
        warning: String,
        /// In how many repeats.
        repeats: usize,
    },
    /// A repeat that does not count.
    VoidRepeat {
        /// `baseline` or `candidate`.
        side: &'static str,
        /// Name of the scenario.
        scenario: String,
        /// Which one, from 1.
        number: usize,
        /// Why.
        reason: String,
    },
}

impl Finding {
    /// What it is about.
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } => Code::UnknownIdentity,
            Self::NewScenario(_) => Code::NewScenario,
            Self::ChosenPoints { .. } => Code::OtherLoadPoints,
            Self::RequestCounts { .. } => Code::UnequalRequestCounts,
            Self::OtherPackaging { .. } => Code::UnlikeChunks,
            Self::FailedRequests { .. } => Code::FailedRequests,
            Self::LostMetrics { .. } => Code::LostMetrics,
            Self::VoidRepeat { .. } => Code::VoidRepeat,
            Self::RepeatWarning { .. } => Code::RepeatWarning,
            Self::StoredNotUsed(_) => Code::StoredBaselineNotUsed,
            Self::LedgerSkipped { .. } => Code::LedgerLinesNotUsed,
            Self::LedgerRepeated(_) => Code::LedgerLinesRepeated,
            Self::Unpaired { .. } => Code::UnpairedRepeats,
        }
    }
}

impl fmt::Display for Finding {
    #[expect(clippy::too_many_lines, reason = "one sentence for each finding")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                what,
                side: "neither run",
            } => {
                write!(
                    f,
                    "neither run says its {what}, so whether they match is not known"
                )
            }
            Self::Unknown { what, side } => {
                write!(
                    f,
                    "the {side} does not say its {what}, so whether both match is not known"
                )
            }
            Self::LostMetrics { scenario, metrics } => {
                let ids: Vec<&str> = metrics.iter().map(|metric| metric.id()).collect();
                write!(
                    f,
                    "scenario `{scenario}`: the baseline has {} and the candidate has not",
                    ids.join(", ")
                )
            }
            Self::NewScenario(name) => {
                write!(
                    f,
                    "scenario `{name}` is new: the baseline has nothing to compare it with"
                )
            }
            Self::ChosenPoints { side, names } => write!(
                f,
                "load points that only the {side} measured are not compared: {}",
                names.join(", ")
            ),
            Self::RequestCounts {
                scenario,
                baseline,
                candidate,
            } => write!(
                f,
                "scenario `{scenario}`: {baseline} requests per repeat in the baseline, {candidate} in the candidate"
            ),
            Self::FailedRequests {
                side,
                scenario,
                failed,
                all,
            } => write!(
                f,
                "scenario `{scenario}`: {failed} of {all} requests of the {side} failed; they count as the slowest in percentiles, and means leave them out"
            ),
            Self::OtherPackaging {
                scenario,
                baseline,
                candidate,
            } => write!(
                f,
                "scenario `{scenario}`: a chunk carries {baseline} tokens in the baseline and {candidate} in the candidate, so ITL is not compared, and TPOT only where both servers report how many tokens came first"
            ),
            Self::StoredNotUsed(Difference {
                what,
                baseline,
                candidate,
            }) => {
                let side =
                    |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                write!(
                    f,
                    "the stored baseline is not used, the alternating repeats decide alone: {what} is {} there and {} here",
                    side(baseline),
                    side(candidate)
                )
            }
            Self::LedgerSkipped { skipped, all } => write!(
                f,
                "{skipped} of the {all} sessions in the ledger say nothing of this noise: other hardware, workload or model, or this very run"
            ),
            Self::LedgerRepeated(repeated) => write!(
                f,
                "the ledger holds the same session more than once, and it counts once: lines left out: {repeated}; `perfgate baseline verify` names them"
            ),
            Self::Unpaired {
                scenario,
                baseline,
                candidate,
            } => write!(
                f,
                "scenario `{scenario}`: {baseline} alternating repeats of the baseline and {candidate} of the candidate; those without a partner are not used"
            ),
            Self::VoidRepeat {
                side,
                scenario,
                number,
                reason,
            } => {
                write!(
                    f,
                    "scenario `{scenario}`: repeat {number} of the {side} does not count: {reason}"
                )
            }
            Self::RepeatWarning {
                side,
                scenario,
                warning,
                repeats,
            } => {
                let place = if *repeats > 1 {
                    format!("{repeats} repeats of the {side}")
                } else {
                    format!("a repeat of the {side}")
                };
                write!(f, "scenario `{scenario}`, {place}: {warning}")
            }
        }
    }
}
