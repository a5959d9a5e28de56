//! Ctrl-C and SIGTERM as tokens that every wait can watch.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Signals within this time count as one: `timeout` and some shells signal a process and its group.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// The first SIGINT, SIGTERM or SIGHUP cancels `token`, so that perfgate removes what it started. The second cancels `hurry`,
/// so that perfgate does not wait for the removal.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    token: CancellationToken,
    hurry: CancellationToken,
}

impl Interrupt {
    /// Must be called within a runtime.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error));
        let signals = [
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ];
        let interrupt = Self {
            token: CancellationToken::new(),
            hurry: CancellationToken::new(),
        };
        tokio::spawn(interrupt.clone().cancel_on(signals));
        Ok(interrupt)
    }

    /// Cancelled after the first signal.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Cancelled after the second signal.
    pub(crate) fn hurry(&self) -> &CancellationToken {
        &self.hurry
    }

    /// An error after the first signal, so that no new step begins.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.token.is_cancelled() {
            Err(Failure::message(ExitStatus::Interrupted, "interrupted"))
        } else {
            Ok(())
        }
    }

    async fn cancel_on(self, [mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
        let mut first = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            self.token.cancel();
            let first = *first.get_or_insert_with(Instant::now);
            if first.elapsed() > DEBOUNCE {
                return self.hurry.cancel();
            }
        }
    }
}
