//! Messages of gate events.

use crate::event::{Because, GateEvent, NextSample, SampleKind};
use crate::text::number::{percent, signed_percent};

/// The message of an event.
pub(super) fn line(event: &GateEvent) -> String {
    match event {
        GateEvent::Continued { headline } => {
            format!("continuing an earlier run of this commit ({headline}): adding to its evidence")
        }
        GateEvent::BeganAnew { repeats, pairs } => format!(
            "an earlier run of this commit used another build, machine or baseline, or its evidence is missing: starting new evidence with the remaining error probabilities (interim looks spent: {repeats} at repeats, {pairs} at pairs)"
        ),
        GateEvent::NothingLeft => {
            "all interim looks at this commit are spent; only a measurement with the base version, or a new commit, can still decide".to_owned()
        }
        GateEvent::Measuring(sample) => prefix(&sample.because) + &measuring(sample),
        GateEvent::NoStoredBaseline => {
            "no stored baseline for this hardware: measuring the base version alternately with the candidate".to_owned()
        }
        GateEvent::BaselineTooNoisy => {
            "more repeats of the candidate cannot decide against this baseline, so the gate stops: provide the base version \
             (`--base-image`, `server.base`), or accept a baseline from a quieter machine".to_owned()
        }
    }
}

fn measuring(sample: &NextSample) -> String {
    let NextSample { have, need, .. } = sample;
    match (sample.kind, have < need) {
        (SampleKind::Repeats, true) => {
            format!("measuring repeats {} to {need} of the candidate", have + 1)
        }
        (SampleKind::Repeats, false) => {
            format!("interim look at the existing {have} repeats of the candidate")
        }
        (SampleKind::Pairs, true) => format!(
            "measuring baseline and candidate alternately on this machine, pairs {} to {need}",
            have + 1
        ),
        (SampleKind::Pairs, false) => {
            format!("interim look at the existing {have} alternating pairs")
        }
        (SampleKind::MorePairs, _) => format!(
            "all interim looks are spent; {} more pairs can still block",
            need - have
        ),
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
