//! Workflow commands for the runner of GitHub Actions.

use std::fmt;

use crate::text::guard;

/// Level of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Blocks the merge.
    Error,
    /// A warning.
    Warning,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// An annotation, `::error file=thresholds.yaml,line=3,title=…::…`. Its texts are untrusted: in the output they are one
/// line that cannot form another command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowCommand {
    level: Level,
    place: Option<(String, u32)>,
    title: String,
    message: String,
}

impl WorkflowCommand {
    /// Marks a line of a file of the repository. The message may have several lines.
    pub fn annotation(level: Level, file: &str, line: u32, title: &str, message: &str) -> Self {
        Self {
            place: Some((file.to_owned(), line)),
            ..Self::remark(level, title, message)
        }
    }

    /// An annotation without a line.
    pub fn remark(level: Level, title: &str, message: &str) -> Self {
        Self {
            level,
            place: None,
            title: title.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl fmt::Display for WorkflowCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "::{} ", self.level.name())?;
        if let Some((file, line)) = &self.place {
            write!(f, "file={},line={line},", property(file))?;
        }
        write!(
            f,
            "title={}::{}",
            property(&self.title),
            data(&self.message)
        )
    }
}

fn data(text: &str) -> String {
    guard::text(text).replace('%', "%25").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_for_any_text() {
        let command = WorkflowCommand::annotation(
            Level::Warning,
            "perf/a,line=1.yaml",
            7,
            "TPOT: P95",
            "100 %\nslower",
        );
        assert_eq!(
            command.to_string(),
            "::warning file=perf/a%2Cline=1.yaml,line=7,title=TPOT%3A P95::100 %25%0Aslower"
        );
    }

    #[test]
    fn a_message_cannot_begin_another_command() {
        let command =
            WorkflowCommand::remark(Level::Error, "a:b", "x\r\n::set-env::y ##[z]\u{1b}[2J");
        assert_eq!(
            command.to_string(),
            "::error title=a%3Ab::x%0A: :set-env::y ## [z]"
        );
    }
}
