//! One answer, from its bytes to its outcome. No I/O: the caller passes bytes with their arrival times.

use std::borrow::Cow;
use std::fmt;

use super::chunk::{ChunkError, Pattern, read_chunk, server_error};
use super::sse::{Event, Kind, SseParser};
use crate::measure::RequestOutcome;
use crate::text::count::count;

/// Arrivals for which space is reserved at once; a longer answer grows later.
const MOST_AT_ONCE: u32 = 4_096;

/// Most chunks with text of an answer: per requested token, and in addition. A token has at most one chunk, so the rest of a
/// longer answer is not read.
const MOST_CHUNKS: (usize, usize) = (2, 16);

/// `[DONE]` is the last event of an answer; blank lines, comments and another `[DONE]` after it are harmless.
const DATA_AFTER_DONE: &str = "the stream continued after [DONE]";

/// Conditions that an answer must meet to count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// Requested tokens.
    pub(super) output_tokens: u32,
    /// Whether the answer must have exactly that many (`ignore_eos`).
    pub(super) exact: bool,
}

/// An answer that is being received.
#[derive(Debug)]
pub(super) struct Answer {
    parser: SseParser,
    summary: StreamSummary,
    expected: Expected,
}

/// Summary of the stream so far. Times are seconds from the start of the measurement.
#[derive(Debug, Default)]
pub(super) struct StreamSummary {
    /// Arrivals of chunks with text.
    pub(super) token_chunks: Vec<f64>,
    /// Arrival of the first chunk with a choice, with or without text.
    pub(super) first_chunk: Option<f64>,
    /// Arrival of the last chunk of the answer.
    pub(super) last_token: Option<f64>,
    /// Chunks that arrived together with the first text.
    first_piece: FirstPiece,
    /// Chunks that may carry a token: with text, or with a choice that is more than a role or an end. A token that is part of
    /// a character has no text.
    may_be_tokens: u64,
    /// Whether the chunk with the finish reason has no text: it may carry a token or none.
    silent_end: bool,
    /// Prompt and output tokens as the server counted them.
    pub(super) usage: Option<(Option<u64>, u64)>,
    /// `system_fingerprint`.
    pub(super) fingerprint: Option<String>,
    /// Pattern of most events of this stream.
    pattern: Option<Pattern>,
    finished: bool,
    done: bool,
    /// The first error.
    error: Option<String>,
}

/// Counts up to the end of the chunks that arrived together with the first text.
#[derive(Debug, Default)]
struct FirstPiece {
    /// Whether a later chunk has arrived.
    is_over: bool,
    /// Chunks with text.
    token_chunks: u64,
    /// Chunks that may carry a token.
    may_be_tokens: u64,
    /// Output tokens, if the chunks count them.
    counted: Option<u64>,
}

impl Answer {
    /// An answer without data so far.
    pub(super) fn new(expected: Expected) -> Self {
        let room = expected.output_tokens.min(MOST_AT_ONCE) as usize;
        Self {
            parser: SseParser::default(),
            summary: StreamSummary {
                token_chunks: Vec::with_capacity(room),
                ..StreamSummary::default()
            },
            expected,
        }
    }

    /// Takes bytes that arrived at `at`. An error ends the answer.
    pub(super) fn receive(&mut self, bytes: &[u8], at: f64) -> Result<(), String> {
        let summary = &mut self.summary;
        self.parser
            .feed(bytes, |event| summary.event(event, at))
            .map_err(|error| error.to_string())?;
        self.summary.error.clone().map_or(Ok(()), Err)
    }

    /// The reason of the failure if the answer is far longer than requested.
    pub(super) fn is_endless(&self) -> Option<String> {
        let asked = self.expected.output_tokens;
        let (each, beside) = MOST_CHUNKS;
        let most = each * asked as usize + beside;
        (self.token_chunks() > most).then(|| {
            format!(
                "stopped reading: more than {most} chunks with text arrived, but the request limits the answer to {}",
                count(asked, "token")
            )
        })
    }

