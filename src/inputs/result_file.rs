//! Result files: read, written during a measurement, and kept elsewhere if they cannot be written.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, unreadable};
use crate::files::Destination;
use crate::record::format::ResultFile;
use crate::record::{self, RecordError, Run};

/// Reads a result file of the command line.
pub(crate) fn result_given(path: &Path) -> Result<Run, Failure> {
    record::load(path).map_err(|error| {
        if let RecordError::File(error) = error {
            return unreadable(error);
        }
        let is_json_error = matches!(error, RecordError::Json { .. });
        let failure = Failure::from(error);
        if is_json_error {
            failure.hint("give the result.json of `bench` or `gate`")
        } else {
            failure
        }
    })
}

/// Where a result is written during a measurement: the file itself, or a temporary file for a device or a pipe, which can be
/// written only once.
pub(crate) fn growing(path: &Path) -> Result<PathBuf, Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::File(_) => Ok(path.to_owned()),
        Destination::Stream(_) | Destination::Stdout | Destination::Stderr => elsewhere(path),
    }
}

/// Keeps a result that cannot be written to its path; the failure contains where it is.
pub(crate) fn rescue(path: &Path, result: &ResultFile, failure: Failure) -> Failure {
    let rescued = elsewhere(path).and_then(|place| {
        record::save(&place, result).map_err(cannot_keep)?;
        Ok(place)
    });
    match rescued {
        Ok(place) => failure.hint(kept_in(&place)),
        Err(_) => failure,
    }
}

pub(crate) fn kept_in(place: &Path) -> String {
    format!("the measurements are kept in `{}`", place.display())
}

/// A file of the same name in a new temporary folder, which is kept.
fn elsewhere(path: &Path) -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("perfgate-kept-").tempdir();
    let folder = folder.map_err(cannot_keep)?.keep();
    let is_file = path.extension().is_some();
    let name = path.file_name().filter(|_| is_file);
    Ok(folder.join(name.unwrap_or("result.json".as_ref())))
}
