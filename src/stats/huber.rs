//! A robust location: the mean for ordinary values, less affected by outliers.

use super::quantile::median;

/// Tuning constant for 95 % efficiency under a normal distribution (Huber 1964).
const K: f64 = 1.345;

/// More than enough: the iteration contracts and stops when the value no longer changes.
const MOST_ROUNDS: usize = 100;

/// Huber's M-estimate of location with a known `scale` (in the values' unit); `None` for no values.
///
/// A scale of zero or less gives the median.
pub fn huber_location(values: &[f64], scale: f64) -> Option<f64> {
    let mut location = median(values)?;
    if scale <= 0.0 {
        return Some(location);
    }
    for _ in 0..MOST_ROUNDS {
        let (mut weighted, mut weights) = (0.0, 0.0);
        for value in values {
            let weight = huber_weight(value - location, scale);
            weighted += weight * value;
            weights += weight;
        }
        let next = weighted / weights;
        let moved = (next - location).abs();
        location = next;
        if moved <= 1e-12 * scale {
            break;
        }
    }
    Some(location)
}

/// The weight of a value that far from the location: 1 within 1.345 scales, less beyond.
pub fn huber_weight(residual: f64, scale: f64) -> f64 {
    let distance = residual.abs() / scale;
    if distance <= K { 1.0 } else { K / distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_within_the_scale_give_their_mean() {
        let location = huber_location(&[1.0, 1.1, 0.9], 1.0).unwrap();
        assert!((location - 1.0).abs() < 1e-12);
    }

    #[test]
    fn an_outlier_pulls_no_further_than_k_scales() {
        // Σ ψ = 0 with one outlier clipped at K: 2 (0 − m) + K s = 0 → m = K s / 2.
        let location = huber_location(&[0.0, 0.0, 100.0], 1.0).unwrap();
        assert!((location - K / 2.0).abs() < 1e-9, "{location}");
    }

    #[test]
    fn no_values_have_no_location() {
        assert_eq!(huber_location(&[], 1.0), None);
    }
}
