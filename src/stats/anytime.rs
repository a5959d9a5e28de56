//! Anytime-valid evidence: an e-value may be checked any number of times.

use super::noise::squares_about_mean;
use super::number;
use super::quantile::mean;

/// Prior variance of the standardised effect, in variances of one difference.
const MIXTURE: f64 = 1.0;

/// The t-mixture e-value of paired differences against a change of at most `edge` (Lai 1976; Wang and Ramdas 2024).
///
/// Under that hypothesis its expectation is at most 1 at any stopping time, so a value of 1/α or more has probability α at
/// most, for any number of looks. 1 (no evidence) for fewer than two differences, without spread, and where the mean is at or
/// below the edge.
pub fn e_value(differences: &[f64], edge: f64) -> f64 {
    let n = number(differences.len() as u64);
    let (Some(mean), Some(squares)) = (mean(differences), squares_about_mean(differences)) else {
        return 1.0;
    };
    if n < 2.0 || squares <= 0.0 || mean <= edge {
        return 1.0;
    }
    let deviation = (squares / (n - 1.0)).sqrt();
    let t = n.sqrt() * (mean - edge) / deviation;
    let grown = 1.0 + n * MIXTURE;
    let ratio = (1.0 + t.powi(2) / (n - 1.0)) / (1.0 + t.powi(2) / ((n - 1.0) * grown));
    // On the log scale: clear evidence would overflow.
    (n / 2.0 * ratio.ln() - grown.ln() / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_grows_with_clear_differences_and_not_with_noise_about_the_edge() {
        let clear = [0.08, 0.09, 0.085, 0.081, 0.088, 0.084];
        assert!(e_value(&clear, 0.02) > 1e2);
        assert!(e_value(&clear, 0.02) > e_value(&clear[..3], 0.02));
        assert!(e_value(&[0.03, 0.01, 0.02, 0.025], 0.02) < 1.0);
    }

    #[test]
    fn without_differences_or_spread_there_is_no_evidence() {
        for differences in [&[][..], &[0.1], &[0.1, 0.1], &[-0.1, -0.2]] {
            assert!(e_value(differences, 0.02) <= 1.0, "{differences:?}");
        }
    }
}