    /// Chunks with text so far.
    pub(super) fn token_chunks(&self) -> usize {
        self.summary.token_chunks.len()
    }

    /// The body has ended.
    pub(super) fn finish(self, at: f64) -> (StreamSummary, RequestOutcome) {
        let Self {
            parser,
            mut summary,
            expected,
        } = self;
        parser.finish(|event| summary.event(event, at));
        let outcome = summary.outcome(expected);
        (summary, outcome)
    }

    /// The summary of an answer that did not end normally.
    pub(super) fn into_summary(self) -> StreamSummary {
        self.summary
    }
}

impl StreamSummary {
    fn event(&mut self, Event { data, kind }: Event<'_>, at: f64) {
        // JSON ignores blanks around it, and some servers put them around `[DONE]` too.
        let data = data.trim_ascii();
        if kind == Kind::Error {
            self.fail(&server_error(data));
            return;
        }
        if let Some(has_text) = self
            .pattern
            .as_ref()
            .and_then(|pattern| pattern.has_text(data))
        {
            self.may_be_token(has_text, at, None);
            return;
        }
        match data {
            b"[DONE]" => {
                self.done = true;
                return;
            }
            // An event without data keeps a connection alive.
            b"" => return,
            _ => {}
        }
        match read_chunk(data) {
            // A late `usage` does not count either.
            Ok(chunk) if self.done => {
                if chunk.has_text || chunk.is_last {
                    self.fail(&DATA_AFTER_DONE);
                }
            }
            Ok(chunk) => {
                if chunk.has_choice && self.first_chunk.is_none() {
                    self.first_chunk = Some(at);
                }
                if chunk.has_text || (chunk.has_choice && !chunk.has_role) {
                    let counted = chunk.usage.map(|(_, output)| output);
                    self.may_be_token(chunk.has_text, at, counted);
                }
                if chunk.is_last {
                    self.last_token = Some(at);
                    self.finished = true;
                    self.silent_end = !chunk.has_text;
                }
                // The token count only grows: a later zero is ignored.
                let counts = chunk
                    .usage
                    .filter(|(_, output)| *output > 0 || self.usage.is_none());
                if let Some((prompt, output)) = counts {
                    let before = self.usage.and_then(|(prompt, _)| prompt);
                    self.usage = Some((prompt.or(before), output));
                }
                if chunk.has_text && self.pattern.is_none() {
                    self.pattern = Pattern::of(data, &chunk);
                }
                if self.fingerprint.is_none() {
                    self.fingerprint = chunk.fingerprint.map(Cow::into_owned);
                }
            }
            // A client ignores event types that it does not know.
            Err(ChunkError::Shape(_)) if kind == Kind::Other => {}
            Err(error) => self.fail(&error),
        }
    }

    /// The first error is the cause; later ones are consequences.
    fn fail(&mut self, error: &dyn fmt::Display) {
        self.error.get_or_insert_with(|| error.to_string());
    }

    /// A chunk that may carry a token. `counted` is the number of output tokens up to it.
    fn may_be_token(&mut self, has_text: bool, at: f64, counted: Option<u64>) {
        if self.done {
            if has_text {
                self.fail(&DATA_AFTER_DONE);
            }
            return;
        }
        self.may_be_tokens += 1;
        let piece = &mut self.first_piece;
        if !piece.is_over {
            let before = self.token_chunks.last();
            if before.is_some_and(|before| at > *before) {
                piece.is_over = true;
            } else {
                piece.token_chunks += u64::from(has_text);
                piece.may_be_tokens = self.may_be_tokens;
                piece.counted = counted.or(piece.counted);
            }
        }
        if has_text {
            self.token_chunks.push(at);
            self.last_token = Some(at);
        }
    }

