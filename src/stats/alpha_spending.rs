//! Alpha spending: each interim look spends a share of α and β, so that several looks keep the error probabilities.

/// An interim look at the evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InterimLook {
    /// The repeats of the candidate, or alternating pairs, that it needs.
    pub at: u32,
    /// Share of α that it spends; with 0 it may not block.
    pub alpha: f64,
    /// Share of β that it spends.
    pub beta: f64,
}

impl InterimLook {
    const fn new(at: u32, alpha: f64, beta: f64) -> Self {
        Self { at, alpha, beta }
    }

    /// A single look at all evidence.
    pub const fn only(at: u32) -> Self {
        Self::new(at, 1.0, 1.0)
    }

    /// The look at the stored baseline when the base version is available: it may only pass, and spends little of β, because a few
    /// repeats of the candidate rarely reveal a day that is noisier than the ledger.
    pub const fn before_pairs(at: u32) -> Self {
        Self::new(at, 0.0, 0.25)
    }

    /// All of α and β is spent: it may neither pass nor block.
    pub const fn spent(at: u32) -> Self {
        Self::new(at, 0.0, 0.0)
    }

    /// Whether it may neither pass nor block.
    pub fn is_spent(self) -> bool {
        self.alpha <= 0.0 && self.beta <= 0.0
    }

    /// Whether pairs can follow, so that it may only pass.
    pub fn comes_before_pairs(self) -> bool {
        self.alpha <= 0.0
    }
}

/// Looks at alternating pairs.
pub const PAIR_LOOKS: [InterimLook; 3] = [
    InterimLook::new(3, 0.25, 0.15),
    InterimLook::new(6, 0.35, 0.20),
    InterimLook::new(12, 0.40, 0.25),
];

/// Alternating pairs of a version with itself before a search: the fewest that are useful without a known noise.
pub const SELF_LOOKS: [InterimLook; 2] = [
    InterimLook::new(6, 0.5, 0.5),
    InterimLook::new(12, 0.5, 0.5),
];

/// Alternating pairs of a step of a search, with their shares of α and β. Its levels are far stricter than a gate's, so few
/// pairs cannot decide, and an undecided commit must be replaced by another one.
const SEARCH_LOOKS: [(u32, f64); 5] = [(3, 0.1), (6, 0.2), (9, 0.2), (12, 0.2), (24, 0.3)];

/// The looks of a search that measures at most `most` pairs of a commit; the last look also spends the share of later ones.
pub fn search_looks(most: u32) -> Vec<InterimLook> {
    let ends = SEARCH_LOOKS.iter().filter(|(at, _)| *at < most);
    let mut looks: Vec<InterimLook> = ends
        .map(|(at, share)| InterimLook::new(*at, *share, *share))
        .collect();
    let left = 1.0 - looks.iter().map(|look| look.alpha).sum::<f64>();
    looks.push(InterimLook::new(most, left, left));
    looks
}

/// Repeats of the candidate against a stored baseline, without a base version, with their shares of α and β.
const CANDIDATE_LOOKS: [(u32, f64); 4] = [(3, 0.4), (5, 0.2), (7, 0.2), (10, 0.2)];

/// The looks of a gate that starts with `first` repeats and may run `most`. The first look also spends the share that the
/// schedule gives to earlier looks, and the last one the share of later looks.
pub fn candidate_looks(first: u32, most: u32) -> Vec<InterimLook> {
    let most = most.max(first);
    let later = CANDIDATE_LOOKS.iter().map(|(at, _)| *at);
    let mut ends: Vec<u32> = vec![first];
    ends.extend(later.filter(|at| *at > first && *at < most));
    if most > first {
        ends.push(most);
    }
    let last = ends.len() - 1;
    // A look before the first one of the schedule has little evidence: it gets half of that look's share.
    let spent_by = |at: u32| -> f64 {
        let until = CANDIDATE_LOOKS.iter().filter(|(end, _)| *end <= at);
        let whole: f64 = until.map(|(_, share)| share).sum();
        if whole > 0.0 {
            whole
        } else {
            CANDIDATE_LOOKS[0].1 / 2.0
        }
    };
    let mut before = 0.0;
    let mut looks = Vec::new();
    for (index, at) in ends.iter().enumerate() {
        let until = if index == last { 1.0 } else { spent_by(*at) };
        looks.push(InterimLook::new(*at, until - before, until - before));
        before = until;
    }
    looks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: u32, most: u32) -> String {
        let looks = candidate_looks(first, most);
        let words: Vec<String> = looks
            .iter()
            .map(|look| format!("{}: {:.1}", look.at, look.alpha))
            .collect();
        words.join(", ")
    }

    #[test]
    fn the_default_gate_looks_four_times() {
        assert_eq!(shown(3, 10), "3: 0.4, 5: 0.2, 7: 0.2, 10: 0.2");
    }

    #[test]
    fn for_any_first_and_last_look_everything_is_spent_once() {
        assert_eq!(shown(5, 10), "5: 0.6, 7: 0.2, 10: 0.2");
        assert_eq!(shown(3, 3), "3: 1.0");
        assert_eq!(shown(1, 6), "1: 0.2, 3: 0.2, 5: 0.2, 6: 0.4");
        for first in 1..12 {
            for most in 1..14 {
                let spent: f64 = candidate_looks(first, most)
                    .iter()
                    .map(|look| look.beta)
                    .sum();
                assert!((spent - 1.0).abs() < 1e-12, "{first} {most}");
            }
        }
    }

    #[test]
    fn a_search_spends_everything_for_any_last_look() {
        for most in 1..40 {
            let looks = search_looks(most);
            let spent: f64 = looks.iter().map(|look| look.beta).sum();
            assert!((spent - 1.0).abs() < 1e-12, "{most}");
            assert!(looks.is_sorted_by(|one, next| one.at < next.at), "{most}");
            assert_eq!(looks.last().unwrap().at, most);
        }
    }

    #[test]
    fn looks_at_pairs_spend_alpha_once_and_beta_with_the_look_before_them() {
        let alpha: f64 = PAIR_LOOKS.iter().map(|look| look.alpha).sum();
        let beta: f64 = PAIR_LOOKS.iter().map(|look| look.beta).sum();
        assert!((alpha - 1.0).abs() < 1e-12);
        assert!(beta + InterimLook::before_pairs(3).beta <= 1.0);
    }
}
