//! The interim looks of a trial and its error probabilities.

use crate::bisect::Role;
use crate::policy::GATE_LEVELS;
use crate::record::Run;
use crate::stats::{
    ErrorLevels, InterimLook, PAIR_LOOKS, SELF_LOOKS, candidate_looks, search_looks,
};

/// Error probability of one step of a search. A search among n commits takes log2 n steps, and one wrong step makes the result
/// wrong: at the gate's 2 %, seven steps would be wrong 1 time in 8; at this level, 7 times in 1000. Good and bad commits are
/// equally frequent, so both errors have the same level.
pub const SEARCH_LEVELS: ErrorLevels = ErrorLevels {
    alpha: 0.001,
    beta: 0.001,
};

/// The looks of a trial and its error probabilities.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The error probabilities of the whole decision.
    pub(super) levels: ErrorLevels,
    /// Looks at repeats of the candidate against the stored baseline.
    pub(super) repeats: Vec<InterimLook>,
    /// Looks at alternating pairs; empty without the base version.
    pub(super) pairs: Vec<InterimLook>,
    /// Whether more pairs can follow the looks at repeats.
    pub(super) has_base: bool,
    /// Repeats of a look that can no longer decide.
    pub(super) first: u32,
    /// Runs of the base version for learning the noise without a stored baseline and its ledger.
    pub(super) ledger: Vec<Run>,
}

impl Protocol {
    /// A gate without the base version: it begins with `first` repeats of the candidate and measures at most `most`.
    pub fn without_base(first: u32, most: u32) -> Self {
        Self {
            levels: GATE_LEVELS,
            repeats: candidate_looks(first, most),
            pairs: Vec::new(),
            has_base: false,
            first,
            ledger: Vec::new(),
        }
    }

    /// A gate with the base version: `first` repeats against the stored baseline, if there may be one, then pairs.
    pub fn with_base(first: u32, may_have_stored: bool) -> Self {
        Self {
            repeats: may_have_stored
                .then(|| InterimLook::before_pairs(first))
                .into_iter()
                .collect(),
            pairs: PAIR_LOOKS.to_vec(),
            has_base: true,
            ..Self::without_base(first, first)
        }
    }

    /// The protocol of a step of a search among commits: its looks at `most` pairs and its error probabilities. `ledger` are runs of
    /// the good end. A stored result of the good end and pairs after it are two chances of an error, so each gets half of the levels.
    #[must_use]
    pub fn of_search(self, role: Role, most: u32, has_result: bool, ledger: Vec<Run>) -> Self {
        let share = if has_result { 0.5 } else { 1.0 };
        let levels = match role {
            Role::GoodEnd => GATE_LEVELS,
            Role::BadEnd | Role::Search => ErrorLevels {
                alpha: SEARCH_LEVELS.alpha * share,
                beta: SEARCH_LEVELS.beta * share,
            },
            Role::Confirmation => SEARCH_LEVELS,
        };
        let pairs = match role {
            _ if !self.has_base => Vec::new(),
            Role::GoodEnd => SELF_LOOKS.to_vec(),
            Role::BadEnd | Role::Search | Role::Confirmation => search_looks(most),
        };
        Self {
            levels,
            pairs,
            ledger,
            ..self
        }
    }
}
