//! What is decided: a limit with the zone around it, the outcomes, and the error probabilities.

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
    /// A fixed bound, without a zone: the estimate must be clearly on one side of zero.
    pub const BOUND: Self = Self {
        limit: 0.0,
        low: 0.0,
        high: 0.0,
    };

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
    /// Neither a pass nor a block.
    pub const NONE: Self = Self {
        alpha: 0.0,
        beta: 0.0,
    };

    /// The levels of one of `family` rules, which share α.
    #[must_use]
    pub fn shared_among(self, family: u32) -> Self {
        Self {
            alpha: self.alpha / f64::from(family.max(1)),
            ..self
        }
    }

    /// These shares of α and of β.
    #[must_use]
    pub fn times(self, shares: Self) -> Self {
        Self {
            alpha: self.alpha * shares.alpha,
            beta: self.beta * shares.beta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
