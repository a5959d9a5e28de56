//! An open folder or bucket with the baselines of many gates.

use std::path::Path;
use std::sync::Arc;

use super::bucket::{Bucket, OfflineCopies};
use super::place::{Backend, BaselineError, Place};
use super::{Location, gates, hardware_of_files, hardware_with_baseline};
use crate::config::safe_name;
use crate::event::Events;

/// Storage with the baselines of many gates.
#[derive(Clone, Debug)]
pub struct Storage {
    backend: Backend,
}

impl Storage {
    /// Opens it without reading. `cache` is the folder of local copies of a bucket, for use without network.
    pub fn open(
        location: &Location,
        cache: Option<&Path>,
        events: &Events,
    ) -> Result<Self, BaselineError> {
        let backend = match location {
            Location::Folder(folder) => Backend::Folder(folder.clone()),
            Location::Bucket(address) => {
                Backend::Bucket(Arc::new(Bucket::open(address, cache, events)?))
            }
        };
        Ok(Self { backend })
    }

    /// The gates that have baselines, sorted.
    pub fn gates(&self) -> Result<Vec<String>, BaselineError> {
        let bucket = match &self.backend {
            Backend::Folder(folder) => return Ok(gates(folder)?),
            Backend::Bucket(bucket) => bucket,
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
        match &self.backend {
            Backend::Folder(folder) => Ok(hardware_with_baseline(folder, name)?),
            Backend::Bucket(bucket) => {
                Ok(hardware_of_files(bucket.names(&safe_name(name), false)?))
            }
        }
    }

    /// The files of a gate on some hardware.
    pub fn place(&self, name: &str, hardware: &str) -> Place {
        Place::on(self.backend.clone(), name, hardware)
    }

    /// The local copies that reads used so far.
    pub fn offline_copies(&self) -> Option<OfflineCopies> {
        match &self.backend {
            Backend::Folder(_) => None,
            Backend::Bucket(bucket) => bucket.offline_copies(),
        }
    }
}
