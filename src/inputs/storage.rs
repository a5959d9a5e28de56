//! Where the accepted runs stand, opened with what the environment says of it.

use std::path::PathBuf;

use crate::baseline::{Location, Storage};
use crate::clock;
use crate::environment::Environment;
use crate::event::{Events, InputEvent};
use crate::failure::Failure;
use crate::text::number;

/// Opens it; a bucket is not asked yet.
pub(crate) fn open(
    location: &Location,
    environment: &Environment,
    events: &Events,
) -> Result<Storage, Failure> {
    let cache = cache_folder(environment);
    Ok(Storage::open(location, cache.as_deref(), events)?)
}

/// Where programs of this user keep what they could fetch again.
fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(environment(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("perfgate"))
}

/// That copies stood in for a bucket, for people to know how old they are.
pub(crate) fn of_copies(location: &Location, storage: &Storage) -> Option<String> {
    let offline_copies = storage.offline_copies()?;
    let age = clock::age(&offline_copies.read).map_or_else(
        || "of unknown age".to_owned(),
        |age| format!("{} old", number::age(age)),
    );
    Some(format!(
        "`{location}` cannot be reached ({}); this is by the copy read here at {}, {age}, and may lack what was accepted since",
        offline_copies.because, offline_copies.read
    ))
}

/// Tells of it.
pub(crate) fn warn_of_copies(location: &Location, storage: &Storage, events: &Events) {
    if let Some(sentence) = of_copies(location, storage) {
        events.emit(InputEvent::CopiesRead(sentence));
    }
}
