//! Replacement of the client in a build without cloud support.

use super::{BucketError, Fetched, Listed, Version};
use crate::baseline::location::BucketAddress;
use crate::event::Events;

/// Has no values.
#[derive(Debug)]
pub(super) enum Client {}

impl Client {
    pub(super) fn of(address: &BucketAddress, _events: &Events) -> Result<Self, BucketError> {
        Err(BucketError::NotBuilt {
            address: address.to_string(),
            scheme: address.cloud.scheme(),
        })
    }

    pub(super) fn list(&self, _folder: &str) -> Result<Vec<Listed>, BucketError> {
        match *self {}
    }

    pub(super) fn get(&self, _object: &str) -> Result<Option<Fetched>, BucketError> {
        match *self {}
    }

    pub(super) fn put(
        &self,
        _object: &str,
        _bytes: Vec<u8>,
        _replaced: Option<&Version>,
    ) -> Result<bool, BucketError> {
        match *self {}
    }
}
