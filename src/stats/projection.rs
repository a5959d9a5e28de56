//! What more evidence would decide, if the estimate and the noise stay as they are.

use super::decision::{ErrorLevels, IndifferenceZone, Outcome};
use super::estimate::{Estimate, Test};
use super::look::{FEW_DEGREES, HUBER_INFLATION, Look};
use super::noise::Noise;
use super::number;

/// The evidence of a later look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// Variance of one start.
    variance: f64,
    noise: Noise,
    /// Between the stored baseline's session and today.
    host: f64,
    /// Whether the noise of the ledger counts.
    is_believed: bool,
    zone: IndifferenceZone,
    step: f64,
    delta: f64,
}

impl Projection {
    /// A change of `delta` with exactly this noise.
    pub fn expected(noise: Noise, zone: IndifferenceZone, delta: f64) -> Self {
        Self {
            variance: noise.repeat.powi(2),
            noise,
            host: noise.host,
            is_believed: noise.is_learnt(),
            zone,
            step: 0.0,
            delta,
        }
    }

    /// More evidence like that of a look, with this estimate.
    pub fn of(look: &Look, noise: Noise, estimate: &Estimate) -> Self {
        Self {
            variance: look.today.variance,
            noise,
            host: look.stored.map_or(noise.host, |stored| stored.host_noise),
            is_believed: noise.is_learnt() && !look.today.is_doubted(),
            zone: look.test.zone,
            step: look.test.step,
            delta: estimate.delta,
        }
    }

    /// The estimate of so many pairs beside one start of the candidate.
    pub fn in_pairs(&self, pairs: u32, levels: ErrorLevels) -> (Test, Estimate) {
        let degrees = 2.0 * f64::from(pairs) - 1.0;
        let caution = if self.is_believed {
            1.0 + 2.0 / degrees.max(0.5)
        } else {
            1.0
        };
        let variance = 2.0 * HUBER_INFLATION * self.variance * caution / f64::from(pairs);
        self.tested(degrees, degrees <= FEW_DEGREES, variance, levels)
    }

    /// The estimate of so many repeats against a stored baseline of `stored` repeats.
    pub fn in_repeats(&self, stored: u32, repeats: u32, levels: ErrorLevels) -> (Test, Estimate) {
        let of = |count: u32, variance: f64| {
            HUBER_INFLATION * variance / number(u64::from(count.max(1)))
        };
        let of_stored = if self.is_believed {
            self.noise.repeat.powi(2)
        } else {
            self.variance
        };
        let variance = of(repeats, self.variance) + of(stored, of_stored) + 2.0 * self.host.powi(2);
        self.tested(f64::from(repeats) - 1.0, false, variance, levels)
    }

    fn tested(
        &self,
        degrees: f64,
        is_clear_only: bool,
        variance: f64,
        levels: ErrorLevels,
    ) -> (Test, Estimate) {
        let prior = self.noise.degrees_of_freedom;
        let test = Test {
            zone: self.zone,
            levels,
            is_clear_only,
            degrees_of_freedom: if self.is_believed {
                prior + degrees
            } else {
                degrees.max(prior.min(1.0))
            },
            step: self.step,
        };
        (test, test.of(0.0, self.delta, variance))
    }

    /// Whether so many pairs decide.
    pub fn pairs_decide(&self, pairs: u32, levels: ErrorLevels) -> bool {
        self.in_pairs(pairs, levels).1.outcome != Outcome::Undecided
    }

    /// Whether so many repeats decide.
    pub fn repeats_decide(&self, stored: u32, repeats: u32, levels: ErrorLevels) -> bool {
        self.in_repeats(stored, repeats, levels).1.outcome != Outcome::Undecided
    }
}
