//! Ctrl-C and SIGTERM as tokens that every wait can watch.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::ExitStatus;
use crate::failure::Failure;

/// Signals so close to each other are one: `timeout` and some shells send theirs to a process and to its group.
const ONE_PRESS: Duration = Duration::from_millis(300);

/// Turns the first SIGINT, SIGTERM or SIGHUP into a cancelled token, so that what was started is removed on the way out, and
/// the second into another one, so that it is not waited for.
#[derive(Debug)]
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
        tokio::spawn(hear(
            signals,
            interrupt.token.clone(),
            interrupt.hurry.clone(),
        ));
        Ok(interrupt)
    }

    /// Cancelled once a signal has come.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Cancelled once a second signal has come.
    pub(crate) fn hurry(&self) -> &CancellationToken {
        &self.hurry
    }

    /// An error once a signal has come: whatever is done, nothing is begun any more.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.token.is_cancelled() {
            Err(Failure::message(ExitStatus::Interrupted, "interrupted"))
        } else {
            Ok(())
        }
    }
}

async fn hear(signals: [Signal; 3], token: CancellationToken, hurry: CancellationToken) {
    let [mut interrupt, mut terminate, mut hangup] = signals;
    let mut first = None;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        token.cancel();
        let first = *first.get_or_insert_with(Instant::now);
        if first.elapsed() > ONE_PRESS {
            hurry.cancel();
            return;
        }
    }
}
