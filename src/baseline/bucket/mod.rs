//! A bucket: the three files of every gate as objects with the same names, each replaced by a conditional put.
//!
//! Reads use the bucket's list: an object with the version of the local copy is not fetched again, and if the server does not
//! answer, the local list and copies replace it. Writes always need the bucket.

mod cache;
#[cfg(any(feature = "s3", feature = "gs", feature = "az"))]
mod client;
#[cfg(not(any(feature = "s3", feature = "gs", feature = "az")))]
#[path = "no_client.rs"]
mod client;
mod error;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::location::BucketAddress;
use crate::clock;
use crate::event::{Events, StorageEvent};
use cache::{Cache, Copied};
use client::Client;
pub use error::{BucketError, FailedRequest};

/// Name of the cached list of a folder; it is not a valid object name.
const LIST: &str = "/";

/// An open bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    address: BucketAddress,
    client: Client,
    cache: Cache,
    events: Events,
    seen: Mutex<Seen>,
}

/// What this process has read: a command reads each object once, so that it sees one state.
#[derive(Debug, Default)]
struct Seen {
    lists: BTreeMap<String, Vec<Listed>>,
    objects: BTreeMap<String, Vec<u8>>,
    /// Why the bucket is no longer asked.
    unreachable: Option<String>,
    /// The oldest copy that was used.
    copy: Option<String>,
    copies_fail: bool,
}

/// An entry of a folder's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Without its folder.
    name: String,
    is_folder: bool,
    e_tag: Option<String>,
}

/// The version of an object that was read, for the conditional put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    e_tag: Option<String>,
    version: Option<String>,
}

/// The current object of the bucket.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) version: Version,
}

/// Use of local copies in place of the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineCopies {
    /// When the oldest copy was read (RFC 3339).
    pub read: String,
    /// Why the bucket was not read.
    pub because: String,
}

impl Bucket {
    /// Opens a bucket without a request. Local copies are below `cache`.
    pub(super) fn open(
        address: &BucketAddress,
        cache: Option<&Path>,
        events: &Events,
    ) -> Result<Self, BucketError> {
        Ok(Self {
            client: Client::of(address, events)?,
            cache: Cache::of(cache, &address.to_string()),
            address: address.clone(),
            events: events.clone(),
            seen: Mutex::default(),
        })
    }

    /// Bucket and prefix.
    pub(super) fn address(&self) -> &BucketAddress {
        &self.address
    }

    /// The local copies that reads used so far.
    pub(super) fn offline_copies(&self) -> Option<OfflineCopies> {
        let seen = self.seen();
        Some(OfflineCopies {
            read: seen.copy.clone()?,
            because: seen.unreachable.clone()?,
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folders or objects directly below a folder; `""` is the prefix itself.
    pub(super) fn names(&self, folder: &str, folders: bool) -> Result<Vec<String>, BucketError> {
        let list = self.list(folder)?;
        let wanted = list.into_iter().filter(|entry| entry.is_folder == folders);
        Ok(wanted.map(|entry| entry.name).collect())
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, BucketError> {
        let mut seen = self.seen();
        if let Some(list) = seen.lists.get(folder) {
            return Ok(list.clone());
        }
        let kept_as = format!("{folder}{LIST}");
        let list = if let Some(list) = ask(&mut seen, || self.client.list(folder))? {
            let bytes = serde_json::to_vec(&list).unwrap_or_default();
            self.keep(&mut seen, &kept_as, None, bytes);
            list
        } else {
            let copied = self.cache.read(&kept_as);
            let list = copied
                .as_ref()
                .and_then(|copied| serde_json::from_slice(&copied.bytes).ok());
            let (Some(copied), Some(list)) = (copied, list) else {
                return Err(self.no_copy(&seen, "its list of objects"));
            };
            let older = seen.copy.as_ref().is_none_or(|read| copied.read < *read);
            if older {
                seen.copy = Some(copied.read);
            }
            list
        };
        seen.lists.insert(folder.to_owned(), list.clone());
        Ok(list)
    }

    /// An object, from the local copy if that is current or the server does not answer. `None` if it does not exist.
    pub(super) fn read(&self, object: &str) -> Result<Option<Vec<u8>>, BucketError> {
        let (folder, name) = object.rsplit_once('/').unwrap_or(("", object));
        let list = self.list(folder)?;
        let Some(listed) = list
            .into_iter()
            .find(|entry| entry.name == name && !entry.is_folder)
        else {
            return Ok(None);
        };
        let mut seen = self.seen();
        if let Some(bytes) = seen.objects.get(object) {
            return Ok(Some(bytes.clone()));
        }
        let copied = self.cache.read(object);
        let is_current = |copied: &Copied| copied.e_tag.is_some() && copied.e_tag == listed.e_tag;
        let bytes = match copied.filter(is_current) {
            Some(copied) => copied.bytes,
            None => match ask(&mut seen, || self.client.get(object))? {
                Some(Some(fetched)) => {
                    self.keep(&mut seen, object, listed.e_tag, fetched.bytes.clone());
                    fetched.bytes
                }
                Some(None) => {
                    return Err(BucketError::Answer(FailedRequest {
                        address: self.address.to_string(),
                        action: format!("read {object}"),
                        reason: "the list contains it, but it does not exist: another program deletes objects"
                            .to_owned(),
                        scheme: self.address.cloud.scheme(),
                    }));
                }
                None => return Err(self.no_copy(&seen, object)),
            },
        };
        seen.objects.insert(object.to_owned(), bytes.clone());
        Ok(Some(bytes))
    }

    fn keep(&self, seen: &mut Seen, name: &str, e_tag: Option<String>, bytes: Vec<u8>) {
        let read = clock::timestamp();
        let kept = self.cache.write(name, &Copied { read, e_tag, bytes });
        if let Err(error) = kept
            && !seen.copies_fail
        {
            seen.copies_fail = true;
            self.events.emit(StorageEvent::CopiesNotKept {
                reason: BucketError::from(error).to_string(),
            });
        }
    }

    fn no_copy(&self, seen: &Seen, object: &str) -> BucketError {
        BucketError::NoCopy {
            address: self.address.to_string(),
            object: object.to_owned(),
            reason: seen.unreachable.clone().unwrap_or_default(),
        }
    }

    /// Checks before any write that the bucket exists and is readable. A fetch does not distinguish a missing object from a
    /// missing bucket.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        self.client.list("").map(drop)
    }

    /// The current object with its version.
    pub(super) fn fetch(&self, object: &str) -> Result<Option<Fetched>, BucketError> {
        self.client.get(object)
    }

    /// Replaces the version that was read, or creates a missing object; `false` if another program changed it first.
    pub(super) fn put(
        &self,
        object: &str,
        bytes: Vec<u8>,
        replaced: Option<&Version>,
    ) -> Result<bool, BucketError> {
        self.client.put(object, bytes, replaced)
    }

    /// Receiver of its events.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }
}

/// Asks the bucket, unless it failed to answer before. `None` without an answer.
fn ask<T>(
    seen: &mut Seen,
    ask: impl FnOnce() -> Result<T, BucketError>,
) -> Result<Option<T>, BucketError> {
    if seen.unreachable.is_some() {
        return Ok(None);
    }
    match ask() {
        Err(BucketError::Unreachable(failed)) => {
            seen.unreachable = Some(failed.reason);
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
