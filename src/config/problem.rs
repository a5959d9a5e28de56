//! What is wrong with a file, shown all at once with the lines that it concerns.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// What kind of problem it is; its text is a stable name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No YAML, or more of YAML than is read here.
    Syntax,
    /// A key that the format does not have.
    UnknownKey,
    /// A key that stands twice.
    DuplicateKey,
    /// Something required is not there.
    MissingKey,
    /// A value of another type, without its unit, or out of range.
    InvalidValue,
    /// A metric that is not in the catalogue.
    UnknownMetric,
    /// Two settings that cannot both hold.
    Contradiction,
}

impl Code {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::DuplicateKey => "duplicate-key",
            Self::MissingKey => "missing-key",
            Self::InvalidValue => "invalid-value",
            Self::UnknownMetric => "unknown-metric",
            Self::Contradiction => "contradiction",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// Where, as an editor counts: line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file's name as given.
    pub file: String,
    /// Its text.
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
            "`{}` has {count} problem{}",
            self.file,
            if count == 1 { "" } else { "s" }
        )?;
        let renderer = Renderer::plain().decor_style(DecorStyle::Ascii);
        for problem in &self.problems {
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
        Ok(())
    }
}

/// Gathers problems while a file is read.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    source: &'a str,
    problems: Vec<ConfigProblem>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self {
            source,
            problems: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, code: Code, span: Range<usize>, message: String) {
        self.add(code, span, message, None);
    }

    pub(super) fn push_with_hint(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: String,
        hint: impl Into<String>,
    ) {
        self.add(code, span, message, Some(hint.into()));
    }

    fn add(&mut self, code: Code, span: Range<usize>, message: String, hint: Option<String>) {
        let span = self.within(span);
        let before = &self.source[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        self.problems.push(ConfigProblem {
            code,
            message,
            hint,
            span,
            line,
            column,
        });
    }

    /// The span cut to whole characters of the text, whatever a parser counted.
    fn within(&self, span: Range<usize>) -> Range<usize> {
        let floor = |mut at: usize| {
            at = at.min(self.source.len());
            while !self.source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        start..floor(span.end).max(start)
    }

    /// The value, or all problems in the order of the text.
    pub(super) fn finish<T>(mut self, file: &str, value: Option<T>) -> Result<T, Problems> {
        self.problems.sort_by_key(|problem| problem.span.start);
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            Some(_) | None => {
                if self.problems.is_empty() {
                    self.push(Code::Syntax, 0..0, "the file could not be read".to_owned());
                }
                Err(Problems {
                    file: file.to_owned(),
                    source: self.source.to_owned(),
                    problems: self.problems,
                })
            }
        }
    }
}
