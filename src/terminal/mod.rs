//! The guarded writers: the only code that writes to stdout and stderr.
//!
//! Untrusted text (of a model, a file, a server's log) can neither control the terminal nor issue workflow commands
//! ([`crate::text::guard`]), and contains no secrets ([`crate::secret`]). Workflow commands of perfgate use
//! [`fn@command`], which accepts only a [`WorkflowCommand`].

mod command;
pub(crate) mod progress;
pub(crate) mod screen;
mod wording;

use std::io::{self, Write as _};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar};

pub use command::{Level, WorkflowCommand};
pub use screen::Color;

use crate::secret;
use crate::text::guard;

/// The progress bars on stderr, one set per process: each written line removes them first and redraws them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Kind of output on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Plain text without colours.
    Text,
    /// Text with perfgate's colours, in which untrusted text is sanitised.
    Coloured,
    /// JSON; its value stays the same.
    Json,
}

impl Output {
    fn guarded(self, text: &str) -> String {
        match self {
            Self::Text => secret::masked(&guard::text(text)),
            Self::Coloured => secret::masked(&guard::coloured(text)),
            Self::Json => secret::masked_json(&guard::json(text)),
        }
    }
}

/// Writes to stdout and ends with a line feed.
pub fn print(output: Output, text: &str) -> io::Result<()> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = io::stdout().lock();
    let written = write!(stdout, "{}{newline}", output.guarded(text)).and_then(|()| stdout.flush());
    match written {
        // A closed pipe (`| head`) is not a failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to stderr, above the bars. A write error does not stop the program.
pub fn note(text: &str) {
    to_stderr(&(Output::Text.guarded(text) + "\n"));
}

/// A note with perfgate's colours.
pub fn coloured_note(text: &str) {
    to_stderr(&(Output::Coloured.guarded(text) + "\n"));
}

/// Writes a workflow command to stderr; its texts cannot begin another one.
pub fn command(command: &WorkflowCommand) {
    to_stderr(&(secret::masked(&command.to_string()) + "\n"));
}

fn to_stderr(text: &str) {
    let _shown = BARS.suspend(|| io::stderr().lock().write_all(text.as_bytes()));
}

/// Adds a progress bar on stderr.
pub fn add_bar(bar: ProgressBar, message: &str) -> ProgressBar {
    let bar = BARS.add(bar);
    bar.set_message(Output::Text.guarded(message).replace('\n', " "));
    bar
}

/// Panic messages use the same writer, because they may quote untrusted text.
pub fn guard_panics() {
    std::panic::set_hook(Box::new(|panic| {
        note(&format!("{panic}"));
        note("this is a bug in perfgate; please report it with the lines above");
    }));
}

/// Writer of log lines: one call per line, from `tracing_subscriber`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        to_stderr(&Output::Coloured.guarded(&String::from_utf8_lossy(line)));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
