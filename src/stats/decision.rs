//! The decision at an interim look: pass, block, or look again (`docs/concepts/mathematics.md`, "Decision").

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::alpha_spending::InterimLook;
use super::estimate::Estimate;

/// Low edge of the indifference zone, as a share of the limit: a regression below it must not block.
pub const LOW_EDGE: f64 = 0.4;

/// High edge, likewise: a regression above it must not pass.
pub const HIGH_EDGE: f64 = 1.6;

/// A relative limit on the log scale, with the zone around it in which either answer is acceptable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndifferenceZone {
    /// Δ.
    pub limit: f64,
    /// Low edge: α bounds the probability of a block at or below it.
    pub low: f64,
    /// High edge: β bounds the probability of a pass at or above it.
    pub high: f64,
}

impl IndifferenceZone {
    /// For a metric that gets worse by growing: ln(1 + limit).
    pub fn of_growth(limit: f64) -> Self {
        Self::with_edges(|share| (share * limit).ln_1p())
    }

    /// For a metric that gets worse by shrinking: −ln(1 − limit). The largest possible loss is 100 %.
    pub fn of_loss(limit: f64) -> Self {
        Self::with_edges(|share| -(-(share * limit).min(0.999)).ln_1p())
    }

    fn with_edges(edge: impl Fn(f64) -> f64) -> Self {
        Self {
            limit: edge(1.0),
            low: edge(LOW_EDGE),
            high: edge(HIGH_EDGE),
        }
    }
}

/// The outcome of a test of a metric, a load or a commit. `policy` converts it to published values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The limit holds.
    Pass,
    /// The limit is exceeded.
    Fail,
    /// The evidence does not decide.
    Undecided,
}

/// The error probabilities of a gate, or of one rule at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorLevels {
    /// Of a false block at the low edge: of a gate over all its blocking rules, of a rule its share. With 0 it may not block.
    pub alpha: f64,
    /// Of a false pass at the high edge. With 0 it may not pass.
    pub beta: f64,
}

impl ErrorLevels {
    /// The levels of one of `family` rules, which share α.
    #[must_use]
    pub fn shared_among(self, family: u32) -> Self {
        Self {
            alpha: self.alpha / f64::from(family.max(1)),
            ..self
        }
    }

    /// The share of them that one look may spend.
    #[must_use]
    pub fn at(self, look: InterimLook) -> Self {
        Self {
            alpha: self.alpha * look.alpha,
            beta: self.beta * look.beta,
        }
    }
}

/// The decision with these error probabilities. It passes where a regression at the high edge is ruled out, and fails where the
/// estimate is at least the limit and significantly above the low edge.
pub fn decide(estimate: &Estimate, zone: IndifferenceZone, levels: ErrorLevels) -> Outcome {
    let delta = estimate.delta;
    if delta < zone.limit && estimate.upper_bound(levels.beta) < zone.high {
        Outcome::Pass
    } else if delta >= zone.limit && estimate.lower_bound(levels.alpha) > zone.low {
        Outcome::Fail
    } else {
        Outcome::Undecided
    }
}

/// The smallest detectable δ: it is blocked 80 % of the time.
pub fn smallest_detectable(estimate: &Estimate, zone: IndifferenceZone, alpha: f64) -> f64 {
    let power = t(0.80, estimate) * estimate.standard_error;
    let from_low_edge = zone.low + t(1.0 - alpha, estimate) * estimate.standard_error + power;
    (zone.limit + power).max(from_low_edge)
}

impl Estimate {
    /// Two-sided interval of δ at that confidence.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let reach = t(0.5 + confidence / 2.0, self) * self.standard_error;
        (self.delta - reach, self.delta + reach)
    }

    /// One-sided upper bound of δ: larger values have probability `beta` at most.
    pub fn upper_bound(&self, beta: f64) -> f64 {
        self.delta + t(1.0 - beta, self) * self.standard_error
    }

    /// One-sided lower bound of δ: smaller values have probability `alpha` at most.
    pub fn lower_bound(&self, alpha: f64) -> f64 {
        self.delta - t(1.0 - alpha, self) * self.standard_error
    }

    /// One-sided p-value of δ being no larger than `edge`.
    pub fn p_above(&self, edge: f64) -> f64 {
        let degrees = self.degrees_of_freedom.min(1e6);
        StudentsT::new(0.0, 1.0, degrees).map_or(1.0, |student| {
            student.sf((self.delta - edge) / self.standard_error)
        })
    }
}

