//! The output of the server under test: cleaned, kept in a file, and its last lines at hand for an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LaunchError, redact};
use crate::files;

/// Lines at hand. A Python traceback through two processes has about 120, each of 8 workers prints 60 more, and what failed
/// first is printed first.
const LINES_KEPT: usize = 2000;

/// Lines of the beginning: with a progress bar for every shard and a traceback or two, vLLM prints some hundred before it is
/// ready.
const FIRST_LINES: usize = 4000;

/// A longer line is cut; vLLM prints its whole configuration in one line of about 4 KiB.
const LONGEST_LINE: usize = 16 << 10;

/// Lines shown in an error.
const LINES_SHOWN: usize = 20;

/// The log of one server. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ServerLog {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    first: Vec<String>,
    lines: VecDeque<String>,
    file: Option<File>,
}

impl ServerLog {
    /// A log kept in memory and, where asked for, in `file`, which begins anew and whose folder is made where it is missing.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, LaunchError> {
        let file = file.map(open_file).transpose()?;
        let kept = Kept {
            file,
            ..Kept::default()
        };
        Ok(Self {
            kept: Arc::new(Mutex::new(kept)),
        })
    }

    /// Takes one line.
    pub(super) fn push(&self, line: &[u8]) {
        let line = redact::clean(&String::from_utf8_lossy(line));
        let mut kept = self.lock();
        if let Some(file) = &mut kept.file {
            // The lines at hand stay; a full disk must not end a measurement.
            if let Err(error) = writeln!(file, "{line}") {
                tracing::warn!("the server's log is no longer written: {error}");
                kept.file = None;
            }
        }
        if kept.first.len() < FIRST_LINES {
            kept.first.push(line.clone());
        }
        if kept.lines.len() == LINES_KEPT {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line);
    }

    /// The last lines, at most 2000, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    /// The first lines, at most 4000, oldest first.
    pub(super) fn first_lines(&self) -> Vec<String> {
        self.lock().first.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_file(path: &Path) -> Result<File, LaunchError> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    File::options()
        .create(true)
        // That of an earlier run would be read as this server's.
        .write(true)
        .truncate(true)
        .open(path)
        .map_err(|source| LaunchError::LogFile {
            path: path.to_owned(),
            source,
        })
}

/// The last lines as an error shows them. With the prefix no line of the server can be a workflow command (`::error::`).
pub(super) fn quoted(lines: &[String]) -> String {
    quoted_from("server", lines)
}

/// The same of another speaker.
pub(super) fn quoted_from(speaker: &str, lines: &[String]) -> String {
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
        text.push_str(&format!("\n{speaker}| "));
        text.push_str(line);
    }
    text
}

/// Cuts a stream of bytes into lines. A carriage return starts the line anew, as on a terminal, so that of a progress
/// bar its last state is left.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    line: Vec<u8>,
    returned: bool,
}

impl LineSplitter {
    /// Takes the next bytes and hands over each line that they end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line_ended: impl FnMut(&[u8])) {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    line_ended(&self.line);
                    self.line.clear();
                    self.returned = false;
                }
                b'\r' => self.returned = true,
                _ => {
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                    }
                    if self.line.len() < LONGEST_LINE {
                        self.line.push(byte);
                    }
                }
            }
        }
    }

    /// The last line, if it was not ended by a line feed.
    pub(super) fn finish(self, line_ended: impl FnOnce(&[u8])) {
        if !self.line.is_empty() {
            line_ended(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        for piece in pieces {
            splitter.feed(piece.as_bytes(), |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
            });
        }
        splitter.finish(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        lines
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        assert_eq!(split(&["a", "b\nc\r", "\n\nd"]), ["ab", "c", "", "d"]);
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_left() {
        assert_eq!(split(&["load 1%\rload 50%\rload 100%\n"]), ["load 100%"]);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let long = "x".repeat(3 * LONGEST_LINE);
        assert_eq!(split(&[&long])[0].len(), LONGEST_LINE);
    }

    #[test]
    fn only_the_last_lines_are_at_hand_and_the_file_has_them_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/server.log");
        let log = ServerLog::open(Some(&path)).unwrap();
        for number in 0..LINES_KEPT + 5 {
            log.push(number.to_string().as_bytes());
        }
        assert_eq!(log.lines().len(), LINES_KEPT);
        assert_eq!(log.lines()[0], "5");
        assert_eq!(log.first_lines()[0], "0");
        let written = files::read_text(&path).unwrap();
        assert_eq!(written.lines().count(), LINES_KEPT + 5);
    }

    #[test]
    fn a_quoted_line_cannot_be_a_workflow_command() {
        let lines = ["::error::x".to_owned(), "plain".to_owned()];
        insta::assert_snapshot!(quoted(&lines), @r"
        server| ::error::x
        server| plain
        ");
    }
}
