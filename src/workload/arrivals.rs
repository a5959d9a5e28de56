//! Arrival times for open-loop load.

use std::time::Duration;

use rand::RngExt as _;
use statrs::distribution::{ContinuousCDF as _, Gamma};

use super::generator;

/// The due time of each of `count` requests, from the start of the measurement, ascending.
///
/// Gaps are gamma-distributed with shape `burstiness` and mean `1 / per_second`: 1 is Poisson, infinite is constant.
/// An infinite rate makes all requests due at once. Offsets are absolute, so a late send never delays the next one.
pub fn arrivals(per_second: f64, burstiness: f64, count: usize, seed: u64) -> Vec<Duration> {
    let mut draws = generator(seed, &["arrivals"]);
    let mut offset = 0.0;
    (0..count)
        .map(|_| {
            if per_second.is_infinite() {
                return Duration::ZERO;
            }
            let uniform = draws
                .random::<f64>()
                .clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            offset += gap(uniform, burstiness) / per_second;
            Duration::from_secs_f64(offset)
        })
        .collect()
}

/// The same arrivals at a rate that grows linearly from 0 to its final value during `ramp_up`: each is due when the growing
/// rate has sent as many requests as the full rate had sent before it.
pub fn ramped(due: Duration, ramp_up: Duration) -> Duration {
    let half = ramp_up / 2;
    if due >= half {
        due + half
    } else {
        Duration::from_secs_f64((2.0 * ramp_up.as_secs_f64() * due.as_secs_f64()).sqrt())
    }
}

/// A gap of mean 1 by inversion of `uniform`.
fn gap(uniform: f64, burstiness: f64) -> f64 {
    if burstiness.is_infinite() {
        1.0
    } else if (burstiness - 1.0).abs() < f64::EPSILON {
        -(-uniform).ln_1p()
    } else {
        Gamma::new(burstiness, burstiness).map_or(1.0, |gamma| gamma.inverse_cdf(uniform))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps(per_second: f64, burstiness: f64) -> (f64, f64) {
        let due = arrivals(per_second, burstiness, 4_000, 7);
        let gaps: Vec<f64> = due
            .windows(2)
            .map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64())
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "4,000 is exact")]
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn poisson_gaps_have_the_configured_rate_and_a_variation_of_one() {
        let (mean, variation) = gaps(200.0, 1.0);
        assert!((mean * 200.0 - 1.0).abs() < 0.05, "mean gap {mean}");
        assert!((variation - 1.0).abs() < 0.05, "variation {variation}");
    }

    #[test]
    fn burstiness_sets_the_variation_of_the_gaps() {
        let (mean, variation) = gaps(50.0, 4.0);
        assert!((mean * 50.0 - 1.0).abs() < 0.05, "mean gap {mean}");
        assert!((variation - 0.5).abs() < 0.05, "variation {variation}");
        assert!(gaps(50.0, f64::INFINITY).1 < 1e-6);
    }

    #[test]
    fn an_infinite_rate_sends_everything_at_once() {
        assert!(
            arrivals(f64::INFINITY, 1.0, 5, 1)
                .iter()
                .all(Duration::is_zero)
        );
    }

    #[test]
    fn a_ramp_sends_half_of_the_requests_of_its_time_and_then_the_full_rate() {
        let ramp_up = Duration::from_secs(10);
        let due: Vec<f64> = arrivals(100.0, f64::INFINITY, 2_000, 1)
            .into_iter()
            .map(|due| ramped(due, ramp_up).as_secs_f64())
            .collect();
        let within =
            |from: f64, to: f64| due.iter().filter(|due| (from..to).contains(*due)).count();
        assert!(
            within(0.0, 10.0).abs_diff(500) <= 1,
            "{}",
            within(0.0, 10.0)
        );
        assert!(within(0.0, 5.0).abs_diff(125) <= 1, "{}", within(0.0, 5.0));
        assert!(
            within(10.0, 15.0).abs_diff(500) <= 1,
            "{}",
            within(10.0, 15.0)
        );
        assert!(due.is_sorted());
        assert_eq!(
            ramped(Duration::from_secs(3), Duration::ZERO),
            Duration::from_secs(3)
        );
    }
}
