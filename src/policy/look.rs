//! A look at the evidence: its error probabilities, the names of the runs, and what earlier looks and the author left.

use crate::report::comparison::{Analysis, Comparison};
use crate::stats::{ErrorLevels, PairSchedule, StoredLook};

/// Largest accepted probability of a false block, over all blocking rules.
pub(crate) const ALPHA: f64 = 0.02;

/// Largest accepted probability of a false pass, per rule, of a regression at the high edge.
pub(crate) const BETA: f64 = 0.05;

/// The error probabilities of a gate.
pub const GATE_LEVELS: ErrorLevels = ErrorLevels {
    alpha: ALPHA,
    beta: BETA,
};

/// The names of the runs in the file: the files they were read from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'a> {
    /// The baseline's file.
    pub baseline: &'a str,
    /// The candidate's file.
    pub candidate: &'a str,
    /// The files of the alternating repeats.
    pub pairs: (&'a str, &'a str),
    /// The ledger's file.
    pub ledger: Option<&'a str>,
}

/// The place of a look in its trial, which gives its levels.
#[derive(Clone, Copy, Debug)]
pub enum LookAt<'a> {
    /// A single look at all evidence: all of α and β.
    All,
    /// At repeats of the candidate against the stored baseline.
    Repeats(StoredLook),
    /// After so many pairs, with the levels of each rule that may block.
    Pairs(u32, &'a PairSchedule),
    /// After so many pairs, more than the schedule has: by evidence that is valid at any time.
    Beyond(u32),
    /// All of α and β is spent: nothing can be decided.
    Spent,
}

/// A look at the evidence of one commit, and the result of earlier ones.
#[derive(Clone, Copy, Debug)]
pub struct ThisLook<'a> {
    /// The error probabilities of the whole decision; of all evidence but what earlier evidence of the commit spent.
    pub levels: ErrorLevels,
    /// The look.
    pub at: LookAt<'a>,
    /// The comparison of the previous look, whose decisions stay while the new evidence does not decide.
    pub before: Option<&'a Comparison>,
    /// The author's analysis of a regression under a `report` rule.
    pub analysis: Option<&'a Analysis>,
    /// The author's explanation of a regression under a rule with `explain`.
    pub explanation: Option<&'a Analysis>,
}

impl ThisLook<'_> {
    /// A single look at all evidence.
    pub const ONLY: Self = Self {
        levels: GATE_LEVELS,
        at: LookAt::All,
        before: None,
        analysis: None,
        explanation: None,
    };
}