    /// Tokens that arrived with the first text, if the server counts them or each chunk carries one.
    pub(super) fn first_chunk_tokens(&self) -> Option<u64> {
        let (_, output) = self.usage?;
        let piece = &self.first_piece;
        let one_each =
            self.may_be_tokens == output || (self.silent_end && self.may_be_tokens == output + 1);
        let found = if piece.counted.is_some() {
            piece.counted
        } else if one_each {
            Some(piece.may_be_tokens.min(output))
        } else if self.token_chunks.len() as u64 == output {
            Some(piece.token_chunks)
        } else {
            None
        };
        found.filter(|tokens| (1..=output).contains(tokens))
    }

    fn outcome(&self, expected: Expected) -> RequestOutcome {
        if let Some(error) = &self.error {
            return RequestOutcome::Failed(error.clone());
        }
        let truncated = |what: &str| RequestOutcome::Truncated(what.to_owned());
        if !self.done {
            return truncated("the stream ended without [DONE]");
        }
        if !self.finished {
            return truncated("no chunk had a finish reason");
        }
        let Some((_, output)) = self.usage else {
            return truncated("the server sent no `usage`");
        };
        let asked = u64::from(expected.output_tokens);
        if output == 0 || self.last_token.is_none() {
            return truncated("the answer has no output token");
        }
        // A single token may be part of a character; it arrived with the last chunk. For several tokens without text the time
        // of the first is unknown: the text is in an unknown field, or was held back.
        if output > 1 && self.token_chunks.is_empty() {
            return RequestOutcome::Truncated(format!(
                "{}, but no text",
                count(output, "output token")
            ));
        }
        // A token has at most one chunk.
        let chunks = self.token_chunks.len() as u64;
        if chunks > output {
            return RequestOutcome::Failed(format!(
                "{} with text, but `usage` counts {}",
                count(chunks, "chunk"),
                count(output, "output token")
            ));
        }
        if output > asked || (expected.exact && output != asked) {
            return RequestOutcome::Truncated(format!(
                "{} instead of the requested {asked}",
                count(output, "output token")
            ));
        }
        RequestOutcome::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}"#;
    const END: &str = r#"data: {"choices":[{"index":0,"text":"b","finish_reason":"length"}]}"#;
    const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    const DONE: &str = "data: [DONE]";

    fn outcome(events: &[&str], output_tokens: u32, exact: bool) -> RequestOutcome {
        let mut answer = Answer::new(Expected {
            output_tokens,
            exact,
        });
        for event in events {
            if let Err(error) = answer.receive(format!("{event}\n\n").as_bytes(), 0.5) {
                return RequestOutcome::Failed(error);
            }
        }
        answer.finish(1.0).1
    }

    #[test]
    fn a_whole_answer_is_ok() {
        assert_eq!(
            outcome(&[TEXT, END, USAGE, DONE], 2, true),
            RequestOutcome::Ok
        );
        assert_eq!(
            outcome(&[TEXT, END, USAGE, DONE], 5, false),
            RequestOutcome::Ok
        );
    }

    #[test]
    fn every_early_end_is_truncated() {
        for events in [
            &[TEXT, END, USAGE][..],
            &[TEXT, USAGE, DONE],
            &[TEXT, END, DONE],
            &[DONE],
            &[],
        ] {
            assert!(
                matches!(outcome(events, 2, true), RequestOutcome::Truncated(_)),
                "{events:?}"
            );
        }
    }

    #[test]
    fn fewer_tokens_than_requested_are_truncated_when_the_end_is_ignored() {
        let RequestOutcome::Truncated(reason) = outcome(&[TEXT, END, USAGE, DONE], 5, true) else {
            panic!()
        };
        assert_eq!(reason, "2 output tokens instead of the requested 5");
    }

