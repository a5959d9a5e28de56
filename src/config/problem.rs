//! All problems of a file, shown together with the lines that they concern.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::node::Node;
pub use crate::code::Code;
use crate::policy::rule::Place;

/// Maximum number of shown problems: a file of another kind can have a problem in every line.
const MAX_SHOWN: usize = 100;

/// Longest message in characters; a longer value would fill the screen.
const MAX_MESSAGE: usize = 400;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Code of the problem.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Byte range in the text.
    pub span: Range<usize>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
}

/// All problems of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file's name as given.
    pub file: String,
    /// Its text, with stars in place of possible secrets.
    pub source: String,
    /// In the order of the text.
    pub problems: Vec<ConfigProblem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        writeln!(
            f,
            "`{}` has {}",
            self.file,
            crate::text::count::count(count, "problem")
        )?;
        let shown = &self.problems[..count.min(MAX_SHOWN)];
        let renderer = Renderer::plain().decor_style(DecorStyle::Ascii);
        for problem in shown {
            let snippet = Snippet::source(&self.source)
                .path(&self.file)
                .annotation(AnnotationKind::Primary.span(problem.span.clone()));
            let title = Level::ERROR
                .primary_title(&problem.message)
                .id(problem.code.name());
            let group = Group::with_title(title).element(snippet);
            let group = match &problem.hint {
                Some(hint) => group.element(Level::HELP.message(hint)),
                None => group,
            };
            write!(f, "\n{}\n", renderer.render(&[group]))?;
        }
        if count > shown.len() {
            writeln!(f, "\nand {} more", count - shown.len())?;
        }
        Ok(())
    }
}

/// Gathers problems while a file is read.
#[derive(Debug)]
pub(super) struct Collector {
    file: String,
    source: String,
    /// Where the lines begin.
    lines: Vec<usize>,
    problems: Vec<ConfigProblem>,
    secrets: Vec<Range<usize>>,
}

impl Collector {
    /// `file` is the name in messages.
    pub(super) fn new(file: &str, source: &str) -> Self {
        let after = source.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_owned(),
            lines: std::iter::once(0).chain(after).collect(),
            source: source.to_owned(),
            problems: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// The place of a byte.
    pub(super) fn place(&self, byte: usize) -> Place {
        let line = self.lines.partition_point(|begin| *begin <= byte);
        Place {
            file: self.file.clone(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }

    /// Problems so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Masks `span` in every problem that shows its line.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    /// Adds a problem.
    pub(super) fn push(&mut self, code: Code, span: &Range<usize>, message: impl Into<String>) {
        self.add(code, span, message.into(), None);
    }

    /// Adds a problem with advice.
    pub(super) fn push_with_hint(
        &mut self,
        code: Code,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(code, span, message.into(), Some(one_line(hint.into())));
    }

    /// Adds the problem of a value that cannot be used. Returns `None` in its place.
    pub(super) fn invalid<T>(&mut self, node: &Node, message: impl Into<String>) -> Option<T> {
        self.push(Code::InvalidValue, &node.span, message);
        None
    }

    /// The same with advice.
    pub(super) fn invalid_with_hint<T>(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Option<T> {
        self.push_with_hint(Code::InvalidValue, &node.span, message, hint);
        None
    }

    /// Adds the problem of a value that another one contradicts.
    pub(super) fn contradiction(
        &mut self,
        node: &Node,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push_with_hint(Code::Contradiction, &node.span, message, hint);
    }

    fn add(&mut self, code: Code, span: &Range<usize>, message: String, hint: Option<String>) {
        self.problems.push(ConfigProblem {
            code,
            message: one_line(message),
            hint,
            // Set in `locate`, in one pass over the text for all problems.
            line: 1,
            column: 1,
            span: self.within(span),
        });
    }

    /// The span, limited to the text and to whole characters.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.source.floor_char_boundary(span.start);
        start..self.source.floor_char_boundary(span.end).max(start)
    }

    /// The value, or all problems in the order of the text.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        if self.problems.is_empty() {
            if let Some(value) = value {
                return Ok(value);
            }
            self.push(Code::Syntax, &(0..0), "the file could not be read");
        }
        self.problems.sort_by_key(|problem| problem.span.start);
        self.locate();
        Err(Problems {
            source: self.masked_source(),
            file: self.file,
            problems: self.problems,
        })
    }

    /// Sets line and column of the problems, which are sorted by position.
    fn locate(&mut self) {
        let (mut line, mut column, mut passed) = (1, 1, 0);
        for problem in &mut self.problems {
            for character in self.source[passed..problem.span.start].chars() {
                column += 1;
                if character == '\n' {
                    (line, column) = (line + 1, 1);
                }
            }
            passed = problem.span.start;
            (problem.line, problem.column) = (line, column);
        }
    }

    /// The text with one star for each byte of a secret, so that positions stay the same.
    fn masked_source(&self) -> String {
        let mut masked = self.source.clone().into_bytes();
        for span in &self.secrets {
            for byte in &mut masked[self.within(span)] {
                if !matches!(byte, b'\n' | b'\r') {
                    *byte = b'*';
                }
            }
        }
        String::from_utf8_lossy(&masked).into_owned()
    }
}

/// A message on one line: a line break in a value could otherwise start a CI workflow command.
fn one_line(text: String) -> String {
    let length = text.chars().take(MAX_MESSAGE + 1).count();
    if length <= MAX_MESSAGE && !text.contains(char::is_control) {
        return text;
    }
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE)
        .collect();
    if length > MAX_MESSAGE {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;

    #[test]
    fn a_value_never_begins_a_new_line() {
        let source = "model: m\nendpoint: \"x\\n::warning::y\\e[31m\"\n\"k\\n::error::z\": 1\n";
        let shown = read_plan("perfgate.yaml", source).unwrap_err().to_string();
        assert!(
            shown
                .lines()
                .all(|line| !line.trim_start().starts_with("::")),
            "{shown}"
        );
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn a_huge_value_does_not_fill_the_screen() {
        let source = format!("model: m\nendpoint: {}", "x".repeat(1_000_000));
        let shown = read_plan("perfgate.yaml", &source).unwrap_err().to_string();
        assert!(shown.len() < 2_000, "{}", shown.len());
    }

    #[test]
    fn all_problems_are_kept_and_the_first_hundred_shown() {
        let keys: String = (0..20_000).map(|key| format!("k{key}: 1\n")).collect();
        let problems = read_plan("perfgate.yaml", &format!("model: m\n{keys}")).unwrap_err();
        assert_eq!(problems.problems.len(), 20_000);
        assert_eq!(problems.problems[19_999].line, 20_001);
        assert!(problems.to_string().ends_with("\nand 19900 more\n"));
    }

    #[test]
    fn positions_count_characters_with_any_line_ends() {
        for source in [
            "model: m\r\nname: [ä, x]\r\nrepeat: ä\r\n",
            "\u{feff}model: m # ß\nname: [ä, x]\nrepeat: ä\n",
        ] {
            let problems = read_plan("perfgate.yaml", source).unwrap_err().problems;
            let places: Vec<(usize, usize)> = problems
                .iter()
                .map(|problem| (problem.line, problem.column))
                .collect();
            assert_eq!(places, [(2, 7), (3, 9)], "{source:?}");
        }
    }
}
