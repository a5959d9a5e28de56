//! What a step of GitHub Actions can say: summary, outputs, annotations.

use std::path::Path;

use super::cut;
use crate::files::{self, FileError};
use crate::render::inert;

/// The file of a step's summary is refused as a whole above this.
const LARGEST_SUMMARY: u64 = 1 << 20;

/// Room for the line ends around what is written.
const MARGIN: u64 = 16;

/// Appends to the step's summary (`$GITHUB_STEP_SUMMARY`), cut at the end of a line where the file would become too large
/// with it: what other commands of the step wrote counts too. Returns whether there was room for anything.
pub fn write_step_summary(path: &Path, markdown: &str) -> Result<bool, FileError> {
    let there = files::size_if_there(path)?.unwrap_or(0);
    let room = LARGEST_SUMMARY.saturating_sub(there.saturating_add(MARGIN));
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let kept = cut::to(markdown, room, cut::bytes);
    if kept.is_empty() {
        return Ok(markdown.is_empty());
    }
    files::append(path, &format!("{kept}\n")).map(|()| true)
}

/// Appends outputs of the step (`$GITHUB_OUTPUT`), each on one line: a value with line breaks could add outputs.
pub fn write_outputs(path: &Path, outputs: &[(&str, String)]) -> Result<(), FileError> {
    let lines: String = outputs
        .iter()
        .map(|(name, value)| format!("{name}={}\n", inert::long_line(value)))
        .collect();
    files::append(path, &lines)
}

/// How loud an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something that stops the merge.
    Error,
    /// Something to look at.
    Warning,
    /// Something to know.
    Notice,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A workflow command that marks a line of a file of the repository, `::error file=thresholds.yaml,line=3,title=…::…`.
/// The message may have several lines.
pub fn annotation(level: Level, file: &str, line: u32, title: &str, message: &str) -> String {
    format!(
        "::{} file={},line={line},title={}::{}",
        level.name(),
        property(file),
        property(title),
        data(message)
    )
}

/// The same of no line, `::error title=perfgate::…`.
pub fn remark(level: Level, title: &str, message: &str) -> String {
    format!(
        "::{} title={}::{}",
        level.name(),
        property(title),
        data(message)
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_stay_on_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        write_outputs(
            &path,
            &[
                ("verdict", "block".to_owned()),
                ("headline", "a\nexit-code=0".to_owned()),
            ],
        )
        .unwrap();
        assert_eq!(
            files::read_text(&path).unwrap(),
            "verdict=block\nheadline=a exit-code=0\n"
        );
    }

    #[test]
    fn what_a_step_wrote_before_counts_towards_the_limit_of_its_summary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        let size = || std::fs::metadata(&path).unwrap().len();
        let long = "a line\n".repeat(100_000);
        assert!(write_step_summary(&path, &long).unwrap());
        assert!(write_step_summary(&path, &long).unwrap());
        let text = files::read_text(&path).unwrap();
        assert!(text.ends_with("a line\n\nThe rest is in the report.\n\n"));
        assert!(
            size() <= LARGEST_SUMMARY && size() > LARGEST_SUMMARY - 100,
            "{}",
            size()
        );
        assert!(!write_step_summary(&path, &long).unwrap());
        assert!(size() <= LARGEST_SUMMARY);
    }

    #[test]
    fn an_annotation_stands_on_its_line_whatever_its_texts_say() {
        assert_eq!(
            annotation(
                Level::Warning,
                "perf/a,line=1.yaml",
                7,
                "TPOT: P95",
                "100 %\nslower"
            ),
            "::warning file=perf/a%2Cline=1.yaml,line=7,title=TPOT%3A P95::100 %25%0Aslower"
        );
    }

    #[test]
    fn a_message_cannot_begin_another_command() {
        assert_eq!(
            remark(Level::Error, "a:b", "x\n::set-env::y"),
            "::error title=a%3Ab::x%0A::set-env::y"
        );
    }
}
