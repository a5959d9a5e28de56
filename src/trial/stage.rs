//! The stages of a trial: the measurements before each look.

use super::evidence::{Evidence, LooksTaken};
use super::protocol::{Looks, Protocol};
use crate::event::SampleKind;
use crate::stats::StoredLook;

/// The measurements before a look, and the look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// Repeats of the candidate against the stored baseline.
    Repeats(StoredLook),
    /// One start of the candidate, and so many alternating pairs.
    Pairs(u32),
    /// All error probability is spent: at least so many repeats, or pairs with the base version, only show the evidence.
    Spent(SampleKind, u32),
}

impl Stage {
    /// The stages of the protocol in order, without those already judged; `can_decide`: some error probability is left.
    pub(super) fn left(protocol: &Protocol, taken: LooksTaken, can_decide: bool) -> Vec<Self> {
        let left: Vec<Self> = match &protocol.looks {
            Looks::Repeats { looks, .. } => {
                let looks = looks.iter().skip(taken.at_repeats);
                looks.copied().map(Self::Repeats).collect()
            }
            Looks::Pairs { first, most, .. } => {
                let next = (taken.pairs + 1).max(*first);
                (next..=*most).map(Self::Pairs).collect()
            }
        };
        if can_decide && !left.is_empty() {
            return left;
        }
        // The evidence is still judged: a rule that was decided stays decided, and a new rule stays undecided.
        vec![match protocol.looks {
            Looks::Repeats { first, .. } => Self::Spent(SampleKind::Repeats, first),
            Looks::Pairs { .. } => Self::Spent(SampleKind::Pairs, 1),
        }]
    }

    /// Whether it cannot decide and only shows the evidence.
    pub(super) fn is_spent(self) -> bool {
        matches!(self, Self::Spent(..))
    }

    /// What it measures.
    pub(super) fn kind(self) -> SampleKind {
        match self {
            Self::Repeats(_) => SampleKind::Repeats,
            Self::Pairs(_) => SampleKind::Pairs,
            Self::Spent(kind, _) => kind,
        }
    }

    /// The number of repeats or pairs present, and the number needed.
    pub(super) fn have_and_need(self, evidence: &Evidence) -> (u32, u32) {
        let need = match self {
            Self::Repeats(look) => look.at,
            Self::Pairs(pairs) => pairs,
            Self::Spent(_, need) => need,
        };
        match self.kind() {
            SampleKind::Repeats => (evidence.repeats(), need),
            SampleKind::Pairs => (evidence.pairs(), need),
        }
    }
}
