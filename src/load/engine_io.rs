//! Input and output of the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use super::client::Client;
use super::prepared::Prepared;
use super::schedule::Schedule;
use super::watch::StopConditions;
use crate::measure::{ClientLoad, RequestTrace, Stop};

/// Result of a measurement.
#[derive(Clone, Debug, Default)]
pub struct LoadResult {
    /// One trace per request that was started, in workload order.
    pub traces: Vec<RequestTrace>,
    /// Time from the first send to the last byte.
    pub wall_time: Duration,
    /// `system_fingerprint` of the server's answers.
    pub fingerprint: Option<String>,
    /// The load generator's own load.
    pub client: ClientLoad,
    /// Why it ended early; requests that were in flight then have no trace.
    pub stop: Option<Stop>,
}

impl LoadResult {
    /// Puts the traces in workload order, and measures the time that they cover.
    pub(super) fn complete(&mut self) {
        self.traces.sort_by_key(|trace| trace.index);
        let traces = || self.traces.iter();
        let first = traces()
            .map(|trace| trace.due.min(trace.sent))
            .min_by(f64::total_cmp);
        let last = traces().map(|trace| trace.ended).max_by(f64::total_cmp);
        let wall_time = first
            .zip(last)
            .map_or(0.0, |(first, last)| (last - first).max(0.0));
        self.wall_time = Duration::from_secs_f64(wall_time);
    }
}

/// Input of the engine.
#[derive(Debug)]
pub(super) struct EngineInput {
    pub(super) client: Client,
    pub(super) prepared: Prepared,
    pub(super) schedule: Schedule,
    /// Connections to open before the first request.
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    /// When to stop early.
    pub(super) stop_conditions: StopConditions,
    /// Counts ended requests, for progress.
    pub(super) done: Arc<AtomicUsize>,
    /// Set by another thread to stop at once.
    pub(super) cancelled: Arc<AtomicBool>,
}
