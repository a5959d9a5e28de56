//! The change between two versions and how well it is known (`docs/concepts/mathematics.md`, "Estimate").
//!
//! All values here are natural logs of per-repeat values, signed so that larger is worse. The repeat is the unit of evidence:
//! requests of one repeat share its server and are not replicates.

use statrs::distribution::{ContinuousCDF as _, FisherSnedecor};

use super::huber::huber_location;
use super::noise::{Noise, squares_about_mean};
use super::number;
use super::quantile::median;

/// Correction of the standard error for a Huber location instead of a mean.
const HUBER_INFLATION: f64 = 1.05;

/// One isolated repeat further than this many s₀ from its side is clipped to that distance.
const CLIP_AT: f64 = 4.0;

/// It is isolated if every other repeat is nearer than this; otherwise it is one of many, which are noise.
const ISOLATED_WITHIN: f64 = 2.0;

/// p-value of today's noise under the ledger below which the ledger is not used.
const REGIME_LEVEL: f64 = 0.05;

/// The same for all repeats of today together, with pairs: their own noise is known well enough without the ledger, so rejecting
/// the ledger costs little.
const REGIME_LEVEL_IN_PAIRS: f64 = 0.10;

/// The same for the candidate's repeats alone, which are the only repeats of today before pairs. If pairs can follow, a rejected
/// ledger costs a few starts, and a false pass costs a regression. Found by simulation: a machine three times as noisy as its
/// ledger passes at most β.
const DOUBT_LEVEL: f64 = 0.20;

/// Stored and paired estimates that differ by more than this many of their joint standard errors are not pooled.
const DISAGREEMENT: f64 = 2.5;

/// A change and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Robust location of the baseline's logs.
    pub baseline: f64,
    /// Robust location of the candidate's logs; `baseline + delta`.
    pub candidate: f64,
    /// δ̂ = candidate − baseline; positive is worse.
    pub delta: f64,
    /// Standard error of δ̂.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees_of_freedom: f64,
    /// s̃, the standard deviation of one repeat that the estimate uses.
    pub repeat_noise: f64,
    /// τ, the host noise in the standard error; 0 where alternating repeats cancel it.
    pub host_noise: f64,
    /// Today's repeats are noisier than the ledger, so its noise is not used.
    pub noisier: bool,
    /// The candidate's repeats may be noisier than the ledger: its noise is used, but not where pairs can follow.
    pub doubtful: bool,
    /// One isolated repeat was clipped.
    pub clipped: bool,
}

/// The candidate against a stored baseline of another session. `None` where a side has no repeat.
pub fn stored(baseline: &[f64], candidate: &[f64], noise: &Noise) -> Option<Estimate> {
    let mut arms = [baseline.to_vec(), candidate.to_vec()];
    let clipped = noise.is_learnt() && clip_one(&mut arms, noise.repeat);
    let (n, k) = (count(baseline), count(candidate));
    let seen = Observed::of(&arms);
    let noisier = is_noisier(seen, REGIME_LEVEL, noise);
    let doubtful = noisier || is_noisier(Observed::of(&arms[1..]), DOUBT_LEVEL, noise);
    let today = moderate(seen, noisier, noise);
    let scale = today.variance.sqrt();

    let [baseline, candidate] = &arms;
    let baseline = huber_location(baseline, scale)?;
    let candidate = huber_location(candidate, scale)?;
    // The cause of noisier starts may make hosts and days noisier too.
    let host = if noisier {
        noise.host * (seen.squares / seen.degrees).sqrt() / noise.repeat
    } else {
        noise.host
    };
    let (standard_error, degrees_of_freedom) =
        spread(scale, host, n, k, today.degrees_of_freedom, noise.sessions);
    Some(Estimate {
        baseline,
        candidate,
        delta: candidate - baseline,
        standard_error,
        degrees_of_freedom,
        repeat_noise: scale,
        host_noise: host,
        noisier,
        doubtful,
        clipped,
    })
}

