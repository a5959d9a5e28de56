//! Numbers of a comparison as text.

use crate::report::comparison::Change;
pub use crate::text::number::*;

/// Shown where there is no value.
pub(super) const NOTHING: &str = "–";

/// The figure as text; a dash without one.
pub(super) fn or_dash<T>(figure: Option<T>, text: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NOTHING.to_owned(), text)
}

/// The smallest and the largest value; the first is the larger one without a value.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// A value between the smallest and the largest one as a bar of one character.
pub(super) fn bar(value: f64, low: f64, high: f64) -> char {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if high <= low {
        return BARS[0];
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "one of eight characters"
    )]
    let step = ((value - low) / (high - low) * 7.0).round() as usize;
    BARS[step.min(7)]
}

/// `[+4.9 … +9.3]`, in percent.
pub fn interval(change: &Change) -> String {
    let plain = |ratio: f64| signed_percent(ratio).trim_end_matches(" %").to_owned();
    format!("[{} … {}]", plain(change.low), plain(change.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_names_both_ends_with_their_signs() {
        let change = Change {
            value: 0.07,
            low: -0.012,
            high: 0.093,
            confidence: 0.95,
        };
        assert_eq!(interval(&change), "[−1.2 … +9.3]");
    }
}
