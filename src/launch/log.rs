//! The output of the server under test: sanitized, written to a file, with its last lines in memory for an error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LaunchError, redact};
use crate::files;

/// Lines in memory. A Python traceback through two processes has about 120, each of 8 workers prints 60 more, and the
/// first failure is printed first.
const LINES_IN_MEMORY: usize = 2000;

/// Lines of the beginning: with a progress bar per shard and a traceback or two, vLLM prints a few hundred before it is
/// ready.
const FIRST_LINES: usize = 4000;

/// A longer line is cut; vLLM prints its whole configuration in one line of about 4 KiB.
const LONGEST_LINE: usize = 16 << 10;

/// Lines shown in an error.
const LINES_SHOWN: usize = 20;

/// The log of one server. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ServerLog {
    state: Arc<Mutex<LogState>>,
}

#[derive(Debug, Default)]
struct LogState {
    first: Vec<String>,
    lines: VecDeque<String>,
    file: Option<File>,
}

impl ServerLog {
    /// A log in memory and, if given, in `file`, which is truncated and whose folder is created if missing.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, LaunchError> {
        let file = file.map(open_file).transpose()?;
        let state = LogState {
            file,
            ..LogState::default()
        };
        Ok(Self {
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// Takes one line.
    pub(super) fn push(&self, line: &[u8]) {
        let line = redact::clean(&String::from_utf8_lossy(line));
        let mut state = self.lock();
        if let Some(file) = &mut state.file {
            // The lines in memory stay; a full disk must not end a measurement.
            if let Err(error) = writeln!(file, "{line}") {
                tracing::warn!("cannot write more of the server's log: {error}");
                state.file = None;
            }
        }
        if state.first.len() < FIRST_LINES {
            state.first.push(line.clone());
        }
        if state.lines.len() == LINES_IN_MEMORY {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// The last lines, at most 2000, oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    /// The first lines, at most 4000, oldest first.
    pub(super) fn first_lines(&self) -> Vec<String> {
        self.lock().first.clone()
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_file(path: &Path) -> Result<File, LaunchError> {
    if let Some(folder) = path.parent() {
        files::create_folder(folder)?;
    }
    File::options()
        .create(true)
        // The log of an earlier run would be read as this server's.
        .write(true)
        .truncate(true)
        .open(path)
        .map_err(|source| LaunchError::LogFile {
            path: path.to_owned(),
            source,
        })
}

/// The last lines as an error shows them. The prefix keeps a line of the server from being a workflow command (`::error::`).
pub(super) fn quoted(lines: &[String]) -> String {
    quoted_from("server", lines)
}

/// The same with another prefix.
pub(super) fn quoted_from(speaker: &str, lines: &[String]) -> String {
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
        text.push_str(&format!("\n{speaker}| "));
        text.push_str(line);
    }
    text
}

/// Cuts a stream of bytes into lines. A carriage return restarts the line, as on a terminal, so that only the last state of
/// a progress bar is left.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    line: Vec<u8>,
    returned: bool,
}

impl LineSplitter {
    /// Takes the next bytes and passes on each line that they complete.
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

    /// The last line, if it has no line feed.
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
    fn lines_are_whole_for_any_split_of_the_bytes() {
        assert_eq!(split(&["a", "b\nc\r", "\n\nd"]), ["ab", "c", "", "d"]);
    }

    #[test]
    fn only_the_last_state_of_a_progress_bar_is_left() {
        assert_eq!(split(&["load 1%\rload 50%\rload 100%\n"]), ["load 100%"]);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let long = "x".repeat(3 * LONGEST_LINE);
        assert_eq!(split(&[&long])[0].len(), LONGEST_LINE);
    }

    #[test]
    fn the_last_lines_are_in_memory_and_the_file_has_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/server.log");
        let log = ServerLog::open(Some(&path)).unwrap();
        for number in 0..LINES_IN_MEMORY + 5 {
            log.push(number.to_string().as_bytes());
        }
        assert_eq!(log.lines().len(), LINES_IN_MEMORY);
        assert_eq!(log.lines()[0], "5");
        assert_eq!(log.first_lines()[0], "0");
        let written = files::read_text(&path).unwrap();
        assert_eq!(written.lines().count(), LINES_IN_MEMORY + 5);
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
