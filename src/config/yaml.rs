//! Parses YAML into a tree with positions.
//!
//! Deserializing into structs stops at the first problem. perfgate reports all problems at once, so it reads the events
//! of the parser beneath `serde-saphyr` and checks the tree. Duplicate keys are kept: a second rule for a metric must be
//! an error and not silently replace the first.

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use super::node::{Key, Node, Value};
use super::problem::{Code, Collector};
use super::secret;

/// Maximum depth: deeper than any valid file, shallow enough for the stack.
const MAX_DEPTH: usize = 32;

/// The tree of the one document in `text`. `None` after a syntax problem, which goes into `collector`. `first` is an
/// example of a first line.
pub(super) fn parse(text: &str, first: &str, collector: &mut Collector) -> Option<Node> {
    let root = read_tree(text, first, collector);
    let secrets = match &root {
        Some(root) => secret::in_tree(root, text),
        None => secret::in_text(text),
    };
    for span in secrets {
        collector.hide(span);
    }
    root
}

fn read_tree(text: &str, first: &str, collector: &mut Collector) -> Option<Node> {
    let mut builder = Builder::default();
    for item in Parser::new_from_str(text) {
        match item {
            Ok((event, span)) => {
                let bytes = span.byte_range().unwrap_or_else(|| {
                    offset(text, span.start.index())..offset(text, span.end.index())
                });
                let bytes = bytes.start..bytes.end.max(bytes.start);
                if let Err(message) = builder.event(event, bytes.clone()) {
                    collector.push(Code::Syntax, &bytes, message);
                    return None;
                }
            }
            Err(error) => {
                let at = offset(text, error.marker().index());
                syntax_problem(text, at, error.info(), collector);
                return None;
            }
        }
    }
    if builder.root.is_none() {
        let hint = format!("begin with `{first}`");
        collector.push_with_hint(Code::Syntax, &(0..0), "the file is empty", hint);
    }
    builder.root
}

/// The parser's problem at `at`. It reports a tab at the end of the value before, which may be a line above.
fn syntax_problem(text: &str, at: usize, message: String, collector: &mut Collector) {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let mut start = line_start;
    for line in text[line_start..].split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indentation].find('\t')
            && message.contains("tab")
        {
            let span = start + tab..start + indentation;
            let message = "this line is indented with a tab";
            collector.push_with_hint(Code::Syntax, &span, message, "indent with spaces");
            return;
        }
        start += line.len();
    }
    collector.push(Code::Syntax, &(at..at), message);
}

/// The byte at which character `index` of `text` begins.
fn offset(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(byte, _)| byte)
}

/// A collection that is not closed yet.
enum Open {
    Sequence(Vec<Node>, usize),
    Mapping {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        start: usize,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

impl Builder {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum may gain presentation events"
    )]
    fn event(&mut self, event: Event<'_>, span: Range<usize>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(
                        "a second document begins here; a file can contain only one".to_owned()
                    );
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                check_plain(anchor, tag.is_some())?;
                let text = text.into_owned();
                let quoted = style != ScalarStyle::Plain;
                let value = Value::Scalar { text, quoted };
                self.add(Node { value, span })
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_plain(anchor, tag.is_some())?;
                self.push(Open::Sequence(Vec::new(), span.start))
            }
            Event::MappingStart(_, anchor, tag) => {
                check_plain(anchor, tag.is_some())?;
                self.push(Open::Mapping {
                    entries: Vec::new(),
                    key: None,
                    start: span.start,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, start) = match self.open.pop() {
                    Some(Open::Sequence(items, start)) => (Value::Sequence(items), start),
                    Some(Open::Mapping { entries, start, .. }) => (Value::Mapping(entries), start),
                    None => return Ok(()),
                };
                let span = start..start;
                self.add(Node { value, span })
            }
            // An alias can expand a small file into a huge one, and a reviewer of this line does not see a rule
            // that is defined elsewhere.
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                Err("aliases (`*name`) are not supported; write the value itself".to_owned())
            }
            // Starts, ends and comments contain no data.
            _ => Ok(()),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(open);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<(), String> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence(items, _)) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => match node.value {
                    Value::Scalar { text: name, .. } => {
                        let span = node.span;
                        *key = Some(Key { name, span });
                    }
                    Value::Sequence(_) | Value::Mapping(_) => {
                        return Err("a key must be plain text".to_owned());
                    }
                },
            },
        }
        Ok(())
    }
}

/// Refuses anchors and tags. A tag changes a value (`!!str 5`, `!env NAME`); to ignore it would silently change the
/// meaning.
fn check_plain(anchor: usize, has_tag: bool) -> Result<(), String> {
    let found = match (anchor, has_tag) {
        (0, false) => return Ok(()),
        (0, true) => "tags (`!name`)",
        (_, _) => "anchors (`&name`)",
    };
    Err(format!("{found} are not supported; write the value itself"))
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;

    fn shown(source: &str) -> String {
        read_plan("perfgate.yaml", source).unwrap_err().to_string()
    }

    #[test]
    fn a_tab_is_shown_on_the_line_that_has_it() {
        insta::assert_snapshot!(shown("model: m\n\tname: x\n"), @r"
        `perfgate.yaml` has 1 problem

        error[syntax]: this line is indented with a tab
         --> perfgate.yaml:2:1
          |
        2 |     name: x
          | ^^^^
          |
          = help: indent with spaces
        ");
        insta::assert_snapshot!(shown("model: m\nserver:\n\turl: x\n"), @r"
        `perfgate.yaml` has 1 problem

        error[syntax]: this line is indented with a tab
         --> perfgate.yaml:3:1
          |
        3 |     url: x
          | ^^^^
          |
          = help: indent with spaces
        ");
    }

    #[test]
    fn a_tag_is_refused_because_it_would_change_the_value() {
        insta::assert_snapshot!(shown("model: !env MODEL\n"), @r"
        `perfgate.yaml` has 1 problem

        error[syntax]: tags (`!name`) are not supported; write the value itself
         --> perfgate.yaml:1:13
          |
        1 | model: !env MODEL
          |             ^^^^^
        ");
        assert!(shown("model: m\nconcurrency: !!seq [1]\n").contains("tags"));
    }
}
