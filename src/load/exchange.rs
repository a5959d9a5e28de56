//! One request in flight, from sending to its trace.

use super::answer::{Answer, Expected};
use super::chunk::error_text;
use super::instant::{Nanoseconds, seconds};
use super::response::{Response, ResponseError};
use crate::measure::{RequestOutcome, RequestTrace};
use crate::text::count::count;

/// Longest part of an error answer that is kept.
const LONGEST_ERROR_BODY: usize = 64 << 10;

/// Most bytes of an answer, including framing: per requested token, and in addition. A token's event has about 250 bytes, 4 kB
/// with log probabilities; a first event may contain the whole prompt.
const MOST_FOR_A_TOKEN: u64 = 16 << 10;
const MOST_BESIDE: u64 = 4 << 20;

/// Longest time from sending a request to the end of its connection, beyond a round trip, for which the server was already
/// closing the connection. Chosen as room for a busy event loop, not measured. A connection that ends later ended while
/// the server worked on the request.
const CLOSING_ANYWAY: Nanoseconds = 10_000_000;

/// The status of a streamed answer.
const OK: u16 = 200;

/// One request in flight.
#[derive(Debug)]
pub(super) struct Exchange {
    /// Position in the workload.
    pub(super) index: usize,
    /// When it was sent.
    pub(super) sent: Nanoseconds,
    /// Arrival of the last byte; the time of sending before the first one.
    pub(super) last_byte: Nanoseconds,
    /// Whether it is the first on its connection.
    pub(super) is_first: bool,
    due: Option<Nanoseconds>,
    again: bool,
    response: Response,
    answer: Answer,
    expected: Expected,
    /// Whether the body so far can be a stream of events.
    body: Body,
    error_body: Vec<u8>,
    /// Bytes so far.
    received: u64,
}

/// Kind of a body with status 200, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    /// No data yet.
    Empty,
    /// Events, judged by the first byte.
    Stream,
    /// HTML or JSON: sent by a proxy or a sign-in page in place of the server.
    NoStream,
}

/// State of the answer after some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Incomplete.
    More,
    /// Complete, with any status.
    Done,
    /// It cannot become a valid answer any more.
    Broken(String),
}

impl Exchange {
    /// A request that is being sent. `due` is its scheduled time, if any.
    pub(super) fn new(
        index: usize,
        expected: Expected,
        due: Option<Nanoseconds>,
        sent: Nanoseconds,
    ) -> Self {
        Self {
            index,
            sent,
            last_byte: sent,
            is_first: false,
            due,
            again: false,
            response: Response::default(),
            answer: Answer::new(expected),
            expected,
            body: Body::Empty,
            error_body: Vec::new(),
            received: 0,
        }
    }

    /// Takes bytes that arrived at `at`.
    pub(super) fn receive(&mut self, bytes: &[u8], at: Nanoseconds) -> Progress {
        self.last_byte = at;
        self.received = self.received.saturating_add(bytes.len() as u64);
        let (answer, kind, error_body) = (&mut self.answer, &mut self.body, &mut self.error_body);
        let mut received = Ok(());
        let read = self.response.receive(bytes, |status, body| {
            if *kind == Body::Empty {
                *kind = Body::of(body);
            }
            if status != OK || *kind == Body::NoStream {
                let room = LONGEST_ERROR_BODY - error_body.len();
                error_body.extend_from_slice(&body[..body.len().min(room)]);
            } else if received.is_ok() {
                received = answer.receive(body, seconds(at));
            }
        });
        if let Some(coding) = self.response.coding() {
            // For any status: the body is unreadable.
            let status = self.response.status().unwrap_or_default();
            return Progress::Broken(format!(
                "HTTP {status}: the answer is encoded (`{coding}`), although perfgate asks for `accept-encoding: identity`"
            ));
        }
        match (read, received) {
            (Err(error), _) => Progress::Broken(error.to_string()),
            (Ok(()), Err(reason)) => Progress::Broken(reason),
            (Ok(()), Ok(())) => match self.too_long() {
                Some(reason) => Progress::Broken(reason),
                None if self.response.is_done() => Progress::Done,
                None => Progress::More,
            },
        }
    }

    /// Why reading stops: the answer is far longer than requested.
    fn too_long(&self) -> Option<String> {
        let asked = self.expected.output_tokens;
        let most = MOST_BESIDE + MOST_FOR_A_TOKEN * u64::from(asked);
        if self.received <= most {
            return self.answer.is_endless();
        }
        let status = self.response.status().filter(|status| *status != OK);
        let status = status.map_or_else(String::new, |status| format!("HTTP {status}: "));
        Some(format!(
            "{status}stopped reading: the answer has more than {most} bytes, but the request limits it to {}",
            count(asked, "token")
        ))
    }

