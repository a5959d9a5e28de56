//! The confidence interval of a rate from a few trials.

use statrs::distribution::{Beta, ContinuousCDF as _};

use super::number;

/// Exact two-sided interval of a binomial rate (Clopper and Pearson 1934) at that confidence.
pub fn rate_interval(hits: u32, trials: u32, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let (hit, missed) = (
        number(hits.into()),
        number(trials.saturating_sub(hits).into()),
    );
    let quantile = |a: f64, b: f64, share: f64| Beta::new(a, b).map(|beta| beta.inverse_cdf(share));
    let low = if hits == 0 {
        0.0
    } else {
        quantile(hit, missed + 1.0, tail).unwrap_or(0.0)
    };
    let high = if hits >= trials {
        1.0
    } else {
        quantile(hit + 1.0, missed, 1.0 - tail).unwrap_or(1.0)
    };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_agree_with_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(method="exact")
        for (hits, trials, low, high) in [
            (0, 20, 0.0, 0.168_433_47),
            (19, 20, 0.751_267_2, 0.998_734_9),
            (3, 10, 0.066_739_51, 0.652_452_85),
            (10, 10, 0.691_502_89, 1.0),
        ] {
            let (ours_low, ours_high) = rate_interval(hits, trials, 0.95);
            assert!(
                (ours_low - low).abs() < 1e-5 && (ours_high - high).abs() < 1e-5,
                "{hits}/{trials}: {ours_low} {ours_high}"
            );
        }
    }
}
