//! Distributions of lengths in tokens.

use std::fmt;

use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF as _, Normal};

/// A distribution of lengths in tokens, at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lengths {
    /// Always the same.
    Constant(u32),
    /// Normal.
    Normal {
        /// Mean in tokens.
        mean: f64,
        /// Standard deviation in tokens.
        std: f64,
    },
    /// Log-normal, given by the mean and standard deviation of the lengths themselves.
    Lognormal {
        /// Mean in tokens.
        mean: f64,
        /// Standard deviation in tokens.
        std: f64,
    },
    /// Uniform over both ends.
    Uniform {
        /// Smallest length.
        min: u32,
        /// Largest length.
        max: u32,
    },
}

impl Lengths {
    /// One length, at least 1.
    pub(crate) fn draw(self, generator: &mut Pcg64Mcg) -> u32 {
        match self {
            Self::Constant(tokens) => tokens.max(1),
            Self::Uniform { min, max } => generator.random_range(min.max(1)..=max.max(min).max(1)),
            Self::Normal { mean, std } => whole_tokens(mean + std * standard_normal(generator)),
            Self::Lognormal { mean, std } => {
                let variance = (1.0 + (std / mean).powi(2)).ln();
                let location = mean.ln() - variance / 2.0;
                whole_tokens((location + variance.sqrt() * standard_normal(generator)).exp())
            }
        }
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(tokens) => write!(f, "{tokens}"),
            Self::Normal { mean, std } => write!(f, "normal(mean {mean}, std {std})"),
            Self::Lognormal { mean, std } => write!(f, "lognormal(mean {mean}, std {std})"),
            Self::Uniform { min, max } => write!(f, "uniform({min} to {max})"),
        }
    }
}

/// By inversion of one uniform draw, so that each length takes exactly one draw from the generator.
fn standard_normal(generator: &mut Pcg64Mcg) -> f64 {
    // Open at both ends, so the result is finite.
    let uniform = generator
        .random::<f64>()
        .clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    Normal::standard().inverse_cdf(uniform)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the saturating cast is intended"
)]
fn whole_tokens(length: f64) -> u32 {
    (length.round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    fn mean_and_std(lengths: Lengths) -> (f64, f64) {
        let mut generator = Pcg64Mcg::seed_from_u64(1);
        let drawn: Vec<f64> = (0..20_000)
            .map(|_| f64::from(lengths.draw(&mut generator)))
            .collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let variance = drawn
            .iter()
            .map(|length| (length - mean).powi(2))
            .sum::<f64>()
            / 20_000.0;
        (mean, variance.sqrt())
    }

    #[test]
    fn drawn_lengths_have_the_configured_mean_and_deviation() {
        for lengths in [
            Lengths::Normal {
                mean: 1000.0,
                std: 200.0,
            },
            Lengths::Lognormal {
                mean: 1000.0,
                std: 200.0,
            },
        ] {
            let (mean, std) = mean_and_std(lengths);
            assert!((mean - 1000.0).abs() < 10.0, "{lengths}: mean {mean}");
            assert!((std - 200.0).abs() < 8.0, "{lengths}: std {std}");
        }
    }

    proptest! {
        #[test]
        fn no_length_is_zero(mean in 0.5..500.0, std in 0.0..500.0, seed: u64) {
            for lengths in [Lengths::Normal { mean, std }, Lengths::Lognormal { mean, std }] {
                let mut generator = Pcg64Mcg::seed_from_u64(seed);
                for _ in 0..50 {
                    prop_assert!(lengths.draw(&mut generator) >= 1);
                }
            }
        }
    }
}
