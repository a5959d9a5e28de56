//! Where a result grows while it is measured, and where it is kept when it cannot be written.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files::Destination;
use crate::record;
use crate::record::format::ResultFile;

/// Where a result grows while it is measured: the file itself, or, for a device or a pipe, which can be written only once,
/// a file of the system's temporary folder.
pub(crate) fn growing(path: &Path) -> Result<PathBuf, Failure> {
    match Destination::of(path).map_err(cannot_keep)? {
        Destination::File(_) => Ok(path.to_owned()),
        Destination::Stream(_) | Destination::Stdout | Destination::Stderr => elsewhere(path),
    }
}

/// Keeps a result that could not be written where it belongs; the failure names its place.
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
    format!("what was measured is kept in `{}`", place.display())
}

/// A file of the same name in a folder of its own among the temporary ones, which stays.
fn elsewhere(path: &Path) -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("perfgate-kept-").tempdir();
    let folder = folder.map_err(cannot_keep)?.keep();
    let is_file = path.extension().is_some();
    let name = path.file_name().filter(|_| is_file);
    Ok(folder.join(name.unwrap_or("result.json".as_ref())))
}
