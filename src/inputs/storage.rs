//! Opens the storage of the accepted runs with settings of the environment.

use std::path::PathBuf;

use crate::baseline::{Location, Storage};
use crate::clock;
use crate::environment::Environment;
use crate::event::{Events, InputEvent};
use crate::failure::Failure;
use crate::text::number;

/// Opens it without a request to a bucket.
pub(crate) fn open(
    location: &Location,
    environment: &Environment,
    events: &Events,
) -> Result<Storage, Failure> {
    let cache = cache_folder(environment);
    Ok(Storage::open(location, cache.as_deref(), events)?)
}

/// The cache folder of this user.
fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(environment(name)?);
        path.is_absolute().then_some(path)
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("perfgate"))
}

/// A warning with the age of local copies that replaced a bucket.
pub(crate) fn of_copies(location: &Location, storage: &Storage) -> Option<String> {
    let offline_copies = storage.offline_copies()?;
    let age = clock::age(&offline_copies.read).map_or_else(
        || "of unknown age".to_owned(),
        |age| format!("{} old", number::age(age)),
    );
    Some(format!(
        "`{location}` cannot be reached ({}); perfgate uses the local copy from {}, {age}, which may lack newer accepted runs",
        offline_copies.because, offline_copies.read
    ))
}

/// Emits the warning.
pub(crate) fn warn_of_copies(location: &Location, storage: &Storage, events: &Events) {
    if let Some(sentence) = of_copies(location, storage) {
        events.emit(InputEvent::CopiesRead(sentence));
    }
}
