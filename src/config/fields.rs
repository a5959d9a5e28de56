//! Reads a map: each key once, with problems for unknown and repeated keys and for values of a wrong type.
//!
//! A reader takes a value, its name in messages, and the collector of problems. It returns `None` after a problem.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Key, Node, Value};
use super::problem::{Code, Collector};
use super::unit::{self, UnitError};
use crate::metric::nearest;
use crate::report::price::Budget;

/// The entries of a map, and the names that have been read.
#[derive(Debug)]
pub(super) struct Fields<'a, 'c> {
    place: String,
    node: &'a Node,
    entries: &'a [(Key, Node)],
    known: Vec<&'static str>,
    /// Where problems go.
    pub(super) collector: &'c mut Collector,
}

impl<'a, 'c> Fields<'a, 'c> {
    /// The map at `node`. `place` is its name in messages: `server.docker`, or empty for the whole file.
    pub(super) fn of(node: &'a Node, place: &str, collector: &'c mut Collector) -> Option<Self> {
        let what = if place.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{place}`")
        };
        let message = format!("{what} must be a map of keys and values");
        Some(Self {
            place: place.to_owned(),
            node,
            entries: entries(node, message, None, collector)?,
            known: Vec::new(),
            collector,
        })
    }

    /// The value of `name`, if it is set and not null.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'a Node> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        (!node.is_null()).then_some(node)
    }

    /// Reads the value of `name`, if it is set.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&'a Node, &str, &mut Collector) -> Option<T>,
    ) -> Option<T> {
        let node = self.take(name)?;
        read(node, &self.path(name), self.collector)
    }

    /// Replaces the default in `target` by the value of `name`, if it is set.
    pub(super) fn update<T>(
        &mut self,
        name: &'static str,
        target: &mut T,
        read: impl FnOnce(&'a Node, &str, &mut Collector) -> Option<T>,
    ) {
        if let Some(value) = self.read(name, read) {
            *target = value;
        }
    }

    /// Reads the value of `name`; adds a problem if it is missing.
    pub(super) fn require<T>(
        &mut self,
        name: &'static str,
        example: &str,
        read: impl FnOnce(&'a Node, &str, &mut Collector) -> Option<T>,
    ) -> Option<T> {
        if self.take(name).is_none() {
            let message = format!("`{}` is missing", self.path(name));
            let hint = format!("add `{name}: {example}`");
            self.collector
                .push_with_hint(Code::MissingKey, &self.node.span, message, hint);
        }
        self.read(name, read)
    }

    /// Full name of a key.
    fn path(&self, name: &str) -> String {
        if self.place.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.place)
        }
    }

    /// Adds a problem for every unknown key.
    pub(super) fn finish(self) {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let message = format!("unknown key `{}`", self.path(&key.name));
            match nearest(&key.name, self.known.iter().copied()) {
                Some(known) => {
                    let hint = format!("the nearest known key is `{known}`");
                    self.collector
                        .push_with_hint(Code::UnknownKey, &key.span, message, hint);
                }
                None => self.collector.push(Code::UnknownKey, &key.span, message),
            }
        }
    }
}

/// The entries of a map, with a problem for every repeated key. `message` and `hint` are for a value that is not a map.
pub(super) fn entries<'a>(
    node: &'a Node,
    message: impl Into<String>,
    hint: Option<&str>,
    collector: &mut Collector,
) -> Option<&'a [(Key, Node)]> {
    let Value::Mapping(entries) = &node.value else {
        return match hint {
            Some(hint) => collector.invalid_with_hint(node, message, hint),
            None => collector.invalid(node, message),
        };
    };
    report_duplicates(entries, collector);
    Some(entries)
}

pub(super) fn report_duplicates(entries: &[(Key, Node)], collector: &mut Collector) {
    let mut seen = HashSet::new();
    for (key, _) in entries {
        if !seen.insert(key.name.as_str()) {
            let message = format!("`{}` is given twice", key.name);
            collector.push_with_hint(Code::DuplicateKey, &key.span, message, "keep one of them");
        }
    }
}

/// The text of a scalar.
pub(super) fn scalar<'a>(node: &'a Node, what: &str, collector: &mut Collector) -> Option<&'a str> {
    let found = match &node.value {
        Value::Scalar { text, .. } => return Some(text),
        Value::Sequence(_) => "list",
        Value::Mapping(_) => "map",
    };
    collector.invalid(node, format!("`{what}` must be one value, not a {found}"))
}

/// A non-empty text.
pub(super) fn text(node: &Node, what: &str, collector: &mut Collector) -> Option<String> {
    let text = scalar(node, what, collector)?;
    if text.trim().is_empty() {
        return collector.invalid(node, format!("`{what}` is empty"));
    }
    Some(text.to_owned())
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, what: &str, collector: &mut Collector) -> Option<bool> {
    let written = scalar(node, what, collector)?;
    node.truth().or_else(|| {
        let message = format!("`{what}` must be `true` or `false`, not `{written}`");
        collector.invalid(node, message)
    })
}

/// The value that belongs to one of the names, which are at least two.
pub(super) fn one_of<T: Copy>(
    named: &[(&str, T)],
) -> impl Fn(&Node, &str, &mut Collector) -> Option<T> {
    move |node, what, collector| {
        let written = scalar(node, what, collector)?;
        let found = named.iter().find(|(name, _)| *name == written);
        if let Some((_, value)) = found {
            return Some(*value);
        }
        let names: Vec<String> = named.iter().map(|(name, _)| format!("`{name}`")).collect();
        let (last, first) = names.split_last()?;
        let first = first.join(", ");
        collector.invalid(
            node,
            format!("`{what}` must be {first} or {last}, not `{written}`"),
        )
    }
}

/// A number within `range`. YAML's `.nan` and `.inf` are refused.
pub(super) fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&Node, &str, &mut Collector) -> Option<T>
where
    T: FromStr + PartialOrd + Display,
{
    move |node, what, collector| {
        let written = scalar(node, what, collector)?;
        if let Value::Scalar { quoted: true, .. } = node.value {
            let message = format!("`{what}` must be a number, not a text");
            return collector.invalid_with_hint(node, message, "remove the quotes");
        }
        // YAML 1.1 allows grouped digits; `parse` alone would also accept `inf` and `nan`.
        let digits = written.replace('_', "");
        let looks_numeric = digits
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && !digits.starts_with(".n")
            && !digits.starts_with(".i");
        let message = match digits.parse::<T>() {
            Ok(value) if looks_numeric && range.contains(&value) => return Some(value),
            Ok(_) if looks_numeric => format!(
                "`{what}` is {written}; it must be between {} and {}",
                range.start(),
                range.end()
            ),
            Ok(_) | Err(_) => {
                let is_float = std::any::type_name::<T>().starts_with('f');
                let kind = if is_float { "finite" } else { "whole" };
                format!("`{what}` must be a {kind} number, not `{written}`")
            }
        };
        collector.invalid(node, message)
    }
}

fn with_unit<T>(
    node: &Node,
    what: &str,
    parse: impl Fn(&str) -> Result<T, UnitError>,
    collector: &mut Collector,
) -> Option<T> {
    match parse(scalar(node, what, collector)?) {
        Ok(value) => Some(value),
        Err(UnitError { message, hint }) => {
            collector.invalid_with_hint(node, format!("`{what}`: {message}"), hint)
        }
    }
}

/// A duration above zero.
pub(super) fn duration(node: &Node, what: &str, collector: &mut Collector) -> Option<Duration> {
    let duration = with_unit(node, what, unit::duration, collector)?;
    if duration.is_zero() {
        return collector.invalid(node, format!("`{what}` must be above zero"));
    }
    Some(duration)
}

/// A size in bytes above zero.
pub(super) fn bytes(node: &Node, what: &str, collector: &mut Collector) -> Option<u64> {
    let bytes = with_unit(node, what, unit::bytes, collector)?;
    if bytes == 0 {
        return collector.invalid(node, format!("`{what}` must be above zero"));
    }
    Some(bytes)
}

/// A budget above zero.
pub(super) fn budget(node: &Node, what: &str, collector: &mut Collector) -> Option<Budget> {
    with_unit(node, what, unit::budget, collector)
}

/// A percentage as a ratio within `range`.
pub(super) fn percentage(
    range: RangeInclusive<f64>,
) -> impl Fn(&Node, &str, &mut Collector) -> Option<f64> {
    move |node, what, collector| {
        let ratio = with_unit(node, what, unit::percentage, collector)?;
        if range.contains(&ratio) {
            return Some(ratio);
        }
        let (low, high) = (range.start() * 100.0, range.end() * 100.0);
        let written = scalar(node, what, collector)?;
        collector.invalid(
            node,
            format!("`{what}` is {written}; it must be between {low}% and {high}%"),
        )
    }
}

/// A list of texts.
pub(super) fn texts(node: &Node, what: &str, collector: &mut Collector) -> Option<Vec<String>> {
    let Value::Sequence(items) = &node.value else {
        let message = format!("`{what}` must be a list");
        return collector.invalid_with_hint(node, message, "write `[first, second]`");
    };
    let read = items.iter().map(|item| {
        if item.is_null() {
            return collector.invalid(item, format!("`{what}` has an empty entry"));
        }
        scalar(item, what, collector).map(str::to_owned)
    });
    read.collect()
}
