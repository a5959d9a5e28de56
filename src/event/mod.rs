//! What a run tells while it goes on: types only. A procedure gets [`Events`] from the command that starts it and emits what
//! happens; `terminal` words and shows it. So plural forms, `--quiet` and the wording of notes have one place.
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

/// Something that happened, or that goes on.
#[derive(Clone, Debug)]
pub enum Event {
    /// While commits are judged.
    Bisect(BisectEvent),
    /// While a gate decides.
    Gate(GateEvent),
    /// In the repository of git.
    Git(GitEvent),
    /// While accepted runs were read or written.
    Storage(StorageEvent),
    /// While arguments and files became a plan, a policy or a base.
    Input(InputEvent),
    /// While something was measured.
    Run(RunEvent),
    /// While loads were measured one after the other.
    Sweep(SweepEvent),
}

/// Where events go. Cheap to clone; each event is shown before [`Events::emit`] returns.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Hands every event to that function.
    pub fn to(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells nobody.
    pub fn ignored() -> Self {
        Self::to(|_| {})
    }

    /// Tells of an event.
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
