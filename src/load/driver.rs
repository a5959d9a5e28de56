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
use super::instant::of_duration;
use super::order::{Order, Ran};
use super::prepared::Prepared;
use super::schedule::{Schedule, Shape, Turn};
use super::watch::Patience;
use crate::config::LoadPoint;
use crate::measure::{ClientLoad, RequestTrace, Stop};
use crate::workload::{Request, arrivals, ramped};

/// Connections that an open loop opens in advance. It opens more as needed.
const OPEN_LOOP_CONNECTIONS: usize = 32;

/// Upper estimate of other open files of the program.
const OTHER_FILES: u64 = 128;

/// One measurement at one load point.
#[derive(Clone, Debug)]
pub struct Drive {
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
    pub patience: Patience,
}

/// Result of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Driven {
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

/// Stops the thread when its result is no longer awaited.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drive {
    /// Sends the requests and waits for the last answer. `done` counts ended requests, for progress. Cancelling drops
    /// every connection at once.
    pub async fn run(
        self,
        done: Arc<AtomicUsize>,
        cancel: &CancellationToken,
    ) -> Result<Driven, LoadError> {
        let mut ran = self.send(done, cancel).await?;
        let first = std::mem::take(&mut ran.first);
        ran.client.unasked += reject_early_answers(&mut ran.traces, first);
        Ok(collect(ran))
    }

    /// The same against perfgate's own server, which sends whole answers at once and no unrequested ones.
    pub(super) async fn run_against_own(
        self,
        cancel: &CancellationToken,
    ) -> Result<Driven, LoadError> {
        self.send(Arc::default(), cancel).await.map(collect)
    }

    async fn send(
        self,
        done: Arc<AtomicUsize>,
        cancel: &CancellationToken,
    ) -> Result<Ran, LoadError> {
        let in_flight_wanted = match self.load {
            LoadPoint::Concurrency(slots) => Some(slots),
            LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => None,
        };
        let stop = StopOnDrop(Arc::default());
        let order = self.order(done, Arc::clone(&stop.0))?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A separate thread, so that the work of the runtime is not part of a latency.
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                // The receiver is gone if the measurement was abandoned.
                let _no_receiver = sender.send(Engine::new(order).and_then(Engine::run));
            })
            .map_err(LoadError::System)?;
        let ran = tokio::select! {
            ran = receiver => ran,
            () = cancel.cancelled() => return Err(LoadError::Cancelled),
        };
        match ran {
            Ok(ran) => ran.map(|mut ran| {
                ran.client.in_flight_wanted = in_flight_wanted;
                ran
            }),
            Err(_gone) => Err(LoadError::Broken(panic_message(thread.join()))),
        }
    }

    fn order(self, done: Arc<AtomicUsize>, cancelled: Arc<AtomicBool>) -> Result<Order, LoadError> {
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
        Ok(Order {
            prepared: Prepared::new(self.requests, self.template, &self.client),
            client: self.client,
            schedule: Schedule::new(shape, &turns, self.duration.map(of_duration)),
            connections,
            timeout: self.timeout,
            patience: self.patience,
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

fn collect(ran: Ran) -> Driven {
    let Ran {
        mut traces,
        first: _,
        fingerprint,
        client,
        stop,
    } = ran;
    traces.sort_by_key(|trace| trace.index);
    let first = traces
        .iter()
        .map(|trace| trace.due.min(trace.sent))
        .min_by(f64::total_cmp);
    let last = traces
        .iter()
        .map(|trace| trace.ended)
        .max_by(f64::total_cmp);
    let wall_time = first
        .zip(last)
        .map_or(0.0, |(first, last)| (last - first).max(0.0));
    Driven {
        wall_time: Duration::from_secs_f64(wall_time),
        traces,
        fingerprint,
        client,
        stop,
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
