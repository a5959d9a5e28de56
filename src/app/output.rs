//! Output of a command: stdout and the requested files.

use std::path::Path;

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, cannot_print};
use crate::files::{self, Destination};
use crate::inputs::result_file::kept_in;
use crate::record::format::ResultFile;
use crate::terminal::{self, Output};
use crate::{record, secret};

/// Prints data to stdout.
pub(super) fn print(output: Output, text: &str) -> Result<(), Failure> {
    terminal::print(output, text).map_err(cannot_print)
}

/// Writes a report to its path; output to the process's stdout or stderr passes the guarded writer.
pub(super) fn write(path: &Path, output: Output, text: &str) -> Result<(), Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout => print(output, text),
        Destination::Stderr => {
            terminal::note(text.trim_end());
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

/// Copies the finished result to its destination if it was written elsewhere.
pub(super) fn deliver(path: &Path, grown: &Path, result: &ResultFile) -> Result<(), Failure> {
    if path == grown {
        return Ok(());
    }
    let delivered = match Destination::of(path).map_err(cannot_keep)? {
        Destination::Stdout | Destination::Stderr => {
            let text = serde_json::to_string_pretty(result);
            let text = text.map_err(|error| Failure::new(ExitStatus::Bug, error))?;
            write(path, Output::Json, &text)
        }
        Destination::File(_) | Destination::Stream(_) => {
            record::save(path, result).map_err(cannot_keep)
        }
    };
    delivered.map_err(|failure| failure.hint(kept_in(grown)))?;
    // Removes only a folder without server logs.
    let _left = std::fs::remove_file(grown);
    let _left = grown.parent().map(std::fs::remove_dir);
    Ok(())
}
