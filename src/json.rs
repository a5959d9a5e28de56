//! JSON from other programs, read unambiguously; and results as JSON.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits;

/// Some editors write this at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The bytes without a byte order mark.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Reads one value. A duplicate key and a string beyond [`limits::STRING`] are errors with line and column: JSON
/// readers disagree on which of two values of one key counts.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let bytes = without_mark(bytes);
    let Unambiguous = serde_json::from_slice(bytes)?;
    serde_json::from_slice(bytes)
}

/// Indented, with a line end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    // Serialisation cannot fail: all keys are strings, and the writer is memory.
    text.map(|text| text + "\n").unwrap_or_default()
}

/// Any value without duplicate keys and too long strings.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Checker)
    }
}

struct Checker;

impl<'de> Visitor<'de> for Checker {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Unambiguous, E> {
        within_limit(text)?;
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Unambiguous, A::Error> {
        while let Some(Unambiguous) = list.next_element()? {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unambiguous, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            within_limit(&key)?;
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            keys.insert(key);
            let Unambiguous = map.next_value()?;
        }
        Ok(Unambiguous)
    }
}

fn within_limit<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.len() > limits::STRING {
        return Err(E::custom(format!(
            "a string has {} bytes; the limit is {}",
            text.len(),
            limits::STRING
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn error(text: &str) -> String {
        parse::<Value>(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_duplicate_key_is_refused_with_its_position() {
        insta::assert_snapshot!(error("{\"a\": {\"b\": 1,\n \"b\": 1}}"), @"duplicate key `b` at line 2 column 4");
        // In any spelling.
        insta::assert_snapshot!(error(r#"[{"a": 1, "\u0061": 2}]"#), @"duplicate key `a` at line 1 column 18");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(
            parse::<Value>(b"\xef\xbb\xbf[1]").unwrap(),
            serde_json::json!([1])
        );
    }

    #[test]
    fn a_string_beyond_the_limit_is_refused_before_it_is_shown() {
        let long = "x".repeat(limits::STRING + 1);
        let text = error(&format!("[\"{long}\"]"));
        assert!(text.starts_with("a string has 1048577 bytes"), "{text}");
        let text = error(&format!("{{\"{long}\": 1}}"));
        assert!(text.len() < 200, "{}", text.len());
    }

    #[test]
    fn a_lone_surrogate_is_an_error_with_its_position() {
        insta::assert_snapshot!(error("[1,\n\"\\ud800\"]"), @"unexpected end of hex escape at line 2 column 8");
    }
}
