//! The thread that looks at the GPUs beside a load. A thread of its own, since the driver's calls block; one that hangs is
//! left behind.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Account, HUNG, Search, Session, SourceName, hung};

/// How often which source is asked.
#[derive(Clone, Copy, Debug)]
pub(in crate::telemetry) struct Pace {
    /// The library: a look costs little.
    pub(in crate::telemetry) library: Duration,
    /// A program: a look starts a process.
    pub(in crate::telemetry) program: Duration,
}

/// A thread that looks until it is told to finish, or dropped.
#[derive(Debug)]
pub(in crate::telemetry) struct Watch {
    account: Arc<Mutex<Account>>,
    stop: mpsc::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Watch {
    /// Starts it; its first look is over, or given up, when this returns.
    pub(in crate::telemetry) async fn start(
        search: &Search,
        pace: Pace,
        server: Option<BTreeSet<u32>>,
    ) -> Self {
        let account = Arc::new(Mutex::new(Account::new(server)));
        let (stop, stopped) = mpsc::channel();
        let (looked, first_look) = oneshot::channel();
        let (ended, done) = oneshot::channel();
        let thread = Looking {
            account: Arc::clone(&account),
            pace,
            stopped,
        };
        let search = search.clone();
        let spawned = std::thread::Builder::new()
            .name("gpu-telemetry".to_owned())
            .spawn(move || {
                thread.run(&search, looked);
                // Nobody waits any more where it hung.
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
                .end(format!("no thread for the GPUs: {error}")),
            Ok(_) => {
                if tokio::time::timeout(HUNG, first_look).await.is_err() {
                    watch.account().end(hung());
                }
            }
        }
        watch
    }

    /// What was seen so far.
    pub(in crate::telemetry) fn account(&self) -> MutexGuard<'_, Account> {
        lock(&self.account)
    }

    /// Lets it look a last time.
    pub(in crate::telemetry) async fn finish(&mut self) {
        // A thread that has found nothing has ended already.
        let _ended = self.stop.send(());
        if tokio::time::timeout(HUNG, &mut self.done).await.is_err() {
            self.account().end(hung());
        }
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's side.
struct Looking {
    account: Arc<Mutex<Account>>,
    pace: Pace,
    stopped: mpsc::Receiver<()>,
}

impl Looking {
    fn run(self, search: &Search, looked: oneshot::Sender<()>) {
        let began = Instant::now();
        let opened = Session::open(search);
        let mut session = match opened {
            Ok((session, readings, _)) => {
                lock(&self.account).take(session.name(), Ok(readings));
                session
            }
            Err(passed) => {
                lock(&self.account).nobody_answers(&passed);
                // Whoever waits sees that this is over.
                drop(looked);
                return;
            }
        };
        let _waiting = looked.send(());
        let interval = match session.name() {
            SourceName::Nvml => self.pace.library,
            SourceName::NvidiaSmi | SourceName::AmdSmi | SourceName::Simulator => self.pace.program,
        };
        let mut next = began + interval;
        loop {
            let wait = next.saturating_duration_since(Instant::now());
            let last = match self.stopped.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => false,
                Ok(()) => true,
                // Nobody wants to know any more.
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Outside the lock: a look may take as long as the driver likes.
            let look = session.look(last, search);
            lock(&self.account).take(session.name(), look);
            if last {
                return;
            }
            // Beats that were missed are not made up for: looks in a row would see one moment several times.
            next = (next + interval).max(Instant::now());
        }
    }
}
