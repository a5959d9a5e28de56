//! The rules that are compared: the trial that ships, with and without the base image, and plain ones.

use perfgate::metric::Metric;
use perfgate::policy::rule::{Action, Limits, Policy, Rule as Threshold};
use perfgate::stats::{Outcome, mean, median, number};
use perfgate::trial::Protocol;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::drive::{Measured, drive, look_once, stored};
use super::model::{Chance, History, World};

/// The limit of the rule that is simulated.
pub(crate) const LIMIT: f64 = 0.05;

/// Below this p a plain test calls a difference significant.
const SIGNIFICANT: f64 = 0.05;

/// How a simulated gate decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// perfgate with the base image at hand.
    WithBase,
    /// perfgate with nothing but the stored baseline.
    WithoutBase,
    /// `perfgate compare`: one look at one run.
    Compare,
    /// The medians differ by more than the limit.
    Median,
    /// Mann-Whitney p < 0.05 and over the limit.
    MannWhitney,
    /// Welch's t-test p < 0.05 and over the limit.
    Welch,
}

/// What came of a simulated gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GateRun {
    pub(crate) outcome: Outcome,
    /// Server starts that it took.
    pub(crate) starts: u32,
}

/// One rule on the P95 of TPOT, which is what the world draws.
pub(crate) fn policy() -> Policy {
    let rule = Threshold {
        metric: Metric::TPOT_P95,
        limits: Limits {
            regression: Some(LIMIT),
            ..Limits::default()
        },
        action: Action::Block,
        explain: false,
        place: None,
    };
    Policy {
        rules: vec![rule],
        ..Policy::standard()
    }
}

impl Rule {
    /// One gate in that world.
    pub(crate) fn gate(self, world: &World, chance: &mut Chance) -> GateRun {
        let history = History::new(world, chance);
        let mut today = history.today(world, chance);
        let first = u32::try_from(world.repeats).unwrap_or(u32::MAX);
        let policy = policy();
        let protocol = match self {
            Self::WithBase => Protocol::with_base(12),
            Self::WithoutBase => Protocol::without_base(first, policy.noise.max_repeats),
            Self::Compare | Self::Median | Self::MannWhitney | Self::Welch => {
                let candidate = today.repeats(chance, world.repeats, world.effect);
                let outcome = if self == Self::Compare {
                    look_once(
                        &policy,
                        &stored(&history.baseline, &history.ledger),
                        &candidate,
                    )
                } else {
                    self.plain(&history.baseline, &candidate)
                };
                return GateRun {
                    outcome,
                    starts: first,
                };
            }
        };
        let stored = stored(&history.baseline, &history.ledger);
        let start = |effect: f64| today.repeat(chance, effect);
        drive(
            &protocol,
            &policy,
            Some(&stored),
            Measured::of(start, world.effect),
        )
    }

    /// A plain rule on three repeats a side.
    fn plain(self, baseline: &[f64], candidate: &[f64]) -> Outcome {
        let centre = |values| median(values).unwrap_or(0.0);
        let over = centre(candidate) - centre(baseline) > LIMIT.ln_1p();
        let sure = match self {
            Self::MannWhitney => mann_whitney(baseline, candidate) < SIGNIFICANT,
            Self::Welch => welch(baseline, candidate) < SIGNIFICANT,
            Self::Median | Self::WithBase | Self::WithoutBase | Self::Compare => true,
        };
        if over && sure {
            Outcome::Fail
        } else {
            Outcome::Pass
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