    #[test]
    fn several_tokens_without_any_text_are_truncated_and_one_is_ok() {
        let silent = r#"data: {"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#;
        let usage = |tokens: u32| {
            format!(
                r#"data: {{"choices":[],"usage":{{"prompt_tokens":7,"completion_tokens":{tokens}}}}}"#
            )
        };
        assert_eq!(
            outcome(&[silent, &usage(1), DONE], 1, true),
            RequestOutcome::Ok
        );
        assert_eq!(
            outcome(&[silent, &usage(4), DONE], 4, true),
            RequestOutcome::Truncated("4 output tokens, but no text".to_owned())
        );
    }

    #[test]
    fn the_tokens_of_the_first_piece_are_counted_or_follow_from_the_number_of_chunks() {
        let first = |pieces: &[&[&str]]| {
            let mut answer = Answer::new(Expected {
                output_tokens: 4,
                exact: true,
            });
            let mut at = 0.0;
            for piece in pieces {
                at += 0.1;
                for event in *piece {
                    answer
                        .receive(format!("{event}\n\n").as_bytes(), at)
                        .unwrap();
                }
            }
            answer.finish(1.0).0.first_chunk_tokens()
        };
        let silent = r#"data: {"choices":[{"index":0,"text":"","finish_reason":null}]}"#;
        let role = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
        let end = r#"data: {"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#;
        let counted = r#"data: {"choices":[{"index":0,"text":"abc","finish_reason":null}],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#;
        let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4}}"#;
        // One token per chunk.
        assert_eq!(first(&[&[TEXT], &[TEXT], &[TEXT], &[END, usage]]), Some(1));
        assert_eq!(first(&[&[TEXT, TEXT], &[TEXT], &[END, usage]]), Some(2));
        assert_eq!(
            first(&[&[role], &[silent], &[TEXT], &[TEXT], &[END, usage]]),
            Some(2)
        );
        assert_eq!(
            first(&[&[TEXT], &[TEXT], &[TEXT], &[TEXT], &[end, usage]]),
            Some(1)
        );
        // Several tokens per chunk.
        assert_eq!(first(&[&[counted], &[END, usage]]), Some(3));
        assert_eq!(first(&[&[TEXT], &[END, usage]]), None);
    }

    #[test]
    fn an_event_of_the_type_error_is_a_failure_at_any_position() {
        let error = "event: error\ndata: {\"message\":\"CUDA oom\",\"code\":500}";
        for events in [
            [TEXT, error, END, USAGE, DONE],
            [TEXT, END, USAGE, error, DONE],
        ] {
            let RequestOutcome::Failed(reason) = outcome(&events, 2, true) else {
                panic!("{events:?}")
            };
            assert!(reason.ends_with("CUDA oom"), "{reason}");
        }
    }

    #[test]
    fn an_answer_that_the_server_aborted_is_a_failure_with_its_reason() {
        let aborted = r#"data: {"choices":[{"index":0,"text":"b","finish_reason":"abort"}]}"#;
        assert_eq!(
            outcome(&[TEXT, aborted, USAGE, DONE], 5, false),
            RequestOutcome::Failed("the server ended the answer with `abort`".to_owned())
        );
    }

    #[test]
    fn data_after_done_is_a_failure_unless_harmless() {
        let went_on = RequestOutcome::Failed(DATA_AFTER_DONE.to_owned());
        for events in [
            &[TEXT, END, USAGE, DONE, TEXT][..],
            &[TEXT, END, USAGE, DONE, END],
            &[DONE, TEXT, END, USAGE],
            &[TEXT, DONE, END, USAGE, DONE],
        ] {
            assert_eq!(outcome(events, 2, true), went_on, "{events:?}");
        }
        for rest in ["", ": bye", DONE, "data:", "data: {\"id\":\"x\"}"] {
            let events = [TEXT, END, USAGE, DONE, rest];
            assert_eq!(outcome(&events, 2, true), RequestOutcome::Ok, "{rest}");
        }
        assert_eq!(
            outcome(&[TEXT, END, DONE, USAGE], 2, true),
            RequestOutcome::Truncated("the server sent no `usage`".to_owned())
        );
    }

    #[test]
    fn blanks_around_done_and_empty_events_are_harmless() {
        for harmless in [
            "data:  [DONE]",
            "data: [DONE] ",
            "data:\t[DONE]",
            "data:\n\ndata: [DONE]",
            "event: ping\ndata: \n\ndata: [DONE]",
            "event: ping\ndata: 2026-01-01 00:00:00\n\ndata: [DONE]",
        ] {
            let events = [TEXT, END, USAGE, harmless];
            assert_eq!(outcome(&events, 2, true), RequestOutcome::Ok, "{harmless}");
        }
    }

    #[test]
    fn a_usage_without_counts_changes_nothing() {
        let partial =
            r#"data: {"choices":[],"usage":{"prompt_tokens_details":{"cached_tokens":0}}}"#;
        let empty =
            r#"data: {"choices":[],"usage":{"prompt_tokens":null,"completion_tokens":null}}"#;
        let zero = r#"data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
        for events in [
            [TEXT, END, USAGE, partial, DONE],
            [TEXT, partial, END, USAGE, DONE],
            [empty, TEXT, END, USAGE, DONE],
            [TEXT, END, USAGE, zero, DONE],
            [zero, TEXT, END, USAGE, DONE],
        ] {
            assert_eq!(outcome(&events, 2, true), RequestOutcome::Ok, "{events:?}");
        }
        assert_eq!(
            outcome(&[TEXT, END, partial, empty, DONE], 2, true),
            RequestOutcome::Truncated("the server sent no `usage`".to_owned())
        );
    }

    #[test]
    fn more_chunks_with_text_than_tokens_are_a_failure_with_both_numbers() {
        assert_eq!(
            outcome(&[TEXT, TEXT, END, USAGE, DONE], 2, true),
            RequestOutcome::Failed(
                "3 chunks with text, but `usage` counts 2 output tokens".to_owned()
            )
        );
    }

    #[test]
    fn an_error_in_the_stream_followed_by_done_is_a_failure() {
        let error = r#"data: {"error":{"message":"engine died"}}"#;
        let RequestOutcome::Failed(reason) = outcome(&[TEXT, error, DONE], 2, true) else {
            panic!()
        };
        assert!(reason.ends_with("engine died"), "{reason}");
    }

    #[test]
    fn the_recorded_streams_have_the_usage_that_their_chunks_carry() {
        let read = |name: &str| {
            let path = format!(
                "{}/tests/fixtures/vllm-0.32-cpu/sse/{name}.sse",
                env!("CARGO_MANIFEST_DIR")
            );
            let mut answer = Answer::new(Expected {
                output_tokens: 12,
                exact: true,
            });
            // Each event arrives at a different time.
            let text = std::fs::read_to_string(path).unwrap();
            let mut at = 0.0;
            for event in text.split_inclusive("\n\n") {
                at += 0.01;
                answer.receive(event.as_bytes(), at).unwrap();
            }
            answer.finish(at)
        };
        // Two of the twelve tokens of the first stream end within a character: their chunks have no text.
        for (name, chunks) in [
            ("completions-token-id-prompt", 10),
            ("chat-usage", 12),
            ("completions-continuous-usage", 12),
            ("chat-continuous-usage", 12),
        ] {
            let (summary, outcome) = read(name);
            assert_eq!(summary.first_chunk_tokens(), Some(1), "{name}");
            assert_eq!(outcome, RequestOutcome::Ok, "{name}");
            assert_eq!(summary.usage.map(|(_, output)| output), Some(12), "{name}");
            assert_eq!(summary.token_chunks.len(), chunks, "{name}");
        }
        assert!(matches!(
            read("completions-no-usage").1,
            RequestOutcome::Truncated(_)
        ));
    }
}
