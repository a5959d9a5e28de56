//! Figures that may not be known, as they stand in a result.

/// An object with those that are known, by name.
pub fn known<const COUNT: usize>(figures: [(&str, Option<f64>); COUNT]) -> serde_json::Value {
    figures
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_left_out_and_zero_is_known() {
        let figures = known([("a", Some(0.0)), ("b", None)]);
        assert_eq!(figures, serde_json::json!({"a": 0.0}));
    }
}
