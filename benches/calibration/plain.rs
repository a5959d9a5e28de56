//! Rules that others use, on three starts a side.

use perfgate::stats::{mean, median, number};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::drive::LIMIT;

/// Below this p a plain test calls a difference significant.
const SIGNIFICANT: f64 = 0.05;

/// A rule without noise model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    /// The medians differ by more than the limit.
    Median,
    /// Mann-Whitney p < 0.05 and over the limit.
    MannWhitney,
    /// Welch's t-test p < 0.05 and over the limit.
    Welch,
}

impl Plain {
    /// Whether it blocks.
    pub(crate) fn blocks(self, baseline: &[f64], candidate: &[f64]) -> bool {
        let centre = |values| median(values).unwrap_or(0.0);
        let over = centre(candidate) - centre(baseline) > LIMIT.ln_1p();
        over && match self {
            Self::Median => true,
            Self::MannWhitney => mann_whitney(baseline, candidate) < SIGNIFICANT,
            Self::Welch => welch(baseline, candidate) < SIGNIFICANT,
        }
    }
}

/// Exact two-sided p of the rank sum, for samples without ties.
pub(crate) fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let wins: usize = one
        .iter()
        .map(|a| other.iter().filter(|b| *b > a).count())
        .sum();
    let (n, m) = (one.len(), other.len());
    // Ways to reach each number of wins, by dynamic programming over the merged order.
    let mut ways = vec![vec![0.0_f64; n * m + 1]; n + 1];
    ways[0][0] = 1.0;
    for place in 0..n + m {
        for taken in (1..=n.min(place + 1)).rev() {
            for count in 0..=n * m {
                // One of `one` at this place is beaten by none of those before it and beats those of `other` before it.
                let before = place + 1 - taken;
                if before <= m && count >= before {
                    let add = ways[taken - 1][count - before];
                    ways[taken][count] += add;
                }
            }
        }
    }
    let total: f64 = ways[n].iter().sum();
    let tail = wins.min(n * m - wins);
    let below: f64 = ways[n][..=tail].iter().sum();
    (2.0 * below / total).min(1.0)
}

/// Two-sided p of Welch's t-test.
pub(crate) fn welch(one: &[f64], other: &[f64]) -> f64 {
    let parts = |values: &[f64]| {
        let count = number(values.len() as u64);
        let centre = mean(values).unwrap_or(0.0);
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        (centre, squares / (count - 1.0) / count, count)
    };
    let ((a, va, na), (b, vb, nb)) = (parts(one), parts(other));
    let degrees = (va + vb).powi(2) / (va.powi(2) / (na - 1.0) + vb.powi(2) / (nb - 1.0));
    let t = (b - a) / (va + vb).sqrt();
    StudentsT::new(0.0, 1.0, degrees).map_or(1.0, |student| 2.0 * student.sf(t.abs()))
}
