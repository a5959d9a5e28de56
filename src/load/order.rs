//! What an engine is given, and what it gives back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use super::client::Client;
use super::prepared::Prepared;
use super::schedule::Schedule;
use super::watch::Patience;
use crate::measure::{ClientLoad, RequestTrace, Stop};

/// What came of a pass.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) traces: Vec<RequestTrace>,
    /// Requests that were the first on their connection.
    pub(super) first: Vec<usize>,
    pub(super) fingerprint: Option<String>,
    pub(super) client: ClientLoad,
    pub(super) stop: Option<Stop>,
}

/// What an engine needs.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) client: Client,
    pub(super) prepared: Prepared,
    pub(super) schedule: Schedule,
    /// Connections that are opened before the first request.
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    /// When it is not worth going on.
    pub(super) patience: Patience,
    /// Counts ended requests, for progress.
    pub(super) done: Arc<AtomicUsize>,
    /// Set from outside to stop at once.
    pub(super) cancelled: Arc<AtomicBool>,
}
