//! Messages of gate events.

use crate::event::{Because, GateEvent, NextSample, SampleKind};
use crate::text::count::count;
use crate::text::number::{percent, signed_percent};

/// The message of an event.
pub(super) fn line(event: &GateEvent) -> String {
    match event {
        GateEvent::Continued { headline } => {
            format!("continuing an earlier run of this commit ({headline}): adding to its evidence")
        }
        GateEvent::BeganAnew { alpha, beta } => format!(
            "an earlier run of this commit used another build, machine or baseline, or its evidence is missing: starting new evidence with the error probabilities that are left ({} of a false block, {} of a false pass)",
            percent(*alpha),
            percent(*beta)
        ),
        GateEvent::OtherSchedule => {
            "earlier evidence of this commit was measured in another order (by an older perfgate, or with and without the base version): starting new evidence".to_owned()
        }
        GateEvent::NothingLeft => {
            "all interim looks at this commit are spent: its verdict stays".to_owned()
        }
        GateEvent::Measuring(sample) => prefix(&sample.because) + &measuring(sample),
        GateEvent::NoStoredBaseline => {
            "no stored baseline for this hardware: today's alternating pairs decide alone".to_owned()
        }
        GateEvent::HalfAgain {
            pair,
            of_base,
            reason,
        } => {
            let side = if *of_base { "base" } else { "candidate" };
            format!("measuring the {side} of pair {pair} again: {reason}")
        }
        GateEvent::BudgetEnded { why } => format!("stopping before that measurement: {why}"),
    }
}

fn measuring(sample: &NextSample) -> String {
    let NextSample {
        have, need, most, ..
    } = sample;
    match (sample.kind, have < need) {
        (SampleKind::Repeats, true) => {
            format!("measuring repeats {} to {need} of the candidate", have + 1)
        }
        (SampleKind::Repeats, false) => {
            format!("interim look at the existing {have} repeats of the candidate")
        }
        (SampleKind::Pairs, true) if *need == 1 => {
            "measuring the candidate, then baseline and candidate alternately on this machine"
                .to_owned()
        }
        (SampleKind::Pairs, true) => format!("measuring pair {need} of at most {most}"),
        (SampleKind::Pairs, false) => {
            format!(
                "interim look at the existing {}",
                count(*have, "alternating pair")
            )
        }
    }
}

/// The reason, as a prefix of the message.
fn prefix(because: &Because) -> String {
    match because {
        Because::First => String::new(),
        Because::RunAgain => "run again on the same commit: ".to_owned(),
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
