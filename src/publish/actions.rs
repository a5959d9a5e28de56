//! Files of a GitHub Actions step: its summary and its outputs. Workflow commands are in `terminal`.

use std::path::Path;

use super::cut;
use crate::files::{self, FileError};
use crate::text::sanitize;

/// GitHub refuses a larger step summary as a whole.
const LARGEST_SUMMARY: u64 = 1 << 20;

/// Room for line ends around the text.
const MARGIN: u64 = 16;

/// Appends to the step's summary (`$GITHUB_STEP_SUMMARY`), truncated at a line end if the file would become too large. Text
/// of other commands of the step counts too. Returns whether any text fitted.
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

/// Appends outputs of the step (`$GITHUB_OUTPUT`), each on one line: a line break in a value could add outputs.
pub fn write_outputs(path: &Path, outputs: &[(&str, String)]) -> Result<(), FileError> {
    let lines: String = outputs
        .iter()
        .map(|(name, value)| format!("{name}={}\n", sanitize::long_line(value)))
        .collect();
    files::append(path, &lines)
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
    fn earlier_text_of_a_step_counts_towards_the_limit_of_its_summary() {
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
}
