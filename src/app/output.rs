//! What a command writes: to stdout, and into the files that it was asked for.

use std::path::Path;

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, cannot_print};
use crate::files::{self, Destination};
use crate::inputs::result_file::kept_in;
use crate::record::format::ResultFile;
use crate::terminal::{self, Output};
use crate::{record, secret};

/// Data to stdout.
pub(super) fn print(output: Output, text: &str) -> Result<(), Failure> {
    terminal::print(output, text).map_err(cannot_print)
}

/// Writes a report where it was asked for; what goes to the process's own stdout or stderr passes its guarded writer.
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

/// Hands the finished result over where it grew elsewhere.
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
    // Only a folder that holds no server's log goes.
    let _left = std::fs::remove_file(grown);
    let _left = grown.parent().map(std::fs::remove_dir);
    Ok(())
}
