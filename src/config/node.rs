//! The tree of a YAML text: values that remember where they stand.

use std::ops::Range;

/// A value with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Bytes of the text; for a collection, where it begins.
    pub(super) span: Range<usize>,
}

/// What stands there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text, number, truth value or null, as written. Quoted scalars are always text.
    Scalar { text: String, quoted: bool },
    /// A list.
    Sequence(Vec<Node>),
    /// A map in the order of the file, duplicates included.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl Node {
    /// The truth value, in the three ways YAML writes it; Python's people write `True`.
    pub(super) fn truth(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar {
                text,
                quoted: false,
            } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether nothing is given (`key:` or `key: null`).
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar {
                text,
                quoted: false,
            } => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => false,
        }
    }
}