/// Quantile of Student's t. Without a value (only for invalid degrees of freedom) nothing can be decided.
fn t(probability: f64, estimate: &Estimate) -> f64 {
    if probability >= 1.0 {
        return f64::INFINITY;
    }
    // From here the difference to the normal distribution is below 1e-6, and the inversion loses accuracy.
    let degrees = estimate.degrees_of_freedom.min(1e6);
    StudentsT::new(0.0, 1.0, degrees)
        .map_or(f64::INFINITY, |student| student.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: ErrorLevels = ErrorLevels {
        alpha: 0.01,
        beta: 0.05,
    };

    fn estimate(delta: f64, standard_error: f64, degrees_of_freedom: f64) -> Estimate {
        Estimate {
            baseline: 0.0,
            candidate: delta,
            delta,
            standard_error,
            degrees_of_freedom,
            repeat_noise: standard_error,
            host_noise: 0.0,
            noisier: false,
            doubtful: false,
            clipped: false,
        }
    }

    #[test]
    fn student_quantiles_agree_with_scipy() {
        // scipy.stats.t.ppf(p, df)
        for (probability, degrees, expected) in [
            (0.95, 4.0, 2.131_846_8),
            (0.99, 4.0, 3.746_947_4),
            (0.98, 1.5, 7.008_086_8),
            (0.975, 83.6, 1.988_748_7),
        ] {
            let got = t(probability, &estimate(0.0, 1.0, degrees));
            assert!(
                (got - expected).abs() < 1e-6,
                "{probability} {degrees}: {got}"
            );
        }
    }

    #[test]
    fn the_zone_of_a_loss_mirrors_that_of_a_growth() {
        let (growth, loss) = (
            IndifferenceZone::of_growth(0.05),
            IndifferenceZone::of_loss(0.05),
        );
        assert!((growth.limit - 1.05_f64.ln()).abs() < 1e-12);
        assert!((loss.limit + 0.95_f64.ln()).abs() < 1e-12);
        assert!((loss.high + 0.92_f64.ln()).abs() < 1e-12);
        assert!(IndifferenceZone::of_loss(0.9).high.is_finite());
    }

    #[test]
    fn a_clear_regression_blocks_and_no_change_passes() {
        let zone = IndifferenceZone::of_growth(0.05);
        assert_eq!(
            decide(&estimate(0.10, 0.01, 20.0), zone, LEVELS),
            Outcome::Fail
        );
        assert_eq!(
            decide(&estimate(0.00, 0.01, 20.0), zone, LEVELS),
            Outcome::Pass
        );
    }

    #[test]
    fn noise_leaves_the_same_estimates_open() {
        let zone = IndifferenceZone::of_growth(0.05);
        assert_eq!(
            decide(&estimate(0.10, 0.08, 4.0), zone, LEVELS),
            Outcome::Undecided
        );
        assert_eq!(
            decide(&estimate(0.00, 0.08, 4.0), zone, LEVELS),
            Outcome::Undecided
        );
    }

    #[test]
    fn an_estimate_below_the_limit_never_blocks_and_one_above_never_passes() {
        let zone = IndifferenceZone::of_growth(0.05);
        for step in 0..200 {
            let delta = f64::from(step) * 0.0005;
            let answer = decide(&estimate(delta, 0.001, 50.0), zone, LEVELS);
            assert_eq!(
                answer == Outcome::Fail,
                delta >= zone.limit,
                "{delta}: {answer:?}"
            );
            assert_eq!(
                answer == Outcome::Pass,
                delta < zone.limit,
                "{delta}: {answer:?}"
            );
        }
    }

    #[test]
    fn the_smallest_detectable_regression_grows_with_the_noise() {
        let zone = IndifferenceZone::of_growth(0.05);
        let quiet = smallest_detectable(&estimate(0.0, 0.005, 20.0), zone, 0.01);
        let noisy = smallest_detectable(&estimate(0.0, 0.03, 20.0), zone, 0.01);
        assert!(zone.limit < quiet && quiet < noisy);
    }
}
