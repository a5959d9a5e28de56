//! Messages of input events.

use crate::event::InputEvent;
use crate::metric::Unit;
use crate::text::count::count;
use crate::text::{number, sanitize};

/// The line of an event.
pub(super) fn line(event: &InputEvent) -> String {
    match event {
        InputEvent::CopiesRead(sentence) => format!("warning: {sentence}"),
        InputEvent::PullRequestTextUnknown { reason } => {
            format!("warning: cannot read the pull request's text: {reason}")
        }
        InputEvent::SectionIgnored { section } => format!(
            "warning: the section `perfgate {section}` of the pull request's text has fewer than 20 characters or more than 64 KiB and is ignored"
        ),
        InputEvent::EntriesUnusable { path, all, reasons } => {
            let unusable: usize = reasons.iter().map(|(_, count)| count).sum();
            let reasons: Vec<String> = reasons
                .iter()
                .map(|(reason, count)| format!("{count} with {reason}"))
                .collect();
            format!(
                "note: {unusable} of {} of `{}` ignored: {}",
                count(*all, "entry"),
                path.display(),
                reasons.join(", ")
            )
        }
        InputEvent::InputTokensUnused => {
            "note: `input_tokens` has no effect: the prompts of a data set have their own lengths"
                .to_owned()
        }
        InputEvent::TraceRead {
            path,
            requests,
            seconds,
        } => {
            let gaps = f64::from(requests.saturating_sub(1));
            let rate = if *seconds > 0.0 {
                number::value(gaps / seconds, Unit::RequestsPerSecond)
            } else {
                "all at once".to_owned()
            };
            format!(
                "note: the trace `{}` has {} in {}: {rate}",
                path.display(),
                count(*requests, "request"),
                number::seconds(*seconds)
            )
        }
        InputEvent::TraceUnitUnlikely { read_as, likely } => format!(
            "warning: this rate is unusual for a trace; perfgate reads its time stamps as {read_as}: if they are {likely}, write \
             `timestamp_unit: {likely}` in `dataset`"
        ),
        InputEvent::ConcurrencyNotReached {
            slots,
            requests,
            turns,
        } => format!(
            "note: `concurrency` {slots} is never reached: {}",
            too_few(*requests, *turns)
        ),
        InputEvent::PromptsOfOwnLengths => {
            "prompts are synthetic: their lengths are those of perfgate.yaml, not those of the benchmark's data set"
                .to_owned()
        }
        InputEvent::PromptsShareBeginnings { share } => format!(
            "warning: {} of each prompt is the same in others (`prefix`), and a prefix cache answers it; the benchmark's data sets have no such prompts",
            number::percent(*share)
        ),
        InputEvent::ImageNotInRegistry { dockerfile, base } => format!(
            "warning: `{dockerfile}` builds its own image from `{base}`, which is in no registry: build it first (docker build --tag NAME .), and write NAME as server.docker.image"
        ),
        InputEvent::OptionValueUnknown { option } => format!(
            "warning: the value of `{}` in the compose file is not known here: write the option into server.docker.args",
            sanitize::line(option)
        ),
    }
}

/// Why fewer requests than slots can run at once.
fn too_few(requests: usize, turns: usize) -> String {
    let sent = count(requests, "request");
    if turns <= 1 {
        return format!("there are only {sent}");
    }
    let conversations = count(requests.div_ceil(turns), "conversation");
    let turns = count(turns, "turn");
    format!("{sent} are {conversations} of {turns}, and turns run one after the other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_is_never_reached_is_explained_by_the_requests() {
        let line = |requests, turns| {
            let event = InputEvent::ConcurrencyNotReached {
                slots: 16,
                requests,
                turns,
            };
            line(&event)
        };
        insta::assert_snapshot!(line(24, 12), @"note: `concurrency` 16 is never reached: 24 requests are 2 conversations of 12 turns, and turns run one after the other");
        insta::assert_snapshot!(line(10, 1), @"note: `concurrency` 16 is never reached: there are only 10 requests");
    }
}
