//! Events of a gate.

use crate::metric::Metric;

/// An event of a trial, with the data for its message.
#[derive(Clone, Debug, PartialEq)]
pub enum GateEvent {
    /// This run adds to the evidence of an earlier run of the commit.
    Continued {
        /// Headline of the last interim look.
        headline: String,
    },
    /// Other evidence of this commit spent a part of the error probabilities; new evidence uses the rest.
    BeganAnew {
        /// The share of the false-block probability that is left.
        alpha: f64,
        /// The share of the false-pass probability that is left.
        beta: f64,
    },
    /// Evidence of this commit was collected by another schedule and cannot be continued.
    OtherSchedule,
    /// All interim looks are spent.
    NothingLeft,
    /// Measurement for the next interim look begins.
    Measuring(NextSample),
    /// This hardware has no stored baseline, so at least two pairs are needed.
    NoStoredBaseline,
    /// A half of a pair is void or failed, and is measured again.
    HalfAgain {
        /// The pair, from 1.
        pair: u32,
        /// Whether it is that of the base version.
        of_base: bool,
        /// Why.
        reason: String,
    },
    /// The next measurement would exceed the budget, so the gate stops.
    BudgetEnded {
        /// What was spent, and what is missing.
        why: String,
    },
}

/// The repeats or pairs for an interim look.
#[derive(Clone, Debug, PartialEq)]
pub struct NextSample {
    /// Why.
    pub because: Because,
    /// Repeats or pairs.
    pub kind: SampleKind,
    /// Existing valid ones.
    pub have: u32,
    /// Number required by the interim look.
    pub need: u32,
    /// The most that the gate may measure.
    pub most: u32,
}

/// What a gate measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    /// Repeats of the candidate.
    Repeats,
    /// A start of the candidate, then alternating pairs.
    Pairs,
}

/// Why a gate continues to measure.
#[derive(Clone, Debug, PartialEq)]
pub enum Because {
    /// The first measurement.
    First,
    /// The last interim look was undecided.
    Undecided {
        /// Its headline.
        headline: String,
        /// The first undecided rule with an interval.
        open: Option<OpenRule>,
    },
    /// The commit was already decided and is run again.
    RunAgain,
}

/// An undecided rule; changes are relative, and positive is worse.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenRule {
    /// Its metric.
    pub metric: Metric,
    /// Its load point.
    pub scenario: String,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Its limit.
    pub limit: f64,
}
