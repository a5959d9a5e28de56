//! One measurement: the schedule of its load, the thread that sends it, and its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::LoadError;
use super::body::RequestTemplate;
use super::client::Client;
use super::early_answers::reject_early_answers;
use super::engine::Engine;
use super::engine_io::{EngineInput, LoadResult};
use super::instant::of_duration;
use super::prepared::Prepared;
use super::schedule::{Schedule, Shape, Turn};
use super::watch::StopConditions;
use crate::config::LoadPoint;
use crate::workload::{Request, arrivals, ramped};

/// Connections that an open loop opens in advance. It opens more as needed.
const OPEN_LOOP_CONNECTIONS: usize = 32;

/// Upper estimate of other open files of the program.
const OTHER_FILES: u64 = 128;

/// One measurement at one load point.
#[derive(Clone, Debug)]
pub struct LoadTest {
    /// The server.
    pub client: Client,
    /// Settings of all requests.
    pub template: RequestTemplate,
    /// The requests, in workload order.
    pub requests: Vec<Request>,
    /// When they are sent.
    pub load: LoadPoint,
    /// Time in which the load grows: a closed loop opens its slots one after the other, arrivals become faster. A trace and
    /// a load that is sent at once cannot grow.
    pub ramp_up: Duration,
    /// Timeout of one request.
    pub timeout: Duration,
    /// No request starts after this time.
    pub duration: Option<Duration>,
    /// Seed of arrival times.
    pub seed: u64,
    /// When to stop early.
    pub stop_conditions: StopConditions,
}

/// Stops the thread when its result is no longer awaited.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl LoadTest {
    /// Sends the requests and waits for the last answer. `done` counts ended requests, for progress. Cancelling drops
    /// every connection at once.
    pub async fn run(
        self,
        done: Arc<AtomicUsize>,
        cancel: &CancellationToken,
    ) -> Result<LoadResult, LoadError> {
        let (mut result, first) = self.send(done, cancel).await?;
        result.client.unasked += reject_early_answers(&mut result.traces, first);
        Ok(result)
    }

    /// The same against perfgate's own server, which sends whole answers at once and no unrequested ones.
    pub(super) async fn run_against_own(
        self,
        cancel: &CancellationToken,
    ) -> Result<LoadResult, LoadError> {
        let (result, _first) = self.send(Arc::default(), cancel).await?;
        Ok(result)
    }

    /// The result, and the requests that were the first on their connection.
    async fn send(
        self,
        done: Arc<AtomicUsize>,
        cancel: &CancellationToken,
    ) -> Result<(LoadResult, Vec<usize>), LoadError> {
        let in_flight_wanted = match self.load {
            LoadPoint::Concurrency(slots) => Some(slots),
            LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => None,
        };
        let stop = StopOnDrop(Arc::default());
        let input = self.engine_input(done, Arc::clone(&stop.0))?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A separate thread, so that the work of the runtime is not part of a latency.
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // The receiver is gone if the measurement was abandoned.
                let _no_receiver = sender.send(Engine::new(input).and_then(Engine::run));
            })
            .map_err(LoadError::System)?;
        let ended = tokio::select! {
            ended = receiver => ended,
            () = cancel.cancelled() => return Err(LoadError::Cancelled),
        };
        let Ok(ended) = ended else {
            return Err(LoadError::Broken(panic_message(thread.join())));
        };
        let (mut result, first) = ended?;
        result.client.in_flight_wanted = in_flight_wanted;
        result.complete();
        Ok((result, first))
    }

    fn engine_input(
        self,
        done: Arc<AtomicUsize>,
        cancelled: Arc<AtomicBool>,
    ) -> Result<EngineInput, LoadError> {
        let count = self.requests.len();
        // Files needed from the start, and the most that can be needed.
        let (shape, connections, most) = match self.load {
            LoadPoint::Concurrency(slots) => {
                let ramp = of_duration(self.ramp_up);
                let connections = slots.min(count);
                (Shape::Closed { slots, ramp }, connections, connections)
            }
            LoadPoint::Rate {
                per_second,
                burstiness,
            } => {
                let due = arrivals(per_second, burstiness, count, self.seed);
                let due = due
                    .into_iter()
                    .map(|due| of_duration(ramped(due, self.ramp_up)))
                    .collect();
                // A burst needs all its connections at once.
                let ahead = if per_second.is_infinite() {
                    count
                } else {
                    OPEN_LOOP_CONNECTIONS
                };
                (Shape::Open { due }, ahead.min(count), count)
            }
            LoadPoint::Trace { .. } => {
                // A later turn has no due time: it follows its predecessor.
                let due = self
                    .requests
                    .iter()
                    .map(|request| request.due.map_or(0, of_duration));
                let due = due.collect();
                (Shape::Open { due }, OPEN_LOOP_CONNECTIONS.min(count), count)
            }
        };
        let turns: Vec<Option<Turn>> = self
            .requests
            .iter()
            .map(|request| {
                request.follows.map(|follows| Turn {
                    after: follows.index,
                    pause: of_duration(follows.pause),
                })
            })
            .collect();
        allow_files(connections as u64 + OTHER_FILES, most as u64 + OTHER_FILES)?;
        Ok(EngineInput {
            prepared: Prepared::new(self.requests, self.template, &self.client),
            client: self.client,
            schedule: Schedule::new(shape, &turns, self.duration.map(of_duration)),
            connections,
            timeout: self.timeout,
            stop_conditions: self.stop_conditions,
            done,
            cancelled,
        })
    }
}

/// Raises the soft limit of open files as far as allowed: `wanted` are needed, `most` may become needed.
fn allow_files(wanted: u64, most: u64) -> Result<(), LoadError> {
    let limits = getrlimit(Resource::Nofile);
    let current = limits.current.unwrap_or(u64::MAX);
    let allowed = limits.maximum.unwrap_or(u64::MAX);
    if allowed < wanted {
        return Err(LoadError::TooManyStreams { wanted, allowed });
    }
    if current >= most.min(allowed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(allowed.min(most.max(65_536))),
        maximum: limits.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| LoadError::System(error.into()))
}

fn panic_message(ended: std::thread::Result<()>) -> String {
    let Err(payload) = ended else {
        return "the thread ended without a message".to_owned();
    };
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the thread panicked without a message".to_owned())
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
