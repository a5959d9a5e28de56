//! The thread that samples the GPUs during a load. A separate thread, because the driver's calls block; a thread that hangs
//! is abandoned.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Account, HUNG, Search, Session, SourceName, hung, reason_of};

/// Sampling intervals of the sources.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Pace {
    /// The library: a sample is cheap.
    pub(in crate::telemetry) library: Duration,
    /// A program: a sample starts a process.
    pub(in crate::telemetry) program: Duration,
}

/// A thread that samples until it is finished or dropped.
#[derive(Debug)]
pub(in crate::telemetry) struct Watch {
    account: Arc<Mutex<Account>>,
    stop: mpsc::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Watch {
    /// Starts it; returns after its first sample, or when that is given up.
    pub(in crate::telemetry) async fn start(
        search: &Search,
        pace: Pace,
        server: Option<BTreeSet<u32>>,
    ) -> Self {
        let account = Arc::new(Mutex::new(Account::new(server)));
        let (stop, stopped) = mpsc::channel();
        let (looked, first_look) = oneshot::channel();
        let (ended, done) = oneshot::channel();
        let (search, samples) = (search.clone(), Arc::clone(&account));
        let spawned = std::thread::Builder::new()
            .name("gpu-telemetry".to_owned())
            .spawn(move || {
                sample(&search, pace, &samples, looked, &stopped);
                // The receiver is gone after a timeout.
                let _late = ended.send(());
            });
        let watch = Self {
            account,
            stop,
            done,
        };
        match spawned {
            Err(error) => watch
                .account()
                .end(format!("cannot start the thread for the GPUs: {error}")),
            Ok(_) => {
                if tokio::time::timeout(HUNG, first_look).await.is_err() {
                    watch.account().end(hung());
                }
            }
        }
        watch
    }

    /// The samples so far.
    pub(in crate::telemetry) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }

    /// Takes a last sample.
    pub(in crate::telemetry) async fn finish(&mut self) {
        // A thread without a source has ended already.
        let _ended = self.stop.send(());
        if tokio::time::timeout(HUNG, &mut self.done).await.is_err() {
            self.account().end(hung());
        }
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's part. `looked` receives a message after the first sample.
fn sample(
    search: &Search,
    pace: Pace,
    account: &Mutex<Account>,
    looked: oneshot::Sender<()>,
    stopped: &mpsc::Receiver<()>,
) {
    let began = Instant::now();
    let (session, survey) = Session::open(search);
    let (Some(mut session), Some(source)) = (session, survey.source) else {
        // The receiver of the first sample sees that this has ended.
        return lock(account).end(reason_of(&survey.passed));
    };
    lock(account).take(source, Ok(survey.gpus));
    let _waiting = looked.send(());
    let interval = match source {
        SourceName::Nvml => pace.library,
        SourceName::NvidiaSmi | SourceName::AmdSmi | SourceName::Simulator => pace.program,
    };
    let mut next = began + interval;
    loop {
        let wait = next.saturating_duration_since(Instant::now());
        let last = match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) => true,
            // The sampler was dropped.
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Outside the lock: a sample may take as long as the driver needs.
        let look = session.look(last, search);
        lock(account).take(source, look);
        if last {
            return;
        }
        // Missed intervals are skipped: several samples in a row would count one moment several times.
        next = (next + interval).max(Instant::now());
    }
}
