//! Numbers of a comparison as text.

use crate::report::comparison::Change;
pub use crate::text::number::*;

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
