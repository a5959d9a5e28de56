//! The difference of two means with its interval, for charts. It explains and never decides.

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{mean, number};

/// Candidate − baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanDifference {
    /// The difference of the means.
    pub value: f64,
    /// Both ends of the interval; `None` where a side has fewer than two values.
    pub interval: Option<(f64, f64)>,
}

/// The difference of the means with Student's interval at that confidence. Both sides are assumed to be equally noisy, as in the
/// decision: a few repeats do not give a reliable variance per side. `None` where a side is empty.
pub fn difference_of_means(
    baseline: &[f64],
    candidate: &[f64],
    confidence: f64,
) -> Option<MeanDifference> {
    let value = mean(candidate)? - mean(baseline)?;
    let interval = half_width(baseline, candidate, confidence)
        .filter(|half| half.is_finite())
        .map(|half| (value - half, value + half));
    value
        .is_finite()
        .then_some(MeanDifference { value, interval })
}

fn half_width(baseline: &[f64], candidate: &[f64], confidence: f64) -> Option<f64> {
    if baseline.len() < 2 || candidate.len() < 2 {
        return None;
    }
    let count = |side: &[f64]| number(side.len() as u64);
    let squares = |side: &[f64]| {
        let mean = mean(side)?;
        Some(side.iter().map(|value| (value - mean).powi(2)).sum::<f64>())
    };
    let (n, k) = (count(baseline), count(candidate));
    let degrees = n + k - 2.0;
    let variance = (squares(baseline)? + squares(candidate)?) / degrees;
    let student = StudentsT::new(0.0, 1.0, degrees).ok()?;
    let reach = student.inverse_cdf(0.5 + confidence / 2.0);
    Some(reach * (variance * (1.0 / n + 1.0 / k)).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_interval_agrees_with_the_tables_of_student() {
        // Variance 16 / 4, standard error 2 √(2/3), t(0.975, 4) = 2.776445.
        let found = difference_of_means(&[1.0, 2.0, 3.0], &[4.0, 5.0, 9.0], 0.95).unwrap();
        let (low, high) = found.interval.unwrap();
        assert!((found.value - 4.0).abs() < 1e-12);
        assert!((low + 0.533_916).abs() < 1e-5 && (high - 8.533_916).abs() < 1e-5);
    }

    #[test]
    fn one_value_a_side_has_no_interval_and_none_no_difference() {
        let single = difference_of_means(&[1.0], &[2.0, 3.0], 0.95).unwrap();
        assert_eq!((single.value, single.interval), (1.5, None));
        assert_eq!(difference_of_means(&[], &[1.0], 0.95), None);
    }

    #[test]
    fn values_that_do_not_differ_have_an_interval_without_width() {
        let same = difference_of_means(&[2.0; 3], &[2.0; 3], 0.95).unwrap();
        assert_eq!(same.interval, Some((0.0, 0.0)));
    }

    proptest! {
        #[test]
        fn for_any_values_the_interval_contains_the_difference(
            baseline in prop::collection::vec(any::<f64>(), 0..6), candidate in prop::collection::vec(any::<f64>(), 0..6)
        ) {
            if let Some(found) = difference_of_means(&baseline, &candidate, 0.95) {
                prop_assert!(found.value.is_finite());
                let (low, high) = found.interval.unwrap_or((found.value, found.value));
                prop_assert!(low <= found.value && found.value <= high);
            }
        }
    }
}