/// Alternating repeats (baseline, candidate) of one session on one machine: host and day cancel. `None` without pairs.
///
/// `others` are repeats of the candidate from the same session without a partner: they give no information about the change,
/// only about today's noise.
pub(super) fn paired(pairs: &[(f64, f64)], others: &[f64], noise: &Noise) -> Option<Estimate> {
    let (base, candidate): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let mut arms = [base.clone(), candidate, others.to_vec()];
    let clipped = noise.is_learnt() && clip_one(&mut arms, noise.repeat);
    let differences: Vec<f64> = arms[1].iter().zip(&arms[0]).map(|(c, b)| c - b).collect();
    let of_differences = Observed {
        squares: squares_about_mean(&differences)? / 2.0,
        degrees: count(&differences) - 1.0,
    };
    let seen = Observed::of(&arms);
    let noisier = is_noisier(of_differences, REGIME_LEVEL, noise)
        || is_noisier(seen, REGIME_LEVEL_IN_PAIRS, noise);
    let today = moderate(seen, noisier, noise);
    let scale = today.variance.sqrt();
    let delta = huber_location(&differences, scale * 2.0_f64.sqrt())?;
    let baseline = huber_location(&base, scale)?;
    Some(Estimate {
        baseline,
        candidate: baseline + delta,
        delta,
        standard_error: (2.0 * HUBER_INFLATION * today.variance / count(&differences)).sqrt(),
        degrees_of_freedom: today.degrees_of_freedom,
        repeat_noise: scale,
        host_noise: 0.0,
        noisier,
        doubtful: noisier,
        clipped,
    })
}

/// Sum of squares about the means of a set of arms, and their degrees of freedom.
#[derive(Clone, Copy, Default)]
struct Observed {
    squares: f64,
    degrees: f64,
}

impl Observed {
    /// Empty arms are ignored.
    fn of(arms: &[Vec<f64>]) -> Self {
        let mut seen = Self::default();
        for arm in arms {
            if let Some(squares) = squares_about_mean(arm) {
                seen.squares += squares;
                seen.degrees += count(arm) - 1.0;
            }
        }
        seen
    }
}

/// The noise of one repeat, from today's repeats and the ledger together.
struct Moderated {
    variance: f64,
    degrees_of_freedom: f64,
}

/// The moderated noise for both kinds of evidence. If today is `noisier` than the ledger, or without a ledger, the result is at
/// least the repeats' own noise.
fn moderate(Observed { squares, degrees }: Observed, noisier: bool, noise: &Noise) -> Moderated {
    let nu = noise.degrees_of_freedom;
    let moderated = (nu * noise.repeat.powi(2) + squares) / (nu + degrees);
    if noise.is_learnt() && !noisier {
        return Moderated {
            variance: moderated,
            degrees_of_freedom: nu + degrees,
        };
    }
    let own = if degrees > 0.0 {
        squares / degrees
    } else {
        0.0
    };
    Moderated {
        variance: own.max(moderated),
        // With one repeat per side only the prior counts, with its own degrees of freedom.
        degrees_of_freedom: degrees.max(nu.min(1.0)),
    }
}

/// Whether the p-value of this noise under the ledger is below `level`. Never without a ledger.
fn is_noisier(seen: Observed, level: f64, noise: &Noise) -> bool {
    noise.is_learnt() && upper_probability(seen, noise) < level
}

/// p-value of this noise under the ledger.
fn upper_probability(seen: Observed, noise: &Noise) -> f64 {
    if seen.degrees < 1.0 {
        return 1.0;
    }
    let ratio = seen.squares / seen.degrees / noise.repeat.powi(2);
    FisherSnedecor::new(seen.degrees, noise.degrees_of_freedom)
        .map_or(1.0, |fisher| fisher.sf(ratio))
}

