//! The stages of a trial: the measurements before each look.

use super::evidence::{Evidence, LooksTaken};
use super::protocol::Protocol;
use crate::event::SampleKind;
use crate::stats::InterimLook;

/// Pairs that a re-run adds when all looks are spent.
const MORE_PAIRS: u32 = 3;

/// The measurements before a look, and the look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// Repeats of the candidate against the stored baseline.
    Repeats(InterimLook),
    /// Alternating pairs.
    Pairs(InterimLook),
    /// Pairs beyond the last look.
    MorePairs,
}

impl Stage {
    /// The stages of the protocol in order, without those already judged.
    pub(super) fn left(protocol: &Protocol, taken: LooksTaken) -> Vec<Self> {
        let mut left: Vec<Self> = Vec::new();
        // If pairs follow, a look at repeats may only pass; once there are pairs, it is left out.
        if taken.pairs == 0 {
            let repeats = protocol.repeats.iter().copied().map(Self::Repeats);
            left.extend(repeats.skip(taken.repeats));
        }
        let pairs = protocol.pairs.iter().copied().map(Self::Pairs);
        left.extend(pairs.skip(taken.pairs));
        if left.is_empty() {
            // No α or β is left. The evidence is still judged: a rule that was decided stays decided, and a new rule stays undecided.
            left.push(if protocol.has_base {
                Self::MorePairs
            } else {
                Self::Repeats(InterimLook::spent(protocol.first))
            });
        }
        left
    }

    /// Whether it cannot decide and only shows the evidence.
    pub(super) fn is_spent(self) -> bool {
        matches!(self, Self::Repeats(look) if look.is_spent())
    }

    /// What it measures.
    pub(super) fn kind(self) -> SampleKind {
        match self {
            Self::Repeats(_) => SampleKind::Repeats,
            Self::Pairs(_) => SampleKind::Pairs,
            Self::MorePairs => SampleKind::MorePairs,
        }
    }

    /// The number of repeats or pairs present, and the number needed.
    pub(super) fn have_and_need(self, evidence: &Evidence) -> (u32, u32) {
        match self {
            Self::Repeats(look) => (evidence.repeats(), look.at),
            Self::Pairs(look) => (evidence.pairs(), look.at),
            Self::MorePairs => (evidence.pairs(), evidence.pairs() + MORE_PAIRS),
        }
    }

    /// The look at that evidence.
    pub(super) fn look(self, evidence: &Evidence) -> InterimLook {
        match self {
            Self::Repeats(look) | Self::Pairs(look) => look,
            Self::MorePairs => InterimLook::spent(evidence.pairs()),
        }
    }
}
