//! Closed and open loop: when each request is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::LoadError;
use super::answer::Expected;
use super::body::RequestTemplate;
use super::client::{Client, Prepared};
use crate::config::LoadPoint;
use crate::measure::RequestTrace;
use crate::workload::{Request, arrivals};

/// One pass of requests at one load point.
#[derive(Clone, Debug)]
pub struct Drive<'a> {
    /// Where to.
    pub client: &'a Client,
    /// What all requests have in common.
    pub template: &'a RequestTemplate,
    /// The requests, in workload order.
    pub requests: &'a [Request],
    /// When they are sent.
    pub load: LoadPoint,
    /// Longest time that one request may take.
    pub timeout: Duration,
    /// No request is started after this long.
    pub duration: Option<Duration>,
    /// Seed of arrival times.
    pub seed: u64,
}

/// What came of a pass.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    /// One trace per request that was started, in workload order.
    pub traces: Vec<RequestTrace>,
    /// First send to last byte.
    pub wall_time: Duration,
    /// `system_fingerprint` of the server's answers.
    pub fingerprint: Option<String>,
}

/// What all senders of a pass share.
#[derive(Debug)]
struct Shared {
    client: Client,
    queue: Vec<Prepared>,
    next: AtomicUsize,
    done: Arc<AtomicUsize>,
    timeout: Duration,
    stop_after: Option<Duration>,
    origin: Instant,
}

type Sent = Vec<(RequestTrace, Option<String>)>;

impl Drive<'_> {
    /// Sends the requests and waits for the last one. `done` counts the ended ones, for progress. Cancelling drops
    /// every connection at once.
    pub async fn run(
        &self,
        done: Arc<AtomicUsize>,
        cancel: &CancellationToken,
    ) -> Result<Driven, LoadError> {
        // Rendered before the clock starts: making JSON must not be part of a latency.
        let queue = self.prepare()?;
        let shared = Arc::new(Shared {
            client: self.client.clone(),
            next: AtomicUsize::new(0),
            done,
            timeout: self.timeout,
            stop_after: self.duration,
            origin: Instant::now(),
            queue,
        });
        let mut senders = match self.load {
            LoadPoint::Concurrency(concurrency) => closed_loop(&shared, concurrency),
            LoadPoint::Rate {
                per_second,
                burstiness,
            } => open_loop(
                &shared,
                &arrivals(per_second, burstiness, self.requests.len(), self.seed),
            ),
            LoadPoint::Trace { .. } => open_loop(&shared, &self.due()),
        };
        let mut sent: Sent = Vec::with_capacity(self.requests.len());
        loop {
            // Dropping the set on the way out aborts what is still in flight.
            tokio::select! {
                () = cancel.cancelled() => return Err(LoadError::Cancelled),
                joined = senders.join_next() => match joined {
                    Some(joined) => sent.extend(joined.map_err(|error| LoadError::Sender(error.to_string()))?),
                    None => break,
                },
            }
        }
        Ok(collect(sent))
    }

    /// When the trace sends each request; a later turn is due with the first one of its conversation.
    fn due(&self) -> Vec<Duration> {
        let mut last = Duration::ZERO;
        let due = self.requests.iter().map(|request| {
            last = request.due.unwrap_or(last);
            last
        });
        due.collect()
    }

    fn prepare(&self) -> Result<Vec<Prepared>, LoadError> {
        let prepared = self.requests.iter().map(|request| {
            let body = self.template.body(request).map_err(LoadError::Body)?;
            let exact = self.template.sampling.ignore_eos;
            Ok(Prepared {
                index: request.index,
                body: body.into(),
                expected: Expected {
                    output_tokens: request.output_tokens,
                    exact,
                },
            })
        });
        prepared.collect()
    }
}

/// `concurrency` senders, each taking the next request as soon as its last one has ended.
fn closed_loop(shared: &Arc<Shared>, concurrency: usize) -> JoinSet<Sent> {
    let mut senders = JoinSet::new();
    for _ in 0..concurrency.min(shared.queue.len()) {
        let shared = Arc::clone(shared);
        senders.spawn(async move {
            let mut sent = Vec::new();
            while let Some(prepared) = shared
                .queue
                .get(shared.next.fetch_add(1, Ordering::Relaxed))
            {
                if shared
                    .stop_after
                    .is_some_and(|limit| shared.origin.elapsed() >= limit)
                {
                    break;
                }
                sent.push(
                    shared
                        .client
                        .send(prepared.clone(), shared.timeout, shared.origin, None)
                        .await,
                );
                shared.done.fetch_add(1, Ordering::Relaxed);
            }
            sent
        });
    }
    senders
}

/// One sender per request, each waiting for its absolute due time.
fn open_loop(shared: &Arc<Shared>, due: &[Duration]) -> JoinSet<Sent> {
    let mut senders = JoinSet::new();
    for (prepared, due) in shared.queue.iter().zip(due.iter().copied()) {
        if shared.stop_after.is_some_and(|limit| due >= limit) {
            break;
        }
        let (shared, prepared) = (Arc::clone(shared), prepared.clone());
        senders.spawn(async move {
            tokio::time::sleep_until((shared.origin + due).into()).await;
            let sent = shared
                .client
                .send(prepared, shared.timeout, shared.origin, Some(due))
                .await;
            shared.done.fetch_add(1, Ordering::Relaxed);
            vec![sent]
        });
    }
    senders
}

fn collect(mut sent: Sent) -> Driven {
    sent.sort_by_key(|(trace, _)| trace.index);
    let first = sent
        .iter()
        .map(|(trace, _)| trace.due.min(trace.sent))
        .min_by(f64::total_cmp);
    let last = sent
        .iter()
        .map(|(trace, _)| trace.ended)
        .max_by(f64::total_cmp);
    let wall_time = first
        .zip(last)
        .map_or(0.0, |(first, last)| (last - first).max(0.0));
    let fingerprint = sent.iter().find_map(|(_, fingerprint)| fingerprint.clone());
    Driven {
        wall_time: Duration::from_secs_f64(wall_time),
        fingerprint,
        traces: sent.into_iter().map(|(trace, _)| trace).collect(),
    }
}
