//! Messages of measurement events.

use std::fmt;

use crate::event::{ConcernLevel, LoadPart, RepeatLabel, RunEvent, StartPhase};
use crate::stats::number;

/// A line on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::terminal) enum Line {
    /// Shown each time.
    Always(String),
    /// Shown unless it was the last line.
    Phase(String),
    /// Shown once per run: the topic and the text.
    Once(String, String),
}

impl Line {
    fn once(text: String) -> Self {
        Self::Once(text.clone(), text)
    }
}

/// The message of an event.
pub(in crate::terminal) fn line(event: &RunEvent) -> Line {
    match event {
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
            "warning: {in_use}, without a visible compute process"
        )),
        RunEvent::ServerMayBeElsewhere { doubt } => Line::once(format!(
            "warning: {doubt}, so the server may run elsewhere: the result does not contain this machine's GPUs, driver and host; if it runs here, set `telemetry: {{server_is_here: true}}`"
        )),
        RunEvent::NotAsExpected { mismatch } => Line::once(format!(
            "warning: mismatch with `hardware` or `framework`: {mismatch}"
        )),
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
        RunEvent::RanOut {
            load,
            requests,
            after,
            duration,
        } => {
            // A tenth more: the next server may be faster.
            let wanted = number(*requests as u64) * duration.div_duration_f64(*after) * 1.1;
            let text = format!(
                "warning: {load}: all {requests} requests ended after {:.1} s, before the `duration` of {} s: set `--num-prompts {wanted:.0}`, or `num_requests`",
                after.as_secs_f64(),
                duration.as_secs_f64(),
            );
            Line::Once(format!("{load} ran out"), text)
        }
        RunEvent::DataSetEnds {
            load,
            requests,
            wanted,
        } => Line::Once(
            "data set ends".to_owned(),
            format!(
                "warning: the data set ends after {requests} requests, but {load} needs {wanted}: raise `num_requests`, or set `repeat_entries: true` in `dataset`"
            ),
        ),
        RunEvent::Void {
            repeat: Some(repeat),
            load,
            reason,
        } => Line::Always(format!("{repeat}: {load} is void: {reason}")),
        RunEvent::Void {
            repeat: None,
            load,
            reason,
        } => Line::Always(format!("{load}: void: {reason}")),
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
            "warning: this file system does not support locks ({error}): do not run a second perfgate with {what} at the same time"
        )),
    }
}

/// The label of a bar, `repeat 2/3: concurrency=8, warm-up`.
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
    fn requests_that_ended_early_are_reported_with_the_number_that_fills_the_duration() {
        let event = RunEvent::RanOut {
            load: "rate=9".to_owned(),
            requests: 200,
            after: Duration::from_secs(4),
            duration: Duration::from_mins(1),
        };
        let Line::Once(_, text) = line(&event) else {
            panic!("{event:?}");
        };
        insta::assert_snapshot!(text, @"warning: rate=9: all 200 requests ended after 4.0 s, before the `duration` of 60 s: set `--num-prompts 3300`, or `num_requests`");
    }

    #[test]
    fn a_repeat_is_named_with_its_side_if_there_are_two() {
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
