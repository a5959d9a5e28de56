//! The looks of a trial and its error probabilities.

use std::sync::{Arc, OnceLock};

use crate::bisect::Role;
use crate::policy::GATE_LEVELS;
use crate::record::Run;
use crate::stats::{ErrorLevels, MOST_PAIRS, PairSchedule, StoredLook, stored_looks};

/// Error probability of one step of a search. A search among n commits takes log2 n steps, and one wrong step makes the result
/// wrong: at the gate's 2 %, seven steps would be wrong 1 time in 8; at this level, 7 times in 1000. Good and bad commits are
/// equally frequent, so both errors have the same level.
pub const SEARCH_LEVELS: ErrorLevels = ErrorLevels {
    alpha: 0.001,
    beta: 0.001,
};

/// The first look at pairs of a version with itself: the fewest that show its noise.
const FIRST_AT_ITSELF: u32 = 6;

/// The looks of a trial and its error probabilities.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// The error probabilities of the whole decision.
    pub(super) levels: ErrorLevels,
    pub(super) looks: Looks,
    /// Runs of the base version for learning the noise without a stored baseline and its ledger.
    pub(super) ledger: Vec<Run>,
    /// The levels of a rule, which take a while to compute.
    known: OnceLock<Arc<PairSchedule>>,
}

/// When a trial looks.
#[derive(Clone, Debug)]
pub(super) enum Looks {
    /// At repeats of the candidate against the stored baseline, at first `first` of them.
    Repeats { first: u32, looks: Vec<StoredLook> },
    /// After each pair from `first` to `most`; the levels are spent over `span` pairs.
    Pairs { first: u32, most: u32, span: u32 },
}

impl Protocol {
    fn new(looks: Looks) -> Self {
        Self {
            levels: GATE_LEVELS,
            looks,
            ledger: Vec::new(),
            known: OnceLock::new(),
        }
    }

    /// A gate without the base version: it begins with `first` repeats of the candidate and measures at most `most`.
    pub fn without_base(first: u32, most: u32) -> Self {
        let looks = stored_looks(first, most);
        Self::new(Looks::Repeats { first, looks })
    }

    /// A gate with the base version: one start of the candidate, then at most `most` pairs, at least two.
    pub fn with_base(most: u32) -> Self {
        Self::new(Looks::Pairs {
            first: 1,
            most: most.max(2),
            span: MOST_PAIRS,
        })
    }

    /// Whether the base version is measured too.
    pub fn has_base(&self) -> bool {
        matches!(self.looks, Looks::Pairs { .. })
    }

    /// The most repeats of the candidate, or pairs with the base version.
    pub fn most(&self) -> u32 {
        match &self.looks {
            Looks::Repeats { first, looks } => looks.last().map_or(*first, |look| look.at),
            Looks::Pairs { most, .. } => *most,
        }
    }

    /// The levels of each of `family` rules after each pair, with the shares of the error probabilities that are left.
    pub(super) fn schedule(
        &self,
        family: u32,
        left: ErrorLevels,
        has_stored: bool,
    ) -> Arc<PairSchedule> {
        let (first, span) = match self.looks {
            Looks::Repeats { .. } => (1, MOST_PAIRS),
            // Without a stored baseline a single pair decides nothing.
            Looks::Pairs { first, span, .. } if has_stored => (first, span),
            Looks::Pairs { first, span, .. } => (first.max(2), span),
        };
        let total = self.levels.times(left).shared_among(family);
        let known = self
            .known
            .get_or_init(|| Arc::new(PairSchedule::new(total, first, span)));
        if known.is_for(total, first) {
            Arc::clone(known)
        } else {
            Arc::new(PairSchedule::new(total, first, span))
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
        let looks = match (self.looks, role) {
            (looks @ Looks::Repeats { .. }, _) => looks,
            (Looks::Pairs { .. }, Role::GoodEnd) => Looks::Pairs {
                first: FIRST_AT_ITSELF,
                most: MOST_PAIRS,
                span: MOST_PAIRS,
            },
            (Looks::Pairs { .. }, Role::BadEnd | Role::Search | Role::Confirmation) => {
                let most = most.max(2);
                Looks::Pairs {
                    first: 2,
                    most,
                    span: most,
                }
            }
        };
        Self {
            levels,
            ledger,
            ..Self::new(looks)
        }
    }
}
