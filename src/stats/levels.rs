//! The looks of a trial, and the levels at each of them: α and β are spent over the pairs (`docs/concepts/mathematics.md`, "Levels").

use statrs::function::erf::erfc;

use super::decision::ErrorLevels;
use super::number;

/// The pairs of a gate after which all of α and β is spent.
pub const MOST_PAIRS: u32 = 12;

/// The first look that may block: a single pair decides nothing alone.
const FIRST_BLOCK: u32 = 2;

/// Nodes of the quadrature: 200 instead give the same levels to 2 · 10⁻⁹.
const NODES: usize = 64;

/// Deviations of the sum below which its density is ignored.
const REACH: f64 = 9.0;

/// The levels of one rule at the looks after each pair.
#[derive(Clone, Debug, PartialEq)]
pub struct PairSchedule {
    /// The error probabilities of the rule.
    total: ErrorLevels,
    /// The first look.
    first: u32,
    /// After 1, 2, … pairs; nothing before the first look.
    levels: Vec<ErrorLevels>,
}

impl PairSchedule {
    /// The looks from `first` to `span` pairs, which spend `total`, the error probabilities of one rule, linearly. No look before
    /// two pairs may block.
    pub fn new(total: ErrorLevels, first: u32, span: u32) -> Self {
        let block = boundary(total.alpha, first.max(FIRST_BLOCK), span);
        let pass = boundary(total.beta, first, span);
        let levels = block.into_iter().zip(pass);
        Self {
            total,
            first,
            levels: levels
                .map(|(alpha, beta)| ErrorLevels { alpha, beta })
                .collect(),
        }
    }

    /// The levels after so many pairs; nothing can be decided outside of the schedule.
    pub fn at(&self, pairs: u32) -> ErrorLevels {
        let index = (pairs as usize).checked_sub(1);
        let known = index.and_then(|index| self.levels.get(index));
        known.copied().unwrap_or(ErrorLevels::NONE)
    }

    /// Whether these are the levels of a rule with that total and that first look.
    pub fn is_for(&self, total: ErrorLevels, first: u32) -> bool {
        self.total == total && self.first == first
    }

    /// The pairs of the last look.
    pub fn span(&self) -> u32 {
        u32::try_from(self.levels.len()).unwrap_or(u32::MAX)
    }

    /// The shares of α and β that the look after so many pairs spends. The first look spends all that is due by then.
    pub fn shares(&self, pairs: u32) -> ErrorLevels {
        ErrorLevels {
            alpha: share(pairs, self.first.max(FIRST_BLOCK), self.span()),
            beta: share(pairs, self.first, self.span()),
        }
    }
}

/// The share that one look spends of a total that is spent linearly from the first look on.
fn share(pairs: u32, first: u32, span: u32) -> f64 {
    let due = match pairs.cmp(&first) {
        _ if pairs > span => 0,
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => first,
        std::cmp::Ordering::Greater => 1,
    };
    f64::from(due) / f64::from(span.max(1))
}

/// A look at repeats of the candidate against a stored baseline, without the base version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredLook {
    /// Repeats of the candidate that it needs.
    pub at: u32,
    /// Share of α and of β that it spends: a plain sum, which is exact enough for four looks.
    pub share: f64,
}

/// Where more repeats can only come from the candidate: repeats at each look, and its share of α and of β.
const STORED_LOOKS: [(u32, f64); 4] = [(3, 0.4), (5, 0.2), (7, 0.2), (10, 0.2)];

/// The looks of a gate that starts with `first` repeats and may run `most`. The first look also spends the share that the
/// schedule gives to earlier looks, and the last one the share of later looks.
pub fn stored_looks(first: u32, most: u32) -> Vec<StoredLook> {
    let most = most.max(first);
    let later = STORED_LOOKS.iter().map(|(at, _)| *at);
    let mut ends: Vec<u32> = vec![first];
    ends.extend(later.filter(|at| *at > first && *at < most));
    if most > first {
        ends.push(most);
    }
    let last = ends.len() - 1;
    // A look before the first one of the schedule has little evidence: it gets half of that look's share.
    let spent_by = |at: u32| -> f64 {
        let until = STORED_LOOKS.iter().filter(|(end, _)| *end <= at);
        let whole: f64 = until.map(|(_, share)| share).sum();
        if whole > 0.0 {
            whole
        } else {
            STORED_LOOKS[0].1 / 2.0
        }
    };
    let mut before = 0.0;
    let mut looks = Vec::new();
    for (index, at) in ends.iter().enumerate() {
        let until = if index == last { 1.0 } else { spent_by(*at) };
        looks.push(StoredLook {
            at: *at,
            share: until - before,
        });
        before = until;
    }
    looks
}

