//! The change between two runs and how well it is known (`docs/statistics.md`, "Estimate").
//!
//! All values here are natural logs of per-repeat values, oriented so that larger is worse. The repeat is the unit of
//! evidence: requests of one repeat share its server and are no replicates.

use super::huber::huber_location;
use super::quantile::mean;

/// For the estimated scale in the standard error of a Huber location instead of a mean.
const HUBER_INFLATION: f64 = 1.05;

/// What is believed about the noise before the repeats are seen, as standard deviations of logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Between repeats of one session (s₀).
    pub repeat: f64,
    /// Degrees of freedom that `repeat` is worth (ν₀).
    pub degrees_of_freedom: f64,
    /// Between hosts or days (τ), shared by all repeats of one session.
    pub host: f64,
}

impl Prior {
    /// Where there is no ledger: 2 % between repeats, worth one repeat, and half of it between hosts.
    pub const WITHOUT_LEDGER: Self = Self {
        repeat: 0.02,
        degrees_of_freedom: 1.0,
        host: 0.01,
    };

    /// The same belief for a metric that is free of noise but for its resolution (memory).
    pub fn of_resolution(resolution: f64) -> Self {
        Self {
            repeat: resolution,
            degrees_of_freedom: 1.0,
            host: resolution / 2.0,
        }
    }
}

/// A change and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Robust location of the baseline's logs.
    pub baseline: f64,
    /// Robust location of the candidate's logs.
    pub candidate: f64,
    /// δ̂ = candidate − baseline; positive is worse.
    pub delta: f64,
    /// Standard error of δ̂.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees_of_freedom: f64,
    /// s̃, the repeat noise used.
    pub repeat_noise: f64,
    /// τ, the host noise used.
    pub host_noise: f64,
}

/// The candidate against a stored baseline, without a ledger. `None` where a side has no repeat.
///
/// s̃² = max(s², (ν₀ s₀² + SS) / (ν₀ + d)) with d = N + K − 2; SE² = 1.05 s̃² (1/N + 1/K) + 2 τ².
/// Degrees of freedom by Satterthwaite. τ is an assumption here and not an estimate, so it adds none of its own;
/// with one repeat a side (d = 0) only the prior speaks, with its own ν₀.
pub fn stored_baseline(baseline: &[f64], candidate: &[f64], prior: Prior) -> Option<Estimate> {
    let squares = squares_about_mean(baseline)? + squares_about_mean(candidate)?;
    let (n, k) = (count(baseline), count(candidate));
    let d = n + k - 2.0;
    let observed = if d > 0.0 { squares / d } else { 0.0 };
    let nu = prior.degrees_of_freedom;
    let moderated = (nu * prior.repeat.powi(2) + squares) / (nu + d);
    let variance = observed.max(moderated);
    let scale = variance.sqrt();

    let baseline = huber_location(baseline, scale)?;
    let candidate = huber_location(candidate, scale)?;
    let (standard_error, degrees_of_freedom) = spread(scale, prior.host, n, k, d.max(nu));
    Some(Estimate {
        baseline,
        candidate,
        delta: candidate - baseline,
        standard_error,
        degrees_of_freedom,
        repeat_noise: scale,
        host_noise: prior.host,
    })
}

impl Estimate {
    /// The same estimate and noise as if they came from that many repeats a side: what more evidence would bring.
    #[must_use]
    pub fn with_repeats(self, baseline: u32, candidate: u32) -> Self {
        let (n, k) = (f64::from(baseline.max(1)), f64::from(candidate.max(1)));
        let (standard_error, degrees_of_freedom) = spread(
            self.repeat_noise,
            self.host_noise,
            n,
            k,
            (n + k - 2.0).max(1.0),
        );
        Self {
            standard_error,
            degrees_of_freedom,
            ..self
        }
    }
}

/// Standard error and its degrees of freedom, by Satterthwaite from those of the repeat noise alone.
fn spread(repeat: f64, host: f64, n: f64, k: f64, within_degrees: f64) -> (f64, f64) {
    let within = HUBER_INFLATION * repeat.powi(2) * (1.0 / n + 1.0 / k);
    let total = within + 2.0 * host.powi(2);
    (
        total.sqrt(),
        total.powi(2) * within_degrees / within.powi(2),
    )
}

fn squares_about_mean(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum())
}

#[expect(clippy::cast_precision_loss, reason = "a handful of repeats")]
fn count(values: &[f64]) -> f64 {
    values.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logs(values: &[f64]) -> Vec<f64> {
        values.iter().map(|value| value.ln()).collect()
    }

    #[test]
    fn quiet_repeats_are_moderated_by_the_prior() {
        let baseline = logs(&[100.0, 100.0, 100.0]);
        let candidate = logs(&[110.0, 110.0, 110.0]);
        let estimate = stored_baseline(&baseline, &candidate, Prior::WITHOUT_LEDGER).unwrap();
        assert!((estimate.delta - 1.1_f64.ln()).abs() < 1e-12);
        // SS = 0, d = 4: s̃² = 0.0004 / 5; SE² = 1.05 · 0.00008 · 2/3 + 2 · 0.0001.
        assert!((estimate.repeat_noise.powi(2) - 0.000_08).abs() < 1e-12);
        assert!((estimate.standard_error.powi(2) - 0.000_256).abs() < 1e-12);
        // 0.000256² · 4 / 0.000056².
        assert!((estimate.degrees_of_freedom - 83.591_836).abs() < 1e-4);
    }

    #[test]
    fn noisy_repeats_keep_their_own_noise() {
        let baseline = [0.0, 0.1, 0.2];
        let candidate = [0.0, 0.1, 0.2];
        let estimate = stored_baseline(&baseline, &candidate, Prior::WITHOUT_LEDGER).unwrap();
        assert!((estimate.repeat_noise - 0.1).abs() < 1e-12);
        assert!(estimate.delta.abs() < 1e-12);
    }

    #[test]
    fn one_repeat_a_side_leaves_the_prior_alone_to_speak() {
        let estimate = stored_baseline(&[0.0], &[0.3], Prior::WITHOUT_LEDGER).unwrap();
        assert!((estimate.repeat_noise - 0.02).abs() < 1e-12);
        assert!(estimate.degrees_of_freedom < 2.0);
    }

    #[test]
    fn a_side_without_repeats_has_no_estimate() {
        assert_eq!(stored_baseline(&[], &[0.0], Prior::WITHOUT_LEDGER), None);
    }

    proptest! {
        #[test]
        fn the_standard_error_is_never_zero_and_the_sides_are_symmetric(
            baseline in prop::collection::vec(-1.0..1.0, 1..8), candidate in prop::collection::vec(-1.0..1.0, 1..8)
        ) {
            let forth = stored_baseline(&baseline, &candidate, Prior::WITHOUT_LEDGER).unwrap();
            let back = stored_baseline(&candidate, &baseline, Prior::WITHOUT_LEDGER).unwrap();
            prop_assert!(forth.standard_error >= 0.01);
            prop_assert!((forth.delta + back.delta).abs() < 1e-9);
            prop_assert!((forth.standard_error - back.standard_error).abs() < 1e-12);
        }
    }
}
