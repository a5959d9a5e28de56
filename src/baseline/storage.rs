//! An open folder or bucket with the baselines of many gates.

use std::path::Path;
use std::sync::Arc;

use super::bucket::{Bucket, OfflineCopies};
use super::place::{Backend, BaselineError, Place};
use super::{Location, hardware_of_files};
use crate::config::safe_name;
use crate::event::Events;
use crate::files;

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
        let names = match &self.backend {
            Backend::Folder(folder) => files::names(folder)?,
            Backend::Bucket(bucket) => bucket.names("", true)?,
        };
        let mut gates = Vec::new();
        for name in names {
            if self.is_folder(&name)? && !self.hardware(&name)?.is_empty() {
                gates.push(name);
            }
        }
        gates.sort();
        Ok(gates)
    }

    /// A bucket lists folders apart from files.
    fn is_folder(&self, name: &str) -> Result<bool, BaselineError> {
        match &self.backend {
            Backend::Folder(folder) => Ok(files::is_folder(&folder.join(name))?),
            Backend::Bucket(_) => Ok(true),
        }
    }

    /// The hardware for which a gate has a baseline or a ledger, sorted.
    pub fn hardware(&self, name: &str) -> Result<Vec<String>, BaselineError> {
        let name = safe_name(name);
        Ok(hardware_of_files(match &self.backend {
            Backend::Folder(folder) => files::names(&folder.join(name))?,
            Backend::Bucket(bucket) => bucket.names(&name, false)?,
        }))
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