    /// Whether the status is that of a streamed answer.
    pub(super) fn has_succeeded(&self) -> bool {
        self.response.status() == Some(OK)
    }

    /// Chunks with text so far.
    pub(super) fn token_chunks(&self) -> usize {
        self.answer.token_chunks()
    }

    /// The server has closed the connection, which ends some answers.
    pub(super) fn closed(&mut self) -> Result<(), ResponseError> {
        self.response.closed()
    }

    /// Whether the connection can carry another request.
    pub(super) fn keeps_alive(&self) -> bool {
        self.response.keeps_alive()
    }

    /// Whether the server was already closing its connection at the moment of sending: no answer has arrived by `now`, and
    /// the request was not sent completely, or the server had no time to work on it. A server that receives a request and
    /// drops it has failed it. A request is resent only once.
    pub(super) fn may_be_sent_again(
        &self,
        is_taken: bool,
        now: Nanoseconds,
        round_trip: Nanoseconds,
    ) -> bool {
        let at_once = CLOSING_ANYWAY.saturating_add(round_trip);
        let is_closing = !is_taken || now.saturating_sub(self.sent) <= at_once;
        !self.again && self.response.is_untouched() && is_closing
    }

    /// The same request, to be sent once more. Its time continues.
    pub(super) fn again(self) -> Self {
        Self {
            again: true,
            response: Response::default(),
            answer: Answer::new(self.expected),
            body: Body::Empty,
            received: 0,
            ..self
        }
    }

    /// The trace, and the server's `system_fingerprint`. `outcome` is how it ended, unless the answer itself decides.
    pub(super) fn finish(
        self,
        ended: Nanoseconds,
        outcome: Option<RequestOutcome>,
    ) -> (RequestTrace, Option<String>) {
        let (summary, outcome) = match (outcome, self.response.status()) {
            (Some(outcome), _) => (self.answer.into_summary(), outcome),
            (None, Some(OK)) if self.body == Body::NoStream => {
                let body = String::from_utf8_lossy(&self.error_body);
                let reason = format!(
                    "the answer is not a stream of events: {}",
                    error_text(&body)
                );
                (self.answer.into_summary(), RequestOutcome::Failed(reason))
            }
            (None, Some(OK)) => self.answer.finish(seconds(ended)),
            (None, status) => {
                let body = String::from_utf8_lossy(&self.error_body);
                let status = status.unwrap_or_default();
                let reason = match self.response.redirects_to() {
                    Some(address) => error_text(&format!("it redirects to {address}")),
                    None => error_text(&body),
                };
                let outcome = RequestOutcome::Failed(format!("HTTP {status}: {reason}"));
                (self.answer.into_summary(), outcome)
            }
        };
        let first_chunk_tokens = summary.first_chunk_tokens();
        let trace = RequestTrace {
            first_chunk_tokens,
            index: self.index,
            due: seconds(self.due.unwrap_or(self.sent)),
            sent: seconds(self.sent),
            first_chunk: summary.first_chunk,
            token_chunks: summary.token_chunks,
            last_token: summary.last_token,
            ended: seconds(ended),
            prompt_tokens: summary.usage.and_then(|(prompt, _)| prompt),
            output_tokens: summary.usage.map(|(_, output)| output),
            outcome,
        };
        (trace, summary.fingerprint)
    }
}

