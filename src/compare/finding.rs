//! Findings about two runs beside their numbers.

use std::fmt;

use crate::code::Code;
use crate::metric::Metric;
use crate::report::comparison::Difference;
use crate::text::count::count;

/// A warning about the two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// One side does not record what it ran on or what it was sent.
    Unknown {
        /// What is not recorded.
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
    /// The two sides sent unequal numbers of requests.
    RequestCounts {
        /// Name of the scenario.
        scenario: String,
        /// Requests of the baseline.
        baseline: String,
        /// Requests of the candidate.
        candidate: String,
    },
    /// Chunks carry unequal numbers of tokens.
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
    /// Duplicate sessions of the ledger.
    LedgerRepeated(usize),
    /// One side has more alternating repeats.
    Unpaired {
        /// Name of the scenario.
        scenario: String,
        /// Repeats of the baseline.
        baseline: usize,
        /// Repeats of the candidate.
        candidate: usize,
    },
    /// Something unusual in a repeat that does not void it.
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
    /// The code of the warning.
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
                    "neither run records its {what}, so it is unknown whether they match"
                )
            }
            Self::Unknown { what, side } => {
                write!(
                    f,
                    "the {side} does not record its {what}, so it is unknown whether both match"
                )
            }
            Self::LostMetrics { scenario, metrics } => {
                let ids: Vec<&str> = metrics.iter().map(|metric| metric.id()).collect();
                write!(
                    f,
                    "scenario `{scenario}`: the candidate lacks {}, which the baseline has",
                    ids.join(", ")
                )
            }
            Self::NewScenario(name) => {
                write!(
                    f,
                    "scenario `{name}` is new: the baseline does not have it, so only its budgets are judged"
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
                "scenario `{scenario}`: {failed} of {all} requests of the {side} failed; percentiles count them as the slowest, and means leave them out"
            ),
            Self::OtherPackaging {
                scenario,
                baseline,
                candidate,
            } => write!(
                f,
                "scenario `{scenario}`: chunks carry {baseline} tokens in the baseline and {candidate} in the candidate, so ITL is not compared, and TPOT only where both servers report the tokens of the first chunk"
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
                    "the stored baseline is not used, only the alternating repeats decide: {what} is {} in the stored baseline and {} here",
                    side(baseline),
                    side(candidate)
                )
            }
            Self::LedgerSkipped { skipped, all } => write!(
                f,
                "{skipped} of {all} sessions in the ledger are not used for the noise: other hardware, workload or model, or this same run"
            ),
            Self::LedgerRepeated(repeated) => write!(
                f,
                "the ledger contains the same session more than once, and it counts once: {} left out; `perfgate baseline verify` lists them",
                count(*repeated, "line")
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
                let repeats = count(*repeats, "repeat");
                write!(
                    f,
                    "scenario `{scenario}`, {repeats} of the {side}: {warning}"
                )
            }
        }
    }
}
