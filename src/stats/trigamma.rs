//! The trigamma function ψ′ and its inverse, which the moderated variance needs and `statrs` does not have.

/// From here the asymptotic series below is exact to the last digits.
const SERIES_FROM: f64 = 20.0;

/// ψ′(x) for x > 0: recurrence up to 20, then the asymptotic series (Abramowitz and Stegun 6.4.12).
pub(super) fn trigamma(x: f64) -> f64 {
    let mut x = x;
    let mut sum = 0.0;
    while x < SERIES_FROM {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = 1.0 / 6.0 - square * (1.0 / 30.0 - square * (1.0 / 42.0 - square / 30.0));
    sum + 1.0 / x + square / 2.0 + square / x * series
}

/// The x with ψ′(x) = `value`, for `value` > 0: bisection on the logarithm, since ψ′ falls from infinity to zero.
pub(super) fn inverse_trigamma(value: f64) -> f64 {
    // ψ′(x) lies between 1/x and 1/x + 1/x².
    let mut low = 1.0 / value;
    let mut high = low + 1.0 / value.sqrt();
    low *= 0.5;
    high *= 2.0;
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if trigamma(middle) > value {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}
