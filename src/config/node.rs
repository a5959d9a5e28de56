//! The tree of a YAML text: values with their positions.

use std::ops::Range;

/// A value with its position in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Byte range in the text; for a collection, its beginning.
    pub(super) span: Range<usize>,
}

/// The value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text, number, boolean or null, as written. Quoted scalars are always text.
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
    /// The boolean, in YAML's three spellings; Python users write `True`.
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

    /// Whether the value is missing (`key:` or `key: null`).
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
