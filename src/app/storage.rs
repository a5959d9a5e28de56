//! Where the accepted runs stand, opened with what the environment says of it.

use std::path::PathBuf;

use super::failing::baseline_failure;
use super::progress::note;
use super::{Context, Failure};
use crate::baseline::{Location, Storage};
use crate::clock;
use crate::render;

/// Opens it; a bucket is not asked yet.
pub(super) fn open(location: &Location, context: &Context) -> Result<Storage, Failure> {
    Storage::open(location, cache_folder(context).as_deref(), note)
        .map_err(|error| baseline_failure(&error))
}

/// Where programs of this user keep what they could fetch again.
fn cache_folder(context: &Context) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from((context.environment)(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("perfgate"))
}

/// That copies stood in for a bucket, for people to know how old they are.
pub(super) fn of_copies(location: &Location, storage: &Storage) -> Option<String> {
    let stood_in = storage.stood_in()?;
    let age = clock::age(&stood_in.read).map_or_else(
        || "of unknown age".to_owned(),
        |age| format!("{} old", render::number::age(age)),
    );
    Some(format!(
        "`{location}` cannot be reached ({}); this is by the copy read here at {}, {age}, and may lack what was accepted since",
        stood_in.because, stood_in.read
    ))
}

/// Says it on stderr.
pub(super) fn warn_of_copies(location: &Location, storage: &Storage) {
    if let Some(sentence) = of_copies(location, storage) {
        note(&format!("warning: {sentence}"));
    }
}
