//! Output of a command: stdout and the requested files.

use std::path::Path;

use super::Context;
use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files::{self, Destination};
use crate::inputs::result_file::{self, kept_in};
use crate::record::format::ResultFile;
use crate::render::page::TemplateError;
use crate::report::price::Price;
use crate::runner::repeat_context::RepeatContext;
use crate::terminal::progress::note;
use crate::terminal::{self, Output};
use crate::{record, secret};

/// A failure to fill a template of perfgate.
impl From<TemplateError> for Failure {
    fn from(error: TemplateError) -> Self {
        Self::new(ExitStatus::Bug, error)
    }
}

/// Prints data to stdout.
pub(super) fn print(output: Output, text: &str) -> Result<(), Failure> {
    terminal::print(output, text).map_err(|error| Failure::system("cannot write to stdout", error))
}

/// Writes a report to its path; output to the process's stdout or stderr passes the guarded writer.
pub(super) fn write(path: &Path, output: Output, text: &str) -> Result<(), Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout => print(output, text),
        Destination::Stderr => {
            note(text.trim_end());
            Ok(())
        }
        Destination::File(_) | Destination::Stream(_) => {
            let text = match output {
                Output::Json => secret::masked_json(text),
                Output::Text | Output::Coloured => secret::masked(text),
            };
            tracing::debug!("writes `{}`", path.display());
            files::write_atomically(path, text.as_bytes()).map_err(cannot_keep)
        }
    }
}

/// Measures with a result file that grows during the measurement, and delivers it to `path`.
pub(super) fn measured<T>(
    path: &Path,
    plan: &Plan,
    context: &Context,
    measure: impl AsyncFnOnce(RepeatContext<'_>) -> Result<(ResultFile, T), Failure>,
) -> Result<(ResultFile, T), Failure> {
    let grown = result_file::growing(path)?;
    let (result, other) = context
        .block_on(async |command| measure(RepeatContext::of_plan(plan, &grown, command)?).await)?;
    if path != grown {
        deliver(path, &result).map_err(|failure| failure.hint(kept_in(&grown)))?;
        // Removes only a folder without server logs.
        let _left = std::fs::remove_file(&grown);
        let _left = grown.parent().map(std::fs::remove_dir);
    }
    Ok((result, other))
}

/// Copies the finished result to its destination.
fn deliver(path: &Path, result: &ResultFile) -> Result<(), Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout | Destination::Stderr => {
            write(path, Output::Json, &serde_json::to_string_pretty(result)?)
        }
        Destination::File(_) | Destination::Stream(_) => {
            record::save(path, result).map_err(cannot_keep)
        }
    }
}

/// Tells where the result of a measurement is.
pub(super) fn note_result(path: &Path) {
    note(&format!("result written to `{}`", path.display()));
}

/// Tells what the measurement cost.
pub(super) fn note_price(price: &Price) {
    note(&format!("price: {price}"));
}

/// Tells where the HTML report is.
pub(super) fn note_report(path: &Path) {
    note(&format!("report: {}", path.display()));
}
