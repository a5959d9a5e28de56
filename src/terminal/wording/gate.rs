//! Messages of gate events.

use crate::event::{Because, GateEvent};
use crate::text::number::{percent, signed_percent};

/// The message of an event.
pub(super) fn words(event: &GateEvent) -> String {
    match event {
        GateEvent::Continued { headline } => {
            format!("continuing an earlier run of this commit ({headline}): adding to its evidence")
        }
        GateEvent::BeganAnew { repeats, pairs } => format!(
            "an earlier run of this commit used another build, machine or baseline, or its evidence is missing: starting new evidence with the remaining error probabilities (interim looks spent: {repeats} at repeats, {pairs} at pairs)"
        ),
        GateEvent::NothingLeft => {
            "all interim looks at this commit are spent; only a measurement with the base version can still decide".to_owned()
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
                format!("{because}interim look at the existing {have} repeats of the candidate")
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
                format!("{because}interim look at the existing {have} alternating pairs")
            }
        }
        GateEvent::MorePairs { because, more } => format!(
            "{}all interim looks are spent; {more} more pairs can still block",
            prefix(because)
        ),
        GateEvent::NoStoredBaseline => {
            "no stored baseline for this hardware: measuring the base version alternately with the candidate".to_owned()
        }
        GateEvent::BaselineTooNoisy => {
            "more repeats of the candidate cannot decide against this baseline, so the gate stops: provide the base version \
             (`--base-image`, `server.base`), or accept a baseline from a quieter machine".to_owned()
        }
    }
}

/// The reason, as a prefix of the message.
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
            "undecided, the change of {} at {} is between {} and {} (positive is worse, limit {}): ",
            open.metric.label(),
            open.scenario,
            signed_percent(open.low),
            signed_percent(open.high),
            percent(open.limit)
        ),
    }
}
