//! `perfgate.comparison/1` as text.

use crate::report::comparison::Comparison;

/// Indented, in the order of the format.
pub fn comparison(comparison: &Comparison) -> String {
    let text = serde_json::to_string_pretty(comparison);
    // Serialisation cannot fail: all keys are strings, and the writer is memory.
    text.map(|text| text + "\n").unwrap_or_default()
}

/// The verdict's name as the format writes it.
pub fn verdict(comparison: &Comparison) -> String {
    serde_json::to_value(comparison.verdict)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
