//! Input and output of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use super::client::Client;
use super::prepared::Prepared;
use super::schedule::Schedule;
use super::watch::Patience;
use crate::measure::{ClientLoad, RequestTrace, Stop};

/// Result of a measurement.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) traces: Vec<RequestTrace>,
    /// Requests that were the first on their connection.
    pub(super) first: Vec<usize>,
    pub(super) fingerprint: Option<String>,
    pub(super) client: ClientLoad,
    pub(super) stop: Option<Stop>,
}

/// Input of the engine.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) client: Client,
    pub(super) prepared: Prepared,
    pub(super) schedule: Schedule,
    /// Connections to open before the first request.
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    /// When to stop early.
    pub(super) patience: Patience,
    /// Counts ended requests, for progress.
    pub(super) done: Arc<AtomicUsize>,
    /// Set by another thread to stop at once.
    pub(super) cancelled: Arc<AtomicBool>,
}
