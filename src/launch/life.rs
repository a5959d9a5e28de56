//! Whether a server is still alive: set by its watcher, read by others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::fault::Exit;

/// Shared by the watcher of a server and the code that depends on the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    ended: CancellationToken,
    exit: Arc<OnceLock<Exit>>,
    stopping: Arc<AtomicBool>,
}

impl Life {
    /// From here on an end is expected.
    pub(super) fn expect_end(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to end.
    pub(super) fn is_end_expected(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The server has ended.
    pub(super) fn end(&self, exit: Exit) {
        // A second end changes nothing.
        let _known = self.exit.set(exit);
        if !self.is_end_expected() {
            self.ended.cancel();
        }
    }

    /// Cancelled when the server ends without being asked to.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// How it ended, after its end.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.get().copied()
    }
}