/// Clips a single repeat far from its side, unless others are far too.
fn clip_one(arms: &mut [Vec<f64>], scale: f64) -> bool {
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

/// Standard error and its degrees of freedom (Satterthwaite) against a stored baseline. An assumed τ is not an estimate and
/// adds no degrees of freedom.
fn spread(repeat: f64, host: f64, n: f64, k: f64, within: f64, sessions: u32) -> (f64, f64) {
    let of_repeats = HUBER_INFLATION * repeat.powi(2) * (1.0 / n + 1.0 / k);
    let of_hosts = 2.0 * host.powi(2);
    let total = of_repeats + of_hosts;
    let mut uncertainty = of_repeats.powi(2) / within;
    if sessions > 1 {
        uncertainty += of_hosts.powi(2) / (f64::from(sessions) - 1.0);
    }
    (total.sqrt(), total.powi(2) / uncertainty)
}

/// The paired and the stored estimate pooled by inverse variance, or `None` where the two disagree: an outdated baseline or
/// another host.
pub(super) fn pooled(paired: &Estimate, stored: &Estimate) -> Option<Estimate> {
    if stored.doubtful || paired.noisier || disagree(paired, stored) {
        return None;
    }
    let [a, b] = [paired, stored].map(|estimate| estimate.standard_error.powi(2));
    let (weight_a, weight_b) = (1.0 / a, 1.0 / b);
    let total = weight_a + weight_b;
    let delta = (weight_a * paired.delta + weight_b * stored.delta) / total;
    let degrees_of_freedom = total.powi(2)
        / (weight_a.powi(2) / paired.degrees_of_freedom
            + weight_b.powi(2) / stored.degrees_of_freedom);
    Some(Estimate {
        delta,
        candidate: paired.baseline + delta,
        standard_error: (1.0 / total).sqrt(),
        degrees_of_freedom,
        ..*paired
    })
}

/// Whether two estimates of the same change differ by more than their errors explain.
pub(super) fn disagree(one: &Estimate, other: &Estimate) -> bool {
    (one.delta - other.delta).abs() > DISAGREEMENT * one.standard_error.hypot(other.standard_error)
}

impl Estimate {
    /// The same estimate and noise with that many repeats per side: the effect of more evidence.
    #[must_use]
    pub fn with_repeats(self, baseline: u32, candidate: u32, noise: &Noise) -> Self {
        let (n, k) = (f64::from(baseline.max(1)), f64::from(candidate.max(1)));
        let within = (n + k - 2.0 + self.worth_of(noise)).max(1.0);
        let (standard_error, degrees_of_freedom) = spread(
            self.repeat_noise,
            self.host_noise,
            n,
            k,
            within,
            noise.sessions,
        );
        Self {
            standard_error,
            degrees_of_freedom,
            ..self
        }
    }

    /// The same with that many alternating pairs.
    #[must_use]
    pub fn with_pairs(self, pairs: u32, noise: &Noise) -> Self {
        let pairs = f64::from(pairs.max(2));
        Self {
            standard_error: (2.0 * HUBER_INFLATION / pairs).sqrt() * self.repeat_noise,
            degrees_of_freedom: 2.0 * (pairs - 1.0) + self.worth_of(noise),
            host_noise: 0.0,
            ..self
        }
    }

    /// Degrees of freedom that the ledger adds, where its noise is used.
    fn worth_of(&self, noise: &Noise) -> f64 {
        if noise.is_learnt() && !self.noisier {
            noise.degrees_of_freedom
        } else {
            0.0
        }
    }
}

/// p-value of the noise among these repeats under the ledger; `None` without a ledger.
pub fn noise_probability(repeats: &[f64], noise: &Noise) -> Option<f64> {
    let seen = Observed::of(&[repeats.to_vec()]);
    noise.is_learnt().then(|| upper_probability(seen, noise))
}

fn count(values: &[f64]) -> f64 {
    number(values.len() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::noise::QUIET;
    use super::*;

    #[test]
    fn without_a_ledger_quiet_repeats_are_moderated_by_the_assumption() {
        let estimate = stored(&[0.0; 3], &[0.1; 3], &Noise::ASSUMED).unwrap();
        assert!((estimate.delta - 0.1).abs() < 1e-12);
        // SS = 0, d = 4: s̃² = 0.0004 / 5; SE² = 1.05 · 0.00008 · 2/3 + 2 · 0.0001.
        assert!((estimate.repeat_noise.powi(2) - 0.000_08).abs() < 1e-12);
        assert!((estimate.standard_error.powi(2) - 0.000_256).abs() < 1e-12);
        // 0.000256² · 4 / 0.000056².
        assert!((estimate.degrees_of_freedom - 83.591_836).abs() < 1e-4);
    }

    #[test]
    fn with_one_repeat_per_side_only_the_assumption_counts() {
        let estimate = stored(&[0.0], &[0.3], &Noise::ASSUMED).unwrap();
        assert!((estimate.repeat_noise - 0.02).abs() < 1e-12);
        assert!(estimate.degrees_of_freedom < 2.0);
    }

    #[test]
    fn one_isolated_repeat_is_clipped_and_two_are_noise() {
        let one = stored(&[0.0, 0.002, -0.004], &[0.001, 0.003, 0.2], &QUIET).unwrap();
        assert!(one.clipped && !one.noisier && one.delta < 0.03, "{one:?}");
        let two = stored(&[0.0, 0.002, 0.15], &[0.001, 0.003, 0.2], &QUIET).unwrap();
        assert!(!two.clipped && two.noisier, "{two:?}");
    }

    #[test]
    fn where_today_is_noisier_its_own_noise_counts_and_the_host_noise_grows_too() {
        let noisy = stored(&[-0.05, 0.0, 0.06], &[0.0, 0.07, -0.05], &QUIET).unwrap();
        assert!(noisy.noisier && noisy.repeat_noise > 0.05);
        assert!(noisy.host_noise > 4.0 * QUIET.host);
        let believed = stored(&[-0.01, 0.0, 0.012], &[0.0, 0.014, -0.01], &QUIET).unwrap();
        assert!(noisy.degrees_of_freedom < believed.degrees_of_freedom);
    }

    #[test]
    fn a_host_that_is_slower_for_both_cancels_in_pairs() {
        let pairs = [(0.06, 0.061), (0.055, 0.054), (0.062, 0.0622)];
        let estimate = paired(&pairs, &[], &QUIET).unwrap();
        assert!(estimate.delta.abs() < 0.002 && estimate.host_noise.abs() < f64::EPSILON);
    }

    #[test]
    fn estimates_that_disagree_are_not_pooled() {
        let pairs = paired(&[(0.0, 0.001), (0.003, 0.0), (-0.001, 0.002)], &[], &QUIET).unwrap();
        let agreeing = stored(&[0.0, 0.003, 0.001], &[0.004, 0.001, 0.002], &QUIET).unwrap();
        let pooled_one = pooled(&pairs, &agreeing).unwrap();
        assert!(pooled_one.standard_error < pairs.standard_error.min(agreeing.standard_error));
        let slower_host = stored(&[0.0, 0.003, 0.001], &[0.064, 0.061, 0.062], &QUIET).unwrap();
        assert!(disagree(&pairs, &slower_host) && pooled(&pairs, &slower_host).is_none());
    }

    #[test]
    fn a_side_without_repeats_has_no_estimate() {
        assert_eq!(stored(&[], &[0.0], &QUIET), None);
        assert_eq!(paired(&[], &[0.0], &QUIET), None);
    }

    proptest! {
        #[test]
        fn the_standard_error_is_never_zero_and_the_sides_are_symmetric(
            baseline in prop::collection::vec(-1.0..1.0, 1..8), candidate in prop::collection::vec(-1.0..1.0, 1..8),
            learnt in any::<bool>()
        ) {
            let noise = if learnt { QUIET } else { Noise::ASSUMED };
            let forth = stored(&baseline, &candidate, &noise).unwrap();
            let back = stored(&candidate, &baseline, &noise).unwrap();
            prop_assert!(forth.standard_error >= noise.host);
            prop_assert!((forth.delta + back.delta).abs() < 1e-9);
            prop_assert!((forth.standard_error - back.standard_error).abs() < 1e-12);
        }

        #[test]
        fn a_shift_of_every_repeat_of_the_candidate_is_the_change(
            pairs in prop::collection::vec((-0.1..0.1_f64, -0.1..0.1_f64), 2..12), shift in -0.5..0.5_f64
        ) {
            let moved: Vec<(f64, f64)> = pairs.iter().map(|(base, new)| (*base, new + shift)).collect();
            let one = paired(&pairs, &[], &QUIET).unwrap();
            let other = paired(&moved, &[], &QUIET).unwrap();
            prop_assert!((other.delta - one.delta - shift).abs() < 1e-6);
            prop_assert!((other.standard_error - one.standard_error).abs() < 1e-9);
        }
    }
}
