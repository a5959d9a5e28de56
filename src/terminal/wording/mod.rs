//! Messages of events: the only place that words events for stderr.

mod bisect;
mod gate;
mod git;
mod input;
pub(super) mod run;
mod storage;
mod sweep;

use crate::event::Event;

/// The messages of an event, except those of a run.
pub(super) fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Bisect(event) => vec![bisect::words(event)],
        Event::Gate(event) => vec![gate::words(event)],
        Event::Git(event) => git::lines(event),
        Event::Storage(event) => vec![storage::line(event)],
        Event::Input(event) => input::lines(event),
        Event::Sweep(event) => sweep::lines(event),
        // `progress` shows these with bars, counters and reminders.
        Event::Run(_) => Vec::new(),
    }
}
