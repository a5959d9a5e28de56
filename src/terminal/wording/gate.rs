//! The words of a gate's events.

use crate::event::{Because, GateEvent};
use crate::text::number::{percent, signed_percent};

/// The line that tells of the event.
pub(super) fn words(event: &GateEvent) -> String {
    match event {
        GateEvent::Continued { headline } => {
            format!("continuing an earlier run of this commit ({headline}): adding to its evidence")
        }
        GateEvent::BeganAnew { repeats, pairs } => format!(
            "an earlier run of this commit measured another build, another machine or against another baseline, or its evidence is gone: evidence starts anew with what is left of the accepted error probabilities (interim looks spent: {repeats} at repeats, {pairs} at pairs)"
        ),
        GateEvent::NothingLeft => {
            "all interim looks at this commit are used; only a measurement with the base version at hand can decide more".to_owned()
        }
        GateEvent::Repeats {
            because,
            have,
            need,
        } => {
            let because = prefix(because);
            if have < need {
                format!("{because}measuring repeats {} to {need} of the candidate", have + 1)
            } else {
                format!("{because}looking at the {have} repeats of the candidate that are there")
            }
        }
        GateEvent::Pairs {
            because,
            have,
            need,
        } => {
            let because = prefix(because);
            if have < need {
                format!(
                    "{because}measuring baseline and candidate alternately on this machine, pairs {} to {need}",
                    have + 1
                )
            } else {
                format!("{because}looking at the {have} alternating pairs that are there")
            }
        }
        GateEvent::MorePairs { because, more } => format!(
            "{}every interim look is spent; {more} more pairs may still block",
            prefix(because)
        ),
        GateEvent::NoStoredBaseline => {
            "there is no stored baseline of this machine: measuring the base version alternately with the candidate".to_owned()
        }
        GateEvent::BaselineTooNoisy => {
            "more repeats of the candidate cannot decide against this baseline, so the gate stops: give the base version \
             (`--base-image`, `server.base`), or accept a baseline from a quieter machine".to_owned()
        }
    }
}

/// Why the gate measures on, before what it measures.
fn prefix(because: &Because) -> String {
    match because {
        Because::First => String::new(),
        Because::RunAgain => "run again on the same commit: ".to_owned(),
        Because::NotComparable { headline } => {
            format!("not comparable with the stored baseline ({headline}): ")
        }
        Because::Undecided {
            headline,
            open: None,
        } => format!("undecided, {headline}: "),
        Because::Undecided {
            open: Some(open), ..
        } => format!(
            "undecided, the change of {} at {} lies between {} and {} (plus is worse, the limit is {}): ",
            open.metric.label(),
            open.scenario,
            signed_percent(open.low),
            signed_percent(open.high),
            percent(open.limit)
        ),
    }
}
