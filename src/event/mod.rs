//! Events of a run: types only. Procedures get [`Events`] from their command and emit events; `terminal` words and shows
//! them. So plural forms, `--quiet` and wording are in one place.
//!
//! ```text
//! git, baseline, inputs, runner ──Event──▶ Events ──▶ terminal (words, bars, lines on stderr)
//! ```

mod bisect;
mod gate;
mod git;
mod input;
mod run;
mod storage;
mod sweep;

use std::fmt;
use std::sync::Arc;

pub use bisect::{BisectEvent, BisectTask, JudgedChange};
pub use gate::{Because, GateEvent, OpenRule};
pub use git::GitEvent;
pub use input::InputEvent;
pub use run::{ConcernLevel, LoadPart, RepeatLabel, RunEvent, StartPhase};
pub use storage::StorageEvent;
pub use sweep::SweepEvent;

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// Of bisect.
    Bisect(BisectEvent),
    /// Of a gate.
    Gate(GateEvent),
    /// Of the git repository.
    Git(GitEvent),
    /// Of the storage of accepted runs.
    Storage(StorageEvent),
    /// Of resolving arguments and files.
    Input(InputEvent),
    /// Of a measurement.
    Run(RunEvent),
    /// While loads were measured one after the other.
    Sweep(SweepEvent),
}

/// Receiver of events. Cheap to clone; each event is shown before [`Events::emit`] returns.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends every event to a function.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Drops all events.
    pub fn ignored() -> Self {
        Self::to(|_| {})
    }

    /// Emits an event.
    pub fn emit(&self, event: impl Into<Event>) {
        (self.0)(event.into());
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}

impl From<BisectEvent> for Event {
    fn from(event: BisectEvent) -> Self {
        Self::Bisect(event)
    }
}

impl From<GateEvent> for Event {
    fn from(event: GateEvent) -> Self {
        Self::Gate(event)
    }
}

impl From<GitEvent> for Event {
    fn from(event: GitEvent) -> Self {
        Self::Git(event)
    }
}

impl From<StorageEvent> for Event {
    fn from(event: StorageEvent) -> Self {
        Self::Storage(event)
    }
}

impl From<SweepEvent> for Event {
    fn from(event: SweepEvent) -> Self {
        Self::Sweep(event)
    }
}

impl From<InputEvent> for Event {
    fn from(event: InputEvent) -> Self {
        Self::Input(event)
    }
}

impl From<RunEvent> for Event {
    fn from(event: RunEvent) -> Self {
        Self::Run(event)
    }
}
