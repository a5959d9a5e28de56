//! Events of a run: types only. Procedures get [`Events`] from their command and emit events; `terminal` words and shows
//! them. So plural forms, `--quiet` and wording are in one place.
//!
//! ```text
//! git, baseline, inputs, runner ──Event──▶ Events ──▶ terminal (words, bars, lines on stderr)
//! ```

mod adapter;
mod bisect;
mod gate;
mod input;
mod run;
mod sweep;

use std::fmt;
use std::sync::Arc;

pub use adapter::{GitEvent, StorageEvent};
pub use bisect::BisectEvent;
pub use gate::{Because, GateEvent, NextSample, OpenRule, SampleKind};
pub use input::InputEvent;
pub use run::{ConcernLevel, LoadPart, Progress, RepeatLabel, RunEvent, StartPhase};
pub use sweep::SweepEvent;

/// Defines [`Event`], and makes one of each kind.
macro_rules! events {
    ($($(#[$doc:meta])* $kind:ident($event:ident),)+) => {
        /// An event.
        #[derive(Clone, Debug)]
        pub enum Event {
            $($(#[$doc])* $kind($event),)+
        }
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$kind(event)
            }
        })+
    };
}

events! {
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
    /// Of a measurement, shown until it ends.
    Progress(Progress),
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

    /// Emits the begin of progress now, and its end when the returned value is dropped.
    pub fn progress(&self, begin: Progress, end: Progress) -> Ongoing<'_> {
        self.emit(begin);
        Ongoing { events: self, end }
    }
}

/// Progress until this value is dropped, also because its work was aborted.
#[derive(Debug)]
#[must_use]
pub struct Ongoing<'e> {
    events: &'e Events,
    /// The event of its end.
    pub end: Progress,
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        self.events.emit(self.end.clone());
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}
