//! Ctrl-C and SIGTERM as a token that every wait can watch.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::exit::ExitStatus;

/// Turns the first SIGINT, SIGTERM or SIGHUP into a cancelled token, so that what was started is removed on the way out.
#[derive(Debug)]
pub(super) struct Interrupt {
    token: CancellationToken,
}

impl Interrupt {
    /// Must be called within a runtime.
    pub(super) fn listen() -> Result<Self, Failure> {
        let token = CancellationToken::new();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
            let mut signals = signal(kind)
                .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))?;
            let token = token.clone();
            tokio::spawn(async move {
                signals.recv().await;
                token.cancel();
            });
        }
        Ok(Self { token })
    }

    /// Cancelled once a signal has come.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}
