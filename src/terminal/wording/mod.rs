//! Events in words: the only place where what happens becomes a sentence on stderr.

mod bisect;
mod gate;
mod git;
mod input;
pub(super) mod run;
mod storage;
mod sweep;

use crate::event::Event;

/// The lines that tell of an event, but for those of a run.
pub(super) fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Bisect(event) => vec![bisect::words(event)],
        Event::Gate(event) => vec![gate::words(event)],
        Event::Git(event) => git::lines(event),
        Event::Storage(event) => vec![storage::line(event)],
        Event::Input(event) => input::lines(event),
        Event::Sweep(event) => sweep::lines(event),
        // A bar, a count or a reminder may be part of it: `progress` shows it.
        Event::Run(_) => Vec::new(),
    }
}
