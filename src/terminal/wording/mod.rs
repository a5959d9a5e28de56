//! Messages of events: the only place that words events for stderr.

mod adapter;
mod bisect;
mod gate;
mod input;
pub(super) mod run;
mod sweep;

use crate::event::Event;
use run::Line;

/// The messages of an event; progress has none.
pub(super) fn lines(event: &Event) -> Vec<Line> {
    let lines = match event {
        Event::Bisect(event) => vec![bisect::line(event)],
        Event::Gate(event) => vec![gate::line(event)],
        Event::Git(event) => adapter::git(event),
        Event::Storage(event) => vec![adapter::storage(event)],
        Event::Input(event) => vec![input::line(event)],
        Event::Sweep(event) => sweep::lines(event),
        Event::Run(event) => return vec![run::line(event)],
        Event::Progress(_) => Vec::new(),
    };
    lines.into_iter().map(Line::Always).collect()
}
