//! The words for what happens while something is measured.

use std::fmt;

use crate::event::{ConcernLevel, LoadPart, RepeatLabel, RunEvent, StartPhase};
use crate::stats::number;

/// A line on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::terminal) enum Line {
    /// Each time.
    Always(String),
    /// Unless it was the last thing said.
    Phase(String),
    /// Once a run: what it is about, and the text.
    Once(String, String),
}

impl Line {
    fn once(text: String) -> Self {
        Self::Once(text.clone(), text)
    }
}

/// The line of an event; `None` where it has none of its own.
pub(in crate::terminal) fn line(event: &RunEvent) -> Option<Line> {
    Some(match event {
        RunEvent::WaitBegins
        | RunEvent::WaitEnds
        | RunEvent::Sending { .. }
        | RunEvent::Sent { .. } => return None,
        RunEvent::Starting { repeat, phase } => Line::Phase(format!("{repeat}: {phase}")),
        RunEvent::WaitingForGpu {
            repeat,
            in_use,
            at_most,
        } => Line::Phase(format!(
            "{repeat}: waiting: {in_use} ({} s at most)",
            at_most.as_secs()
        )),
        RunEvent::GpuInUse { in_use } => Line::once(format!(
            "warning: {in_use}, and no compute process has them"
        )),
        RunEvent::ServerMayBeElsewhere { doubt } => Line::once(format!(
            "warning: {doubt}, so the server may run elsewhere: this machine's GPUs, driver and host are left out of the result; if it runs here, write `telemetry: {{server_is_here: true}}`"
        )),
        RunEvent::NotAsExpected { mismatch } => {
            Line::once(format!("warning: not as expected: {mismatch}"))
        }
        RunEvent::Concern {
            level,
            about,
            message,
        } => {
            let level = match level {
                ConcernLevel::Warning => "warning",
                ConcernLevel::Note => "note",
            };
            Line::Once(about.clone(), format!("{level}: {message}"))
        }
        RunEvent::RanOut { load, .. } => Line::Once(format!("{load} ran out"), ran_out(event)?),
        RunEvent::DataSetEnds {
            load,
            requests,
            wanted,
        } => Line::Once(
            "data set ends".to_owned(),
            format!(
                "warning: the data set ends after {requests} requests, and {load} would take {wanted}: raise `num_requests`, or write `repeat_entries: true` in `dataset`"
            ),
        ),
        RunEvent::Void {
            repeat: Some(repeat),
            load,
            reason,
        } => Line::Always(format!("{repeat}: {load} does not count: {reason}")),
        RunEvent::Void {
            repeat: None,
            load,
            reason,
        } => Line::Always(format!("{load}: does not count: {reason}")),
        RunEvent::StoppingAfterInterruption => {
            Line::Always("stopping the server; Ctrl-C again to kill it at once".to_owned())
        }
        RunEvent::WaitingForLock { what, holder } => {
            let holder = holder.map_or(String::new(), |id| format!(" (process {id})"));
            Line::Always(format!(
                "waiting for another perfgate{holder}, which uses {what}"
            ))
        }
        RunEvent::NoLocks { what, error } => Line::Always(format!(
            "warning: this file system does not support locks ({error}): run no second perfgate with {what} at the same time"
        )),
    })
}

/// A measurement that ended before its time, and how many requests would have filled it.
fn ran_out(event: &RunEvent) -> Option<String> {
    let RunEvent::RanOut {
        load,
        requests,
        after,
        duration,
    } = event
    else {
        return None;
    };
    // A tenth more: the next server may be faster.
    let wanted = number(*requests as u64) * duration.div_duration_f64(*after) * 1.1;
    Some(format!(
        "warning: {load}: all {requests} requests had ended after {:.1} s, before the `duration` of {} s: give `--num-prompts {wanted:.0}`, or `num_requests`",
        after.as_secs_f64(),
        duration.as_secs_f64(),
    ))
}

/// `repeat 2/3: concurrency=8, warm-up`: what a bar is labelled with.
pub(in crate::terminal) fn load_label(repeat: &RepeatLabel, load: &str, part: LoadPart) -> String {
    match part {
        LoadPart::WarmUp => format!("{repeat}: {load}, warm-up"),
        LoadPart::WarmUpWindow(number) => format!("{repeat}: {load}, warm-up {number}"),
        LoadPart::Measured => format!("{repeat}: {load}"),
    }
}

impl fmt::Display for RepeatLabel {
    /// `repeat 2/3`, `base, repeat 2/3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = if self.side.is_empty() { "" } else { ", " };
        write!(f, "{}{comma}repeat {}/{}", self.side, self.number, self.of)
    }
}

impl fmt::Display for StartPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pulling {
                image,
                how_far: Some(how_far),
            } => write!(f, "pulling {image}: {how_far}"),
            Self::Pulling {
                image,
                how_far: None,
            } => write!(f, "pulling {image}"),
            Self::AskingForLogin { helper, at_most } => write!(
                f,
                "waiting for the credential helper `{helper}`, {} s at most",
                at_most.as_secs()
            ),
            Self::Starting => f.write_str("starting the server"),
            Self::Loading => f.write_str("waiting for the server to be ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_that_ran_out_before_the_time_are_told_with_as_many_as_would_fill_it() {
        let event = RunEvent::RanOut {
            load: "rate=9".to_owned(),
            requests: 200,
            after: Duration::from_secs(4),
            duration: Duration::from_mins(1),
        };
        let Some(Line::Once(_, text)) = line(&event) else {
            panic!("{event:?}");
        };
        insta::assert_snapshot!(text, @"warning: rate=9: all 200 requests had ended after 4.0 s, before the `duration` of 60 s: give `--num-prompts 3300`, or `num_requests`");
    }

    #[test]
    fn a_repeat_is_named_with_its_side_where_there_are_two() {
        let alone = RepeatLabel {
            side: "",
            number: 2,
            of: 3,
        };
        let base = RepeatLabel {
            side: "base",
            ..alone.clone()
        };
        assert_eq!(
            load_label(&alone, "concurrency=8", LoadPart::WarmUpWindow(1)),
            "repeat 2/3: concurrency=8, warm-up 1"
        );
        assert_eq!(base.to_string(), "base, repeat 2/3");
    }
}
