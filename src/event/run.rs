//! Events of a measurement.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Progress that is shown as a bar or repeated, from its begin to its end.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A long wait begins; the last phase is repeated regularly until [`Progress::WaitEnds`].
    WaitBegins,
    /// The wait is over, with any result.
    WaitEnds,
    /// Sending begins, until [`Progress::Sent`].
    Sending {
        /// The repeat.
        repeat: RepeatLabel,
        /// Name of the load point.
        load: String,
        /// Warm-up or measurement.
        part: LoadPart,
        /// Number of requests.
        total: usize,
        /// Number of finished requests.
        done: Arc<AtomicUsize>,
    },
    /// Sending has ended.
    Sent {
        /// Whether it completed; else the load was aborted.
        finished: bool,
    },
}

/// An event of `runner/`, with the data for its message.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// A server is being started.
    Starting {
        /// The repeat.
        repeat: RepeatLabel,
        /// The current step of the start.
        phase: StartPhase,
    },
    /// A GPU of the server is not free yet.
    WaitingForGpu {
        /// The repeat.
        repeat: RepeatLabel,
        /// The GPU and its user.
        in_use: String,
        /// The time limit of the wait.
        at_most: Duration,
    },
    /// A GPU has memory in use without a visible process.
    GpuInUse {
        /// The GPU and the amount.
        in_use: String,
    },
    /// A loopback address may be a tunnel.
    ServerMayBeElsewhere {
        /// Why.
        doubt: String,
    },
    /// Hardware or version differ from what the plan expects.
    NotAsExpected {
        /// The difference.
        mismatch: String,
    },
    /// A concern about the result; shown once per run.
    Concern {
        /// Its level.
        level: ConcernLevel,
        /// Its topic, the same in every repeat.
        about: String,
        /// The message.
        message: String,
    },
    /// All requests ended before the planned duration.
    RanOut {
        /// Name of the load point.
        load: String,
        /// Number of requests.
        requests: usize,
        /// End of the last one, in seconds.
        after: Duration,
        /// Planned duration, in seconds.
        duration: Duration,
    },
    /// A data set has fewer entries than a load point needs.
    DataSetEnds {
        /// Name of the load point.
        load: String,
        /// Number of entries.
        requests: usize,
        /// Number of requests that the load needs.
        wanted: usize,
    },
    /// A repeat is void.
    Void {
        /// The repeat; a search of loads does not number its measurements.
        repeat: Option<RepeatLabel>,
        /// Name of the load point.
        load: String,
        /// Why.
        reason: String,
    },
    /// The run is interrupted, and its server is stopping.
    StoppingAfterInterruption,
    /// Another perfgate holds a lock.
    WaitingForLock {
        /// The locked object.
        what: String,
        /// The process that holds it, if known.
        holder: Option<u32>,
    },
    /// The file system has no locks, so a second perfgate cannot be excluded.
    NoLocks {
        /// The object to lock.
        what: String,
        /// The system's reason.
        error: String,
    },
}

/// Names a repeat of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatLabel {
    /// The side's name; empty where there is only one.
    pub side: &'static str,
    /// From 1.
    pub number: u32,
    /// The wanted number.
    pub of: u32,
}

/// A part of a load point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPart {
    /// The warm-up.
    WarmUp,
    /// The repeated warm-up until the server is stable; its number, from 1.
    WarmUpWindow(u32),
    /// The measurement.
    Measured,
}

/// Level of a concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcernLevel {
    /// It may affect the result.
    Warning,
    /// Information.
    Note,
}

/// The current step of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPhase {
    /// Pulling the image.
    Pulling {
        /// Its reference.
        image: String,
        /// `3.2 of 8.1 GiB, 12 of 20 layers`, if known.
        how_far: Option<String>,
    },
    /// Waiting for a credential helper.
    AskingForLogin {
        /// The program.
        helper: String,
        /// The time limit of the wait.
        at_most: Duration,
    },
    /// The container or process is being started.
    Starting,
    /// It runs and loads the model.
    Loading,
}
