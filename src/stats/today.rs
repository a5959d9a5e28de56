//! Today's noise, and how far the ledger is believed (`docs/concepts/mathematics.md`, "Today's noise").

use statrs::distribution::{ContinuousCDF as _, FisherSnedecor};

use super::noise::{Noise, squares_about_mean};
use super::number;
use super::quantile::median;

/// One isolated start further than this many s₀ from its arm is clipped to that distance.
const CLIP_AT: f64 = 4.0;

/// It is isolated if every other start is nearer than this; otherwise it is one of many, which are noise.
const ISOLATED_WITHIN: f64 = 2.0;

/// p-values of today's noise under the ledger below which the ledger is doubted.
#[derive(Clone, Copy, Debug)]
pub(super) struct DoubtBelow {
    /// Of all starts within their arms.
    pub(super) arms: f64,
    /// Of the differences of the pairs.
    pub(super) differences: f64,
}

impl DoubtBelow {
    /// With pairs, a doubt only costs a few starts.
    pub(super) const WITH_PAIRS: Self = Self {
        arms: 0.20,
        differences: 0.10,
    };
    /// Without the base version, a doubt costs the verdict.
    pub(super) const WITHOUT_BASE: Self = Self {
        arms: 0.05,
        differences: 0.0,
    };
}

/// The noise of one start today, from today's starts and the ledger together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TodaysNoise {
    /// Squares of today's starts about the means of their arms (SS).
    pub squares: f64,
    /// Their degrees of freedom (d).
    pub degrees: f64,
    /// p-value of SS under the ledger; `None` without a ledger or with d = 0.
    pub arms_probability: Option<f64>,
    /// p-value of the spread of the pairs' differences under the ledger; `None` also for fewer than two pairs.
    pub differences_probability: Option<f64>,
    /// SS is too large for the ledger.
    pub doubted_by_arms: bool,
    /// The differences are too different for the ledger.
    pub doubted_by_differences: bool,
    /// Variance of one start (v).
    pub variance: f64,
    /// Degrees of freedom of `variance` in every t (f).
    pub degrees_of_freedom: f64,
    /// Factor on squared standard errors while the ledger is believed (g): what today has not yet shown counts as open.
    pub caution: f64,
}

impl TodaysNoise {
    /// `arms`: today's starts by side, after [`clip_one`]. Without a ledger the `stored` starts are one more arm.
    pub(super) fn of(
        arms: &[Vec<f64>],
        differences: &[f64],
        stored: &[f64],
        noise: &Noise,
        doubt: DoubtBelow,
    ) -> Self {
        let mut squares: f64 = arms.iter().filter_map(|arm| squares_about_mean(arm)).sum();
        let mut degrees: f64 = arms.iter().map(|arm| degrees_of(arm)).sum();
        let mut arms_probability = None;
        let mut differences_probability = None;
        if noise.is_learnt() {
            arms_probability = upper_probability(squares, degrees, noise);
            differences_probability = squares_about_mean(differences).and_then(|squares| {
                upper_probability(squares / 2.0, degrees_of(differences), noise)
            });
        } else if stored.len() > 1 {
            squares += squares_about_mean(stored).unwrap_or(0.0);
            degrees += degrees_of(stored);
        }
        let doubted_by_arms = arms_probability.is_some_and(|p| p < doubt.arms);
        let doubted_by_differences = differences_probability.is_some_and(|p| p < doubt.differences);
        let nu = noise.degrees_of_freedom;
        let moderated = (nu * noise.repeat.powi(2) + squares) / (nu + degrees);
        let believed = noise.is_learnt() && !doubted_by_arms && !doubted_by_differences;
        let own = if degrees > 0.0 {
            squares / degrees
        } else {
            0.0
        };
        let (variance, degrees_of_freedom, caution) = if believed {
            (moderated, nu + degrees, 1.0 + 2.0 / degrees.max(0.5))
        } else {
            // With one start a side only the assumption counts, with its own degrees of freedom.
            (own.max(moderated), degrees.max(nu.min(1.0)), 1.0)
        };
        Self {
            squares,
            degrees,
            arms_probability,
            differences_probability,
            doubted_by_arms,
            doubted_by_differences,
            variance,
            degrees_of_freedom,
            caution,
        }
    }

    /// Whether the ledger's noise is not used.
    pub fn is_doubted(&self) -> bool {
        self.doubted_by_arms || self.doubted_by_differences
    }
}

/// p-value of that many squares under the ledger; `None` without a degree of freedom.
fn upper_probability(squares: f64, degrees: f64, noise: &Noise) -> Option<f64> {
    (degrees >= 1.0).then(|| {
        let ratio = squares / degrees / noise.repeat.powi(2);
        FisherSnedecor::new(degrees, noise.degrees_of_freedom)
            .map_or(1.0, |fisher| fisher.sf(ratio))
    })
}

/// p-value of the noise among these values under that of the ledger; `None` without a ledger or with fewer than two values.
pub fn noise_probability(values: &[f64], noise: &Noise) -> Option<f64> {
    let squares = squares_about_mean(values).filter(|_| noise.is_learnt())?;
    upper_probability(squares, degrees_of(values), noise)
}

fn degrees_of(values: &[f64]) -> f64 {
    number((values.len() as u64).saturating_sub(1))
}

/// Clips the one start that lies alone far from its arm's median; any other picture is noise and stays.
pub(super) fn clip_one(arms: &mut [Vec<f64>], scale: f64) -> bool {
    let most = CLIP_AT * scale;
    let mut far = Vec::new();
    let mut next = 0.0_f64;
    for (arm, values) in arms.iter().enumerate() {
        let Some(centre) = median(values) else {
            continue;
        };
        for (index, value) in values.iter().enumerate() {
            let residual = value - centre;
            if residual.abs() > most {
                far.push((arm, index, centre + most.copysign(residual)));
            } else {
                next = next.max(residual.abs());
            }
        }
    }
    match far[..] {
        [(arm, index, value)] if next <= ISOLATED_WITHIN * scale => {
            arms[arm][index] = value;
            true
        }
        _ => false,
    }
}
