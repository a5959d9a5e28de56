//! A bucket: the same three files of every gate as objects of the same names, each replaced by a conditional put.
//!
//! Reads go by the bucket's list: an object whose version is that of the copy here is not fetched again, and where nobody
//! answers, list and copies stand in. Writes always need the bucket itself.

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
pub use error::BucketError;

/// Under which name the list of a folder is kept; no object is called like that.
const LIST: &str = "/";

/// A bucket that was opened.
#[derive(Debug)]
pub(super) struct Bucket {
    address: BucketAddress,
    client: Client,
    cache: Cache,
    events: Events,
    seen: Mutex<Seen>,
}

/// What this process has read: a command judges by one state, and asks once.
#[derive(Debug, Default)]
struct Seen {
    lists: BTreeMap<String, Vec<Listed>>,
    objects: BTreeMap<String, Vec<u8>>,
    /// Why nobody is asked any more.
    unreachable: Option<String>,
    /// The oldest copy that stood in.
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

/// Which state of an object was read, to be named when it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    e_tag: Option<String>,
    version: Option<String>,
}

/// An object as the bucket has it now.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) version: Version,
}

/// That copies stood in for the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoodIn {
    /// When the oldest of them was read (RFC 3339).
    pub read: String,
    /// Why the bucket itself was not asked.
    pub because: String,
}

impl Bucket {
    /// Opens a bucket; nobody is asked yet. Copies stand below `cache`.
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

    /// Whether copies stood in for what was read so far.
    pub(super) fn stood_in(&self) -> Option<StoodIn> {
        let seen = self.seen();
        Some(StoodIn {
            read: seen.copy.clone()?,
            because: seen.unreachable.clone()?,
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folders directly below one, or the objects; `""` is the prefix itself.
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
                return Err(self.no_copy(&seen, "what is in it"));
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

    /// An object, from the copy where it is still the same or nobody answers. `None` where there is none.
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
                    return Err(BucketError::Answer {
                        address: self.address.to_string(),
                        action: format!("read {object}"),
                        reason: "it is in the list and is not there: somebody deletes objects"
                            .to_owned(),
                    });
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

    /// Whether the bucket is there and may be read, asked before anything is written. A missing object and a missing bucket
    /// look the same to whoever fetches.
    pub(super) fn check(&self) -> Result<(), BucketError> {
        self.client.list("").map(drop)
    }

    /// An object as it is now, with its version.
    pub(super) fn fetch(&self, object: &str) -> Result<Option<Fetched>, BucketError> {
        self.client.get(object)
    }

    /// Replaces the version that was read, or makes an object where there was none; `false` where somebody else came first.
    pub(super) fn put(
        &self,
        object: &str,
        bytes: Vec<u8>,
        replaced: Option<&Version>,
    ) -> Result<bool, BucketError> {
        self.client.put(object, bytes, replaced)
    }

    /// Where it tells what happens.
    pub(super) fn events(&self) -> &Events {
        &self.events
    }
}

/// Asks the bucket, unless it did not answer before. `None` where nobody answers.
fn ask<T>(
    seen: &mut Seen,
    ask: impl FnOnce() -> Result<T, BucketError>,
) -> Result<Option<T>, BucketError> {
    if seen.unreachable.is_some() {
        return Ok(None);
    }
    match ask() {
        Err(BucketError::Unreachable { reason, .. }) => {
            seen.unreachable = Some(reason);
            Ok(None)
        }
        answer => answer.map(Some),
    }
}
