//! The guarded writers: whatever perfgate says on stdout or stderr passes through here, and nothing else writes there.
//!
//! Text from outside (a model, a file, a server's last words) can neither steer a terminal nor give a command to the runner
//! of GitHub Actions ([`crate::text::guard`]), and shows no secret ([`crate::secret`]). Perfgate's own commands leave by
//! [`fn@command`], which takes nothing but a [`WorkflowCommand`].

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

/// The bars on stderr. One for the process: each line that is written there removes them first and puts them back.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// What is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Text for people or for other programs, without colours.
    Text,
    /// Text with perfgate's own colours, in which foreign words have been cleaned.
    Coloured,
    /// JSON, which stays the same value.
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

/// Writes to stdout, ended by a line feed.
pub fn print(output: Output, text: &str) -> io::Result<()> {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let mut stdout = io::stdout().lock();
    let written = write!(stdout, "{}{newline}", output.guarded(text)).and_then(|()| stdout.flush());
    match written {
        // A reader that has seen enough (`| head`) is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line of its own on stderr, above the bars. A line that cannot be written does not stop the program.
pub fn note(text: &str) {
    to_stderr(&(Output::Text.guarded(text) + "\n"));
}

/// The same with perfgate's own colours.
pub fn coloured_note(text: &str) {
    to_stderr(&(Output::Coloured.guarded(text) + "\n"));
}

/// A workflow command on stderr; its texts cannot begin another one.
pub fn command(command: &WorkflowCommand) {
    to_stderr(&(secret::masked(&command.to_string()) + "\n"));
}

fn to_stderr(text: &str) {
    let _shown = BARS.suspend(|| io::stderr().lock().write_all(text.as_bytes()));
}

/// Adds a bar to those on stderr.
pub fn add_bar(bar: ProgressBar, message: &str) -> ProgressBar {
    let bar = BARS.add(bar);
    bar.set_message(Output::Text.guarded(message).replace('\n', " "));
    bar
}

/// Panics go through the same writer, whatever their message quotes.
pub fn guard_panics() {
    std::panic::set_hook(Box::new(|panic| {
        note(&format!("{panic}"));
        note("this is a bug in perfgate; please report it with the lines above");
    }));
}

/// Where log lines go: one call a line, as `tracing_subscriber` makes them.
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
