//! Order statistics.

/// The `share` quantile by linear interpolation between order statistics (type 7, as NumPy and `vllm bench serve`).
/// `None` for no values. The caller must pass finite values; others sort last.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_of_sorted(&sorted, share)
}

/// The same for sorted values.
pub(crate) fn quantile_of_sorted(sorted: &[f64], share: f64) -> Option<f64> {
    quantile_among(sorted, 0, share)
}

/// The same with `beyond` more values at infinity. `None` where the quantile is not finite.
pub(crate) fn quantile_among(sorted: &[f64], beyond: u64, share: f64) -> Option<f64> {
    let last = (sorted.len() as u64)
        .saturating_add(beyond)
        .checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 samples")]
    let position = share.clamp(0.0, 1.0) * last as f64;
    let rest = position - position.floor();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ position ≤ last"
    )]
    let below = position.floor() as usize;
    let value = *sorted.get(below)?;
    match sorted.get(below + 1) {
        Some(above) => Some(value + rest * (above - value)),
        // A rounding error of a whole number is not a fraction.
        None => (rest < 1e-9).then_some(value),
    }
}

/// The median; `None` for no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The arithmetic mean; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 samples")]
    let count = values.len() as f64;
    Some(values.iter().sum::<f64>() / count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_agree_with_numpy() {
        // numpy.percentile([3, 1, 4, 1, 5, 9, 2, 6], [0, 25, 50, 90, 95, 100])
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        for (share, expected) in [
            (0.0, 1.0),
            (0.25, 1.75),
            (0.5, 3.5),
            (0.9, 6.9),
            (0.95, 7.95),
            (1.0, 9.0),
        ] {
            let got = quantile(&values, share).unwrap();
            assert!((got - expected).abs() < 1e-12, "{share}: {got}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.95), Some(7.0));
    }

    #[test]
    fn a_quantile_among_the_infinite_values_is_none() {
        // numpy.percentile([1, 2, 3, inf, inf], [50, 62.5, 40]) = [3, inf, 2.6]
        let known = [1.0, 2.0, 3.0];
        assert_eq!(quantile_among(&known, 2, 0.5), Some(3.0));
        assert_eq!(quantile_among(&known, 2, 0.625), None);
        assert!((quantile_among(&known, 2, 0.4).unwrap() - 2.6).abs() < 1e-12);
        assert_eq!(quantile_among(&[], 3, 0.0), None);
    }

    proptest! {
        #[test]
        fn a_quantile_lies_between_the_ends_and_rises_with_the_share(
            values in prop::collection::vec(-1e6..1e6, 1..50), a in 0.0..1.0, b in 0.0..1.0
        ) {
            let (low, high) = (f64::min(a, b), f64::max(a, b));
            let (at_low, at_high) = (quantile(&values, low).unwrap(), quantile(&values, high).unwrap());
            prop_assert!(at_low <= at_high + 1e-9);
            prop_assert!(at_low >= values.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert!(at_high <= values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }
}
