//! Events in words: the only place where what happens becomes a sentence on stderr.

mod gate;
mod git;
mod input;
mod storage;

use crate::event::Event;

/// The lines that tell of an event.
pub(super) fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::Gate(event) => vec![gate::words(event)],
        Event::Git(event) => git::lines(event),
        Event::Storage(event) => vec![storage::line(event)],
        Event::Input(event) => input::lines(event),
        Event::Run(event) => match *event {},
    }
}
