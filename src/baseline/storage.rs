//! A folder or a bucket with the baselines of many gates, opened.

use std::path::Path;
use std::sync::Arc;

use super::bucket::{Bucket, StoodIn};
use super::place::{BaselineError, Place, Within};
use super::{Location, gates, hardware_of_files, hardware_with_baseline};
use crate::config::safe_name;
use crate::event::Events;

/// Where the baselines of many gates stand.
#[derive(Clone, Debug)]
pub struct Storage {
    within: Within,
}

impl Storage {
    /// Opens it; nothing is read yet. `cache` is where copies of what a bucket holds are kept for the time without network.
    pub fn open(
        location: &Location,
        cache: Option<&Path>,
        events: &Events,
    ) -> Result<Self, BaselineError> {
        let within = match location {
            Location::Folder(folder) => Within::Folder(folder.clone()),
            Location::Bucket(address) => {
                Within::Bucket(Arc::new(Bucket::open(address, cache, events)?))
            }
        };
        Ok(Self { within })
    }

    /// The gates that have baselines, sorted.
    pub fn gates(&self) -> Result<Vec<String>, BaselineError> {
        let bucket = match &self.within {
            Within::Folder(folder) => return Ok(gates(folder)?),
            Within::Bucket(bucket) => bucket,
        };
        let mut names = Vec::new();
        for name in bucket.names("", true)? {
            if !self.hardware(&name)?.is_empty() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The hardware for which a gate has a baseline or a ledger, sorted.
    pub fn hardware(&self, name: &str) -> Result<Vec<String>, BaselineError> {
        match &self.within {
            Within::Folder(folder) => Ok(hardware_with_baseline(folder, name)?),
            Within::Bucket(bucket) => Ok(hardware_of_files(bucket.names(&safe_name(name), false)?)),
        }
    }

    /// The files of a gate on some hardware.
    pub fn place(&self, name: &str, hardware: &str) -> Place {
        Place::within(self.within.clone(), name, hardware)
    }

    /// Whether copies stood in for what was read so far.
    pub fn stood_in(&self) -> Option<StoodIn> {
        match &self.within {
            Within::Folder(_) => None,
            Within::Bucket(bucket) => bucket.stood_in(),
        }
    }
}
