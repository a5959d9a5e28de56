//! An estimate of a change, its bounds, and the test at a look (`docs/concepts/mathematics.md`, "Decision").

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::decision::{ErrorLevels, IndifferenceZone, Outcome};

/// A clear pass: the estimate is below this share of the limit.
pub const CLEAR_PASS: f64 = 0.5;

/// A clear block: the estimate is at least this many limits.
pub const CLEAR_BLOCK: f64 = 1.3;

/// The power of the smallest detectable regression.
const POWER: f64 = 0.80;

/// An estimate of the change δ (positive is worse) with its bounds at the look's levels, and the outcome on it alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Robust location of the baseline's logs; that of the candidate is `baseline + delta`.
    pub baseline: f64,
    /// δ̂.
    pub delta: f64,
    /// Standard error of δ̂.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees_of_freedom: f64,
    /// Smaller values have probability α at most; −∞ if nothing can block here.
    pub lower: f64,
    /// Larger values have probability β at most; ∞ if nothing can pass here.
    pub upper: f64,
    /// The outcome on this estimate alone.
    pub outcome: Outcome,
}

impl Estimate {
    /// Robust location of the candidate's logs.
    pub fn candidate(&self) -> f64 {
        self.baseline + self.delta
    }

    /// Two-sided interval of δ at that confidence.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let reach = self.quantile(0.5 + confidence / 2.0) * self.standard_error;
        (self.delta - reach, self.delta + reach)
    }

    /// One-sided p-value of δ being no larger than `edge`.
    pub fn p_above(&self, edge: f64) -> f64 {
        let degrees = self.degrees_of_freedom.min(MOST_DEGREES);
        StudentsT::new(0.0, 1.0, degrees).map_or(1.0, |student| {
            student.sf((self.delta - edge) / self.standard_error)
        })
    }

    /// The smallest δ that a test with level `alpha` blocks 80 % of the time.
    pub fn smallest_detectable(&self, test: &Test, alpha: f64) -> f64 {
        let power = self.quantile(POWER) * self.standard_error;
        let from_low_edge =
            test.zone.low + self.quantile(1.0 - alpha) * self.standard_error + power;
        (test.least_block() + power).max(from_low_edge)
    }

    fn quantile(&self, probability: f64) -> f64 {
        student(probability, self.degrees_of_freedom)
    }
}

/// What an estimate is tested against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// The limit and its zone.
    pub zone: IndifferenceZone,
    /// The levels of the look.
    pub levels: ErrorLevels,
    /// Today has few degrees of freedom: only what is clear is answered.
    pub is_clear_only: bool,
    /// Degrees of freedom of the noise.
    pub degrees_of_freedom: f64,
    /// The metric is reported in steps of this relative size; 0 for a continuous one.
    pub step: f64,
}

impl Test {
    /// The same, but it cannot block.
    #[must_use]
    pub(super) fn without_block(mut self) -> Self {
        self.levels.alpha = 0.0;
        self
    }

    /// Tests a change of `delta` from `baseline` with that variance. All values of an arm share their rounding, so their number does
    /// not reduce it.
    pub fn of(&self, baseline: f64, delta: f64, variance: f64) -> Estimate {
        let standard_error = (variance + 2.0 * self.step.powi(2) / 12.0).sqrt();
        let reach = |level: f64| student(1.0 - level, self.degrees_of_freedom) * standard_error;
        let lower = delta - reach(self.levels.alpha);
        let upper = delta + reach(self.levels.beta);
        let most_pass = self.zone.limit * if self.is_clear_only { CLEAR_PASS } else { 1.0 };
        let outcome = if delta >= self.least_block() && lower > self.zone.low {
            Outcome::Fail
        } else if delta < most_pass && upper < self.zone.high {
            Outcome::Pass
        } else {
            Outcome::Undecided
        };
        Estimate {
            baseline,
            delta,
            standard_error,
            degrees_of_freedom: self.degrees_of_freedom,
            lower,
            upper,
            outcome,
        }
    }

    /// The smallest estimate that blocks.
    fn least_block(&self) -> f64 {
        let clear = if self.is_clear_only { CLEAR_BLOCK } else { 1.0 };
        self.zone.limit * clear
    }
}

/// From here the difference to the normal distribution is below 1e-6, and the inversion loses accuracy.
const MOST_DEGREES: f64 = 1e6;

/// Quantile of Student's t. Without a value (only for invalid degrees of freedom) nothing can be decided.
fn student(probability: f64, degrees_of_freedom: f64) -> f64 {
    if probability >= 1.0 {
        return f64::INFINITY;
    }
    StudentsT::new(0.0, 1.0, degrees_of_freedom.min(MOST_DEGREES))
        .map_or(f64::INFINITY, |student| student.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(is_clear_only: bool) -> Test {
        Test {
            zone: IndifferenceZone::of_growth(0.05),
            levels: ErrorLevels {
                alpha: 0.01,
                beta: 0.05,
            },
            is_clear_only,
            degrees_of_freedom: 20.0,
            step: 0.0,
        }
    }

    fn outcome(delta: f64, error: f64) -> Outcome {
        test(false).of(0.0, delta, error * error).outcome
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
            let got = student(probability, degrees);
            assert!(
                (got - expected).abs() < 1e-6,
                "{probability} {degrees}: {got}"
            );
        }
    }

    #[test]
    fn a_clear_regression_blocks_and_no_change_passes_and_noise_leaves_both_open() {
        assert_eq!(outcome(0.10, 0.01), Outcome::Fail);
        assert_eq!(outcome(0.00, 0.01), Outcome::Pass);
        assert_eq!(outcome(0.10, 0.08), Outcome::Undecided);
        assert_eq!(outcome(0.00, 0.08), Outcome::Undecided);
    }

    #[test]
    fn an_estimate_below_the_limit_never_blocks_and_one_above_never_passes() {
        let limit = IndifferenceZone::of_growth(0.05).limit;
        for step in 0..200 {
            let delta = f64::from(step) * 0.0005;
            let got = outcome(delta, 0.001);
            assert_eq!(got == Outcome::Fail, delta >= limit, "{delta}: {got:?}");
            assert_eq!(got == Outcome::Pass, delta < limit, "{delta}: {got:?}");
        }
    }

    #[test]
    fn with_few_degrees_of_freedom_only_what_is_clear_is_answered() {
        let at = |delta: f64| test(true).of(0.0, delta, 1e-6).outcome;
        assert_eq!(at(0.02), Outcome::Pass);
        assert_eq!(at(0.03), Outcome::Undecided);
        assert_eq!(at(0.06), Outcome::Undecided);
        assert_eq!(at(0.07), Outcome::Fail);
    }

    #[test]
    fn the_smallest_detectable_regression_grows_with_the_noise() {
        let test = test(false);
        let at = |error: f64| {
            test.of(0.0, 0.0, error * error)
                .smallest_detectable(&test, 0.01)
        };
        assert!(test.zone.limit < at(0.005) && at(0.005) < at(0.03));
    }
}
