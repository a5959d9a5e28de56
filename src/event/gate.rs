//! What happens while a gate decides.

use crate::metric::Metric;

/// An event of a trial; each carries the data to word it.
#[derive(Clone, Debug, PartialEq)]
pub enum GateEvent {
    /// An earlier run of this commit was looked at; this run adds to its evidence.
    Continued {
        /// What the last look found.
        headline: String,
    },
    /// Other evidence of this commit has spent looks; this evidence starts anew with what is left.
    BeganAnew {
        /// Looks at repeats that are spent.
        repeats: usize,
        /// Looks at pairs that are spent.
        pairs: usize,
    },
    /// No look is left that may decide, and the base version is not at hand.
    NothingLeft,
    /// Repeats of the candidate come next.
    Repeats {
        /// Why.
        because: Because,
        /// Those that count already.
        have: u32,
        /// Those that the look needs.
        need: u32,
    },
    /// Alternating pairs come next.
    Pairs {
        /// Why.
        because: Because,
        /// Those that count already.
        have: u32,
        /// Those that the look needs.
        need: u32,
    },
    /// Every look is spent; more pairs may still block.
    MorePairs {
        /// Why.
        because: Because,
        /// How many.
        more: u32,
    },
    /// This machine has no stored baseline; pairs follow.
    NoStoredBaseline,
    /// More repeats of the candidate cannot decide against this baseline.
    BaselineTooNoisy,
}

/// Why a gate measures on.
#[derive(Clone, Debug, PartialEq)]
pub enum Because {
    /// It is the first measurement.
    First,
    /// The last look was undecided.
    Undecided {
        /// Its headline.
        headline: String,
        /// The first rule that it left open, where that has an interval.
        open: Option<OpenRule>,
    },
    /// The stored baseline cannot be compared.
    NotComparable {
        /// What differs.
        headline: String,
    },
    /// The commit was decided before and is run again.
    RunAgain,
}

/// A rule that a look left open; changes are relative, and positive is worse.
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