impl Body {
    /// A line of an event stream never starts with a bracket; every HTML page and every JSON answer does.
    fn of(first: &[u8]) -> Self {
        match first.trim_ascii_start().first() {
            None => Self::Empty,
            Some(b'<' | b'{' | b'[') => Self::NoStream,
            Some(_) => Self::Stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected = Expected {
        output_tokens: 2,
        exact: true,
    };

    fn answer(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[test]
    fn an_answer_becomes_a_trace_with_the_times_of_its_pieces() {
        let mut exchange = Exchange::new(3, EXPECTED, Some(1_000_000), 2_000_000);
        let first = "data: {\"choices\":[{\"text\":\"a\"}]}\n\n";
        let second = "data: {\"choices\":[{\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
        let whole = answer(&format!("{first}{second}"));
        let cut = whole.len() - second.len();
        assert_eq!(
            exchange.receive(&whole.as_bytes()[..cut], 12_000_000),
            Progress::More
        );
        assert_eq!(
            exchange.receive(&whole.as_bytes()[cut..], 32_000_000),
            Progress::Done
        );
        assert!(exchange.keeps_alive());
        let (trace, _) = exchange.finish(32_000_000, None);
        assert_eq!(trace.outcome, RequestOutcome::Ok);
        assert_eq!((trace.due, trace.sent, trace.ended), (0.001, 0.002, 0.032));
        assert_eq!(trace.token_chunks, [0.012, 0.032]);
        assert!((trace.tpot().unwrap() - 0.02).abs() < 1e-12);
    }

    #[test]
    fn an_error_status_is_a_failure_with_the_servers_message() {
        let mut exchange = Exchange::new(0, EXPECTED, None, 0);
        let bytes =
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 22\r\n\r\n{\"detail\":\"Not Found\"}";
        assert_eq!(exchange.receive(bytes, 5), Progress::Done);
        let (trace, _) = exchange.finish(5, None);
        assert_eq!(
            trace.outcome,
            RequestOutcome::Failed("HTTP 404: Not Found".to_owned())
        );
    }

    #[test]
    fn html_or_json_instead_of_a_stream_is_shown() {
        for (body, shown) in [
            ("\n<html>Please sign in</html>", "Please sign in"),
            ("{\"error\": {\"message\": \"no quota\"}}", "no quota"),
            ("[1, 2", "[1, 2"),
        ] {
            let mut exchange = Exchange::new(0, EXPECTED, None, 0);
            for byte in answer(body).as_bytes() {
                exchange.receive(std::slice::from_ref(byte), 5);
            }
            let (trace, _) = exchange.finish(5, None);
            let RequestOutcome::Failed(reason) = trace.outcome else {
                panic!("{body}")
            };
            assert!(
                reason.starts_with("the answer is not a stream of events: ")
                    && reason.contains(shown),
                "{reason}"
            );
        }
    }

    #[test]
    fn an_answer_far_longer_than_requested_is_stopped_with_numbers() {
        let reason = |head: &str, piece: &[u8]| {
            let mut exchange = Exchange::new(0, EXPECTED, None, 0);
            exchange.receive(head.as_bytes(), 5);
            for _ in 0..1_000 {
                if let Progress::Broken(reason) = exchange.receive(piece, 5) {
                    return reason;
                }
            }
            "never".to_owned()
        };
        let ok = "HTTP/1.1 200 OK\r\n\r\n";
        let comments = b": ping\n\n".repeat(8_192);
        let token = b"data: {\"choices\":[{\"text\":\"a\"}]}\n\n";
        insta::assert_snapshot!(reason(ok, &comments), @"stopped reading: the answer has more than 4227072 bytes, but the request limits it to 2 tokens");
        insta::assert_snapshot!(reason("HTTP/1.1 500 Oops\r\n\r\n", &comments), @"HTTP 500: stopped reading: the answer has more than 4227072 bytes, but the request limits it to 2 tokens");
        insta::assert_snapshot!(reason(ok, token), @"stopped reading: more than 20 chunks with text arrived, but the request limits the answer to 2 tokens");
    }

    #[test]
    fn a_compressed_answer_is_a_failure_with_the_coding() {
        let mut exchange = Exchange::new(0, EXPECTED, None, 0);
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
        let progress = exchange.receive(head, 5);
        assert!(
            matches!(&progress, Progress::Broken(reason) if reason.contains("`gzip`")),
            "{progress:?}"
        );
    }

    #[test]
    fn a_redirect_is_a_failure_with_the_other_address() {
        let mut exchange = Exchange::new(0, EXPECTED, None, 0);
        let head =
            b"HTTP/1.1 307 X\r\nlocation: https://other.example/v1\r\ncontent-length: 0\r\n\r\n";
        assert!(matches!(exchange.receive(head, 5), Progress::Done));
        let outcome = exchange.finish(5, None).0.outcome;
        let reason = "HTTP 307: it redirects to https://other.example/v1";
        assert_eq!(outcome, RequestOutcome::Failed(reason.to_owned()));
    }

    #[test]
    fn an_error_in_the_stream_ends_it() {
        let mut exchange = Exchange::new(0, EXPECTED, None, 0);
        let progress = exchange.receive(answer("data: {\"error\":\"gone\"}\n\n").as_bytes(), 5);
        assert!(matches!(progress, Progress::Broken(reason) if reason.ends_with("gone")));
    }

    #[test]
    fn only_an_untouched_request_is_resent_and_only_once() {
        let mut exchange = Exchange::new(0, EXPECTED, None, 0);
        assert!(exchange.may_be_sent_again(true, 5, 0));
        exchange.receive(b"HTTP/1.1", 5);
        assert!(!exchange.may_be_sent_again(true, 5, 0));
        assert!(!exchange.again().may_be_sent_again(true, 5, 0));
    }

    #[test]
    fn a_request_that_the_server_had_time_for_is_not_resent() {
        let exchange = Exchange::new(0, EXPECTED, None, 1_000_000);
        let (near, far) = (100_000, 80_000_000);
        assert!(exchange.may_be_sent_again(true, 9_000_000, near));
        assert!(!exchange.may_be_sent_again(true, 30_000_000, near));
        assert!(exchange.may_be_sent_again(true, 30_000_000, far));
        assert!(exchange.may_be_sent_again(false, 30_000_000, near));
    }
}
