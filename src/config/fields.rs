//! Reads a map: each key once, with problems for unknown and repeated keys and for values of a wrong type.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Key, Node, Value};
use super::problem::{Code, Collector};
use super::unit::{self, UnitError};
use crate::metric::nearest;

/// The entries of a map, and the names that have been read.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    place: String,
    node: &'a Node,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The map at `node`. `place` is its name in messages: `server.docker`, or empty for the whole file.
    pub(super) fn of(node: &'a Node, place: &str, collector: &mut Collector<'_>) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            let what = if place.is_empty() {
                "the file".to_owned()
            } else {
                format!("`{place}`")
            };
            collector.push(
                Code::InvalidValue,
                node.span.clone(),
                format!("{what} must be a map of keys and values"),
            );
            return None;
        };
        report_duplicates(entries, collector);
        Some(Self {
            place: place.to_owned(),
            node,
            entries,
            known: Vec::new(),
        })
    }

    /// The value of `name`, if it is set and not null.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        (!node.is_null()).then_some(node)
    }

    /// The value of `name`; adds a problem if it is missing.
    pub(super) fn require(
        &mut self,
        name: &'static str,
        example: &str,
        collector: &mut Collector<'_>,
    ) -> Option<&'a Node> {
        let found = self.take(name);
        if found.is_none() {
            let message = format!("`{}` is missing", self.path(name));
            collector.push_with_hint(
                Code::MissingKey,
                self.node.span.clone(),
                message,
                format!("add `{name}: {example}`"),
            );
        }
        found
    }

    /// Where the map begins, for problems that concern the whole map.
    pub(super) fn span(&self) -> std::ops::Range<usize> {
        self.node.span.clone()
    }

    /// Full name of a key.
    pub(super) fn path(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// Adds a problem for every unknown key.
    pub(super) fn finish(self, collector: &mut Collector<'_>) {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let message = format!("unknown key `{}`", self.path(&key.name));
            match nearest(&key.name, self.known.iter().copied()) {
                Some(known) => {
                    let hint = format!("the nearest known key is `{known}`");
                    collector.push_with_hint(Code::UnknownKey, key.span.clone(), message, hint);
                }
                None => collector.push(Code::UnknownKey, key.span.clone(), message),
            }
        }
    }
}

pub(super) fn report_duplicates(entries: &[(Key, Node)], collector: &mut Collector<'_>) {
    let mut seen = HashSet::new();
    for (key, _) in entries {
        if !seen.insert(key.name.as_str()) {
            let message = format!("`{}` is given twice", key.name);
            collector.push_with_hint(
                Code::DuplicateKey,
                key.span.clone(),
                message,
                "keep one of them",
            );
        }
    }
}

fn invalid<T>(node: &Node, message: String, collector: &mut Collector<'_>) -> Option<T> {
    collector.push(Code::InvalidValue, node.span.clone(), message);
    None
}

/// The text of a scalar.
pub(super) fn scalar<'a>(
    node: &'a Node,
    what: &str,
    collector: &mut Collector<'_>,
) -> Option<&'a str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::Sequence(_) => invalid(
            node,
            format!("`{what}` must be one value, not a list"),
            collector,
        ),
        Value::Mapping(_) => invalid(
            node,
            format!("`{what}` must be one value, not a map"),
            collector,
        ),
    }
}

/// A non-empty text.
pub(super) fn text(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<String> {
    let text = scalar(node, what, collector)?;
    if text.trim().is_empty() {
        return invalid(node, format!("`{what}` is empty"), collector);
    }
    Some(text.to_owned())
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<bool> {
    let written = scalar(node, what, collector)?;
    node.truth().or_else(|| {
        let message = format!("`{what}` must be `true` or `false`, not `{written}`");
        invalid(node, message, collector)
    })
}

/// A number within `range`. YAML's `.nan` and `.inf` are refused.
pub(super) fn number<T>(
    node: &Node,
    what: &str,
    range: &RangeInclusive<T>,
    collector: &mut Collector<'_>,
) -> Option<T>
where
    T: FromStr + PartialOrd + Display,
{
    let written = scalar(node, what, collector)?;
    if let Value::Scalar { quoted: true, .. } = node.value {
        collector.push_with_hint(
            Code::InvalidValue,
            node.span.clone(),
            format!("`{what}` must be a number, not a text"),
            "remove the quotes",
        );
        return None;
    }
    // YAML 1.1 allows grouped digits; `parse` alone would also accept `inf` and `nan`.
    let digits = written.replace('_', "");
    let looks_numeric = digits
        .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && !digits.starts_with(".n")
        && !digits.starts_with(".i");
    match digits.parse::<T>() {
        Ok(value) if looks_numeric && range.contains(&value) => Some(value),
        Ok(_) if looks_numeric => {
            let message = format!(
                "`{what}` is {written}; it must be between {} and {}",
                range.start(),
                range.end()
            );
            invalid(node, message, collector)
        }
        Ok(_) | Err(_) => {
            let kind = if std::any::type_name::<T>().starts_with('f') {
                "a finite number"
            } else {
                "a whole number"
            };
            invalid(
                node,
                format!("`{what}` must be {kind}, not `{written}`"),
                collector,
            )
        }
    }
}

fn with_unit<T>(
    node: &Node,
    what: &str,
    parse: impl Fn(&str) -> Result<T, UnitError>,
    collector: &mut Collector<'_>,
) -> Option<T> {
    match parse(scalar(node, what, collector)?) {
        Ok(value) => Some(value),
        Err(error) => {
            let message = format!("`{what}`: {}", error.message);
            collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, error.hint);
            None
        }
    }
}

/// A duration above zero.
pub(super) fn duration(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<Duration> {
    let duration = with_unit(node, what, unit::duration, collector)?;
    if duration.is_zero() {
        return invalid(node, format!("`{what}` must be above zero"), collector);
    }
    Some(duration)
}

/// A size in bytes above zero.
pub(super) fn bytes(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<u64> {
    let bytes = with_unit(node, what, unit::bytes, collector)?;
    if bytes == 0 {
        return invalid(node, format!("`{what}` must be above zero"), collector);
    }
    Some(bytes)
}

/// A percentage as a ratio within `range`.
pub(super) fn percentage(
    node: &Node,
    what: &str,
    range: &RangeInclusive<f64>,
    collector: &mut Collector<'_>,
) -> Option<f64> {
    let ratio = with_unit(node, what, unit::percentage, collector)?;
    if range.contains(&ratio) {
        return Some(ratio);
    }
    let (low, high) = (range.start() * 100.0, range.end() * 100.0);
    let written = scalar(node, what, collector)?;
    invalid(
        node,
        format!("`{what}` is {written}; it must be between {low}% and {high}%"),
        collector,
    )
}

/// A list of texts.
pub(super) fn texts(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<Vec<String>> {
    match &node.value {
        Value::Sequence(items) => items
            .iter()
            .map(|item| {
                if item.is_null() {
                    return invalid(item, format!("`{what}` has an empty entry"), collector);
                }
                scalar(item, what, collector).map(str::to_owned)
            })
            .collect(),
        Value::Scalar { .. } | Value::Mapping(_) => {
            let message = format!("`{what}` must be a list");
            collector.push_with_hint(
                Code::InvalidValue,
                node.span.clone(),
                message,
                "write `[first, second]`",
            );
            None
        }
    }
}
