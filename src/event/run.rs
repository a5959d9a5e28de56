//! What happens while something is measured.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// An event of `runner/`; each carries the data to word it.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// A start takes its time; the latest phase is repeated now and then until [`RunEvent::WaitEnds`].
    WaitBegins,
    /// It is over, whatever came of it.
    WaitEnds,
    /// A server is being started.
    Starting {
        /// For which repeat.
        repeat: RepeatLabel,
        /// What the start is busy with.
        phase: StartPhase,
    },
    /// A GPU of the server is not free yet.
    WaitingForGpu {
        /// For which repeat.
        repeat: RepeatLabel,
        /// Which GPU, and what uses it.
        in_use: String,
        /// How long it is waited for.
        at_most: Duration,
    },
    /// A GPU has memory in use, and no process to end.
    GpuInUse {
        /// Which GPU, and how much of it.
        in_use: String,
    },
    /// A loopback address may be the end of a tunnel.
    ServerMayBeElsewhere {
        /// Why.
        doubt: String,
    },
    /// Hardware or version differ from what the plan expects.
    NotAsExpected {
        /// What differs.
        mismatch: String,
    },
    /// Requests are being sent, until [`RunEvent::Sent`].
    Sending {
        /// In which repeat.
        repeat: RepeatLabel,
        /// Name of the load point.
        load: String,
        /// Whether they count.
        part: LoadPart,
        /// How many there are.
        total: usize,
        /// How many have ended so far.
        done: Arc<AtomicUsize>,
    },
    /// No more requests are sent.
    Sent {
        /// Whether all ended as planned; else the load was given up.
        finished: bool,
    },
    /// Something that a reader of the result should know; shown once a run.
    Concern {
        /// How loud.
        level: ConcernLevel,
        /// What it is about, the same in every repeat.
        about: String,
        /// A sentence.
        message: String,
    },
    /// All requests had ended before the time that they should fill.
    RanOut {
        /// Name of the load point.
        load: String,
        /// How many there were.
        requests: usize,
        /// When the last one ended.
        after: Duration,
        /// How long it should have been.
        duration: Duration,
    },
    /// A data set has fewer entries than a load point would take.
    DataSetEnds {
        /// Name of the load point.
        load: String,
        /// Entries.
        requests: usize,
        /// Requests that the load would take.
        wanted: usize,
    },
    /// A repeat does not count.
    Void {
        /// Which one; a search of loads does not number its measurements.
        repeat: Option<RepeatLabel>,
        /// Name of the load point.
        load: String,
        /// Why.
        reason: String,
    },
    /// The run was interrupted, and its server is being stopped.
    StoppingAfterInterruption,
    /// Another perfgate has what this one needs.
    WaitingForLock {
        /// What is locked.
        what: String,
        /// The process that has it, where it is known.
        holder: Option<u32>,
    },
    /// The file system has no locks, so nothing keeps a second perfgate away.
    NoLocks {
        /// What should be locked.
        what: String,
        /// The system's reason.
        error: String,
    },
}

/// Which repeat of which side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatLabel {
    /// The side's name; empty where there is only one.
    pub side: &'static str,
    /// From 1.
    pub number: u32,
    /// How many are wanted.
    pub of: u32,
}

/// Which requests of a load point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPart {
    /// They count for nothing.
    WarmUp,
    /// The same, sent anew until the server has come to rest; which time, from 1.
    WarmUpWindow(u32),
    /// They are measured.
    Measured,
}

/// How loud a concern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcernLevel {
    /// It may make the result worth less.
    Warning,
    /// It is told.
    Note,
}

/// What a start is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPhase {
    /// The image comes from its registry.
    Pulling {
        /// Its reference.
        image: String,
        /// `3.2 of 8.1 GiB, 12 of 20 layers`, once something has come.
        how_far: Option<String>,
    },
    /// A program that keeps logins is asked for that of the image's registry.
    AskingForLogin {
        /// The program.
        helper: String,
        /// How long it is waited for.
        at_most: Duration,
    },
    /// The container or process is being started.
    Starting,
    /// It runs, and loads the model.
    Loading,
}