/// One-sided nominal levels `p_k` of looks after each pair from `first` to `span`, spending `total` linearly in the pairs; the first
/// look spends all that is due by then (Armitage and others 1969).
///
/// Z is a standardised Brownian motion at times P/span, and Pr(`Z_j` < `c_j` for all j < k, `Z_k` ≥ `c_k`) is what look k spends;
/// `p_k` = Pr(Z > `c_k`). The other boundary is ignored. Its density lives on Gauss-Legendre nodes.
fn boundary(total: f64, first: u32, span: u32) -> Vec<f64> {
    let mut levels = vec![0.0; span as usize];
    if total <= 0.0 {
        return levels;
    }
    let most = f64::from(span);
    let nodes = gauss_legendre(NODES);
    // The walk that no look has stopped yet: its place before this look, and the mass there. It begins at zero.
    let mut walk = vec![(0.0, 1.0)];
    let mut before = 0;
    for pairs in first..=span {
        let due = total * f64::from(pairs - before) / most;
        let step = (f64::from(pairs - before) / most).sqrt();
        let deviation = (f64::from(pairs) / most).sqrt();
        let beyond = |bound: f64| {
            walk.iter()
                .map(|(place, mass)| mass * upper_tail((bound - place) / step))
                .sum::<f64>()
        };
        let bound = root(|bound| beyond(bound) - due, 0.0, REACH * deviation);
        levels[pairs as usize - 1] = upper_tail(bound / deviation);
        let low = -REACH * deviation;
        let half = (bound - low) / 2.0;
        walk = nodes
            .iter()
            .map(|(node, weight)| {
                let place = low + half * (node + 1.0);
                let density: f64 = walk
                    .iter()
                    .map(|(from, mass)| mass * normal_density((place - from) / step) / step)
                    .sum();
                (place, density * weight * half)
            })
            .collect();
        before = pairs;
    }
    levels
}

/// Nodes and weights of the Gauss-Legendre rule on [−1, 1], by Newton's method from the usual first guess.
fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let n = number(count as u64);
    (0..count)
        .map(|index| {
            let mut x = -(std::f64::consts::PI * (number(index as u64) + 0.75) / (n + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..20 {
                let (mut last, mut value) = (1.0, x);
                for degree in 2..=count {
                    let degree = number(degree as u64);
                    (last, value) = (
                        value,
                        ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * last) / degree,
                    );
                }
                slope = n * (x * value - last) / (x * x - 1.0);
                x -= value / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// The zero of a function that falls between `low` and `high`, to the last digits.
fn root(falls: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if falls(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

fn upper_tail(deviations: f64) -> f64 {
    erfc(deviations * std::f64::consts::FRAC_1_SQRT_2) / 2.0
}

fn normal_density(deviations: f64) -> f64 {
    (-0.5 * deviations * deviations).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: u32, most: u32) -> String {
        let looks = stored_looks(first, most);
        let words: Vec<String> = looks
            .iter()
            .map(|look| format!("{}: {:.1}", look.at, look.share))
            .collect();
        words.join(", ")
    }

    #[test]
    fn a_gate_without_the_base_version_looks_four_times() {
        assert_eq!(shown(3, 10), "3: 0.4, 5: 0.2, 7: 0.2, 10: 0.2");
    }

    #[test]
    fn for_any_first_and_last_look_everything_is_spent_once() {
        assert_eq!(shown(5, 10), "5: 0.6, 7: 0.2, 10: 0.2");
        assert_eq!(shown(3, 3), "3: 1.0");
        assert_eq!(shown(1, 6), "1: 0.2, 3: 0.2, 5: 0.2, 6: 0.4");
        for first in 1..12 {
            for most in 1..14 {
                let looks = stored_looks(first, most);
                let spent: f64 = looks.iter().map(|look| look.share).sum();
                assert!((spent - 1.0).abs() < 1e-12, "{first} {most}");
            }
        }
    }

    #[test]
    fn a_schedule_spends_everything_once_and_cannot_block_on_one_pair() {
        let total = ErrorLevels {
            alpha: 0.02,
            beta: 0.05,
        };
        for (first, span) in [(1, 12), (2, 12), (6, 12), (2, 24), (3, 3)] {
            let schedule = PairSchedule::new(total, first, span);
            let shares = || (1..=span).map(|pairs| schedule.shares(pairs));
            let alpha: f64 = shares().map(|share| share.alpha).sum();
            let beta: f64 = shares().map(|share| share.beta).sum();
            assert!((alpha - 1.0).abs() < 1e-12 && (beta - 1.0).abs() < 1e-12);
            for pairs in 0..=span + 1 {
                let (levels, share) = (schedule.at(pairs), schedule.shares(pairs));
                assert_eq!(
                    levels.alpha > 0.0,
                    share.alpha > 0.0,
                    "{first} {span} {pairs}"
                );
                assert_eq!(
                    levels.beta > 0.0,
                    share.beta > 0.0,
                    "{first} {span} {pairs}"
                );
                assert!(pairs >= FIRST_BLOCK || levels.alpha <= 0.0);
            }
        }
    }
}
