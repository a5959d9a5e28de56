//! The load generator's own load during a repeat, and whether it was the bottleneck.

use serde_json::{Value, json};

use super::covariates::Concerns;
use super::cross_check::ClientFigures;
use super::trace::RequestTrace;
use crate::record::MAX_PACKED;
use crate::record::telemetry::Client;
pub use crate::record::telemetry::Lateness;
use crate::stats;
use crate::text::count::count;

/// Largest share of the time in which the client's thread may run or wait for a CPU. Above, it has no reserve.
const MOST_BUSY: f64 = 0.9;

/// Share of the time without a CPU above which one second counts as delayed; other limits decide about the whole repeat.
const MOST_STARVED: f64 = 0.2;

/// Largest mean lateness of sending, as a share of a request's time: less than half of the default limit of 5 %.
const MOST_LATE: f64 = 0.02;

/// Lateness below this, in seconds, does not count: a timer and a wake-up take as long.
const DEFAULT_LATENESS: f64 = 0.000_2;

/// Largest share of the token chunks whose arrival times may be lost because the client read them late.
const MOST_MERGED: f64 = 0.01;

/// Shares of resent requests above which perfgate warns, and above which the repeat is void: each resent request waited
/// for a connection to close and for another, and a server that drops requests looks the same.
const RESENT_WITHOUT_WARNING: f64 = 0.001;
const MOST_RESENT: f64 = 0.01;

/// Unrequested bytes may arrive once per this many requests: a proxy that closes an idle connection may send a message
/// first.
const REQUESTS_PER_UNASKED: usize = 100;

/// Why a measurement ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The load generator was delayed; the text describes how.
    Client(String),
    /// Every request in flight has timed out: the server counts as hung.
    Hung,
    /// More requests failed than allowed.
    Failing,
    /// Unrequested bytes arrived more often than allowed.
    Unasked,
}

/// How often unrequested bytes may arrive in a measurement of that many requests.
pub fn most_unasked(requests: usize) -> u64 {
    (requests / REQUESTS_PER_UNASKED) as u64
}

/// The load generator's own load during one measurement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientLoad {
    /// Share of the time in which its thread ran.
    pub busy: f64,
    /// Share of the time in which its thread was ready to run but had no CPU; `None` if the kernel does not report it.
    pub starved: Option<f64>,
    /// Whether its thread had real-time priority at any time: it takes it if permitted.
    pub real_time: bool,
    /// From the time when a request could be sent to its sending.
    pub sending: Lateness,
    /// From the arrival of bytes, by the kernel's time stamp, to their reading. Latencies end at the arrival.
    pub reading: Lateness,
    /// Requests in flight at most.
    pub in_flight: usize,
    /// Requests that a closed loop keeps in flight.
    pub in_flight_wanted: Option<usize>,
    /// Chunks with text.
    pub token_chunks: u64,
    /// Of them, those read together with a later one because the client was late: their arrival times are lost.
    pub merged_late: u64,
    /// Of them, those that arrived together with a later one: the server, or a proxy, sent them so.
    pub merged_by_server: u64,
    /// Reads that returned data.
    pub reads: u64,
    /// Of them, those without a time stamp of the kernel.
    pub unstamped: u64,
    /// Requests that were sent once more because the server closed an idle connection at that moment.
    pub sent_again: u64,
    /// How often the server sent unrequested bytes, a whole answer or others.
    pub unasked: u64,
    /// Connections for which this system had no resources; their requests were not sent.
    pub unopened: u64,
    /// The missing resource, and what to do.
    pub unopened_because: Option<String>,
}

impl ClientLoad {
    /// Why the repeat does not count or needs a warning, decided by the client's own load, never by the results.
    /// `wants_tpot`: whether the plan limits TPOT. Without a limit, answers in one piece only lack a figure that is not needed;
    /// a rule on TPOT reports the missing value itself.
    pub fn concerns(&self, traces: &[RequestTrace], wants_tpot: bool) -> Concerns {
        let mut concerns = Concerns::default();
        if let Some(because) = &self.unopened_because {
            concerns.make_void(format!(
                "the load generator could not open {} of its connections: {because}",
                self.unopened
            ));
        }
        if let Some(bottleneck) = self.bottleneck(traces) {
            concerns.make_void(bottleneck);
        }
        let sent_again = stats::number(self.sent_again) / stats::number(traces.len().max(1) as u64);
        let message = format!(
            "{} of {} requests were resent, because the server closed their connection without an answer",
            self.sent_again,
            traces.len()
        );
        // A single one may be chance, however few requests there are.
        if self.sent_again > 1 && sent_again > MOST_RESENT {
            concerns.make_void(format!(
                "{message}: raise the server's keep-alive timeout, or check whether it drops requests"
            ));
        } else if sent_again > RESENT_WITHOUT_WARNING {
            concerns.warn("sent again", message);
        }
        match in_one_piece(traces) {
            Some(message) if wants_tpot => concerns.warn("packaging", message),
            Some(message) => concerns.note("packaging", message),
            None => self.packed(&mut concerns),
        }
        self.unasked(traces.len(), &mut concerns);
        // If every request failed, the failures are reported instead.
        let wanted = self.in_flight_wanted.unwrap_or_default();
        if self.in_flight < wanted && traces.iter().any(|trace| trace.outcome.is_ok()) {
            concerns.warn("in flight", format!(
                "at most {} in flight instead of {wanted}: the workload has too few independent requests (turns of one conversation are sequential), or it ended before the ramp",
                count(self.in_flight as u64, "request")
            ));
        }
        concerns
    }

    /// Chunks that the server, or a proxy, sent together.
    fn packed(&self, concerns: &mut Concerns) {
        let merged = stats::number(self.merged_by_server) / stats::number(self.token_chunks.max(1));
        if merged > MAX_PACKED {
            concerns.warn("packaging", format!(
                "{:.0} % of the chunks arrived together with the one before: the server, or a proxy, sends several tokens at once, so ITL is the time between these packets",
                merged * 100.0
            ));
        }
    }

    /// The counts from `began` until `now`, in seconds of the measurement; `before` has the counts until `began`. Only shares of
    /// the time and chunks.
    #[must_use]
    pub fn since(&self, before: &Self, began: f64, now: f64) -> Self {
        let wall = (now - began).max(1e-9);
        let share = |after: f64, before: f64| ((after * now - before * began) / wall).max(0.0);
        Self {
            busy: share(self.busy, before.busy),
            starved: self
                .starved
                .map(|starved| share(starved, before.starved.unwrap_or_default())),
            token_chunks: self.token_chunks.saturating_sub(before.token_chunks),
            merged_late: self.merged_late.saturating_sub(before.merged_late),
            ..Self::default()
        }
    }

    /// Whether it lacked a CPU, so that its figures of that time are unreliable.
    pub fn is_delayed(&self) -> bool {
        let starved = self.starved.unwrap_or_default();
        starved > MOST_STARVED || self.busy + starved > MOST_BUSY || self.merged() > MOST_MERGED
    }

    /// Why the measurement is already lost: more chunks are merged than allowed for all `tokens` that it requests.
    pub fn lost_chunks(&self, tokens: u64) -> Option<String> {
        let merged = stats::number(self.merged_late);
        (merged > MOST_MERGED * stats::number(tokens)).then(|| self.late_message())
    }

    fn merged(&self) -> f64 {
        stats::number(self.merged_late) / stats::number(self.token_chunks.max(1))
    }

    fn late_message(&self) -> String {
        format!(
            "the load generator was the bottleneck: it read {:.1} % of the chunks more than 1 ms late, so their arrival times are lost",
            self.merged() * 100.0
        )
    }

    /// Unrequested bytes: an answer may belong to another request.
    fn unasked(&self, requests: usize, concerns: &mut Concerns) {
        let message = format!(
            "the server, or a proxy in front of it, sent unrequested bytes ({} in {})",
            count(self.unasked, "time"),
            count(requests, "request")
        );
        if self.unasked > most_unasked(requests) {
            concerns.make_void(format!(
                "{message}, so an answer may belong to another request"
            ));
        } else if self.unasked > 0 {
            concerns.warn("unasked bytes", message);
        }
    }

    /// Why the client may have been the bottleneck; `None` if it was not.
    pub fn bottleneck(&self, traces: &[RequestTrace]) -> Option<String> {
        let busy = self.busy + self.starved.unwrap_or_default();
        if busy > MOST_BUSY {
            return Some(format!(
                "the load generator was the bottleneck: its thread ran {:.0} % of the time and waited for a CPU {:.0} % of the time",
                self.busy * 100.0,
                self.starved.unwrap_or_default() * 100.0
            ));
        }
        if self.merged() > MOST_MERGED {
            return Some(self.late_message());
        }
        let whole: Vec<f64> = traces
            .iter()
            .filter(|trace| trace.outcome.is_ok())
            .map(RequestTrace::e2e)
            .collect();
        let late = self.sending.mean;
        match stats::mean(&whole) {
            Some(mean) if late > DEFAULT_LATENESS && late > MOST_LATE * mean => Some(format!(
                "the load generator was the bottleneck: it sent requests {:.1} ms late on average, compared with {:.1} ms per request",
                late * 1e3,
                mean * 1e3
            )),
            Some(_) | None => None,
        }
    }

    /// The client's figures, for comparison with the server's counters. `traces` are those of the whole measurement.
    pub fn figures(&self, traces: &[RequestTrace]) -> ClientFigures {
        let whole = || traces.iter().filter(|trace| trace.outcome.is_ok());
        let of = |value: fn(&RequestTrace) -> Option<f64>| {
            stats::mean(&whole().filter_map(value).collect::<Vec<_>>())
        };
        ClientFigures {
            requests: traces.len(),
            all_whole: whole().count() == traces.len(),
            output_tokens: whole().filter_map(|trace| trace.output_tokens).sum(),
            in_flight: self.in_flight,
            // TTFT starts when a request is due, but the server sees it only after it is sent.
            ttft: of(RequestTrace::ttft).map(|ttft| ttft - self.sending.mean),
            tpot: of(RequestTrace::tpot),
            e2e: of(|trace| Some(trace.e2e())),
        }
    }

    /// For the result file.
    pub fn described(&self) -> Client {
        let count = |requests: usize| requests as u64;
        Client {
            busy: Some(self.busy),
            starved: self.starved,
            real_time: Some(self.real_time),
            send_late: Some(self.sending),
            read_late: Some(self.reading),
            in_flight: Some(count(self.in_flight)),
            in_flight_wanted: self.in_flight_wanted.map(count),
            token_chunks: Some(self.token_chunks),
            merged_late: Some(self.merged_late),
            merged_by_server: Some(self.merged_by_server),
            reads: Some(self.reads),
            unstamped_reads: Some(self.unstamped),
            sent_again: Some(self.sent_again),
            unasked: Some(self.unasked),
            unopened: Some(self.unopened),
        }
    }
}

/// Median and 95th percentile, in seconds, of TTFT as `vllm bench serve` defines it: a role or an empty text counts as the
/// first token. `null` without an answer.
pub fn first_chunks(traces: &[RequestTrace]) -> Value {
    let ok = traces.iter().filter(|trace| trace.outcome.is_ok());
    let times: Vec<f64> = ok.filter_map(RequestTrace::time_to_first_chunk).collect();
    json!({"p50": stats::quantile(&times, 0.5), "p95": stats::quantile(&times, 0.95)})
}

/// Whether many answers of several tokens arrived without a gap between tokens.
fn in_one_piece(traces: &[RequestTrace]) -> Option<String> {
    let several = traces
        .iter()
        .filter(|trace| trace.outcome.is_ok() && trace.output_tokens > Some(1));
    let (mut answers, mut in_one_piece) = (0_u64, 0_u64);
    for trace in several {
        answers += 1;
        in_one_piece += u64::from(trace.is_in_one_piece());
    }
    (stats::number(in_one_piece) > MAX_PACKED * stats::number(answers)).then(|| {
        format!(
            "{in_one_piece} of {answers} answers arrived in one piece, so they have no TPOT: a proxy buffers the stream, or the server does not stream"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    fn bottleneck(load: &ClientLoad) -> Option<String> {
        // 0.501 s each.
        let traces: Vec<RequestTrace> = (0..10)
            .map(|index| ok_trace(index, 0.0, 0.1, 0.04, 11))
            .collect();
        load.bottleneck(&traces)
    }

    fn unloaded() -> ClientLoad {
        ClientLoad {
            busy: 0.1,
            starved: Some(0.02),
            token_chunks: 1_000,
            ..ClientLoad::default()
        }
    }

    #[test]
    fn an_unloaded_client_is_not_a_bottleneck() {
        assert_eq!(bottleneck(&unloaded()), None);
        assert_eq!(bottleneck(&ClientLoad::default()), None);
    }

    #[test]
    fn a_few_unrequested_bytes_are_a_warning_and_many_void_the_repeat() {
        let concerns = |unasked| {
            let load = ClientLoad {
                unasked,
                ..unloaded()
            };
            let mut concerns = Concerns::default();
            load.unasked(200, &mut concerns);
            concerns
        };
        assert_eq!(concerns(0), Concerns::default());
        assert!(concerns(2) != Concerns::default() && concerns(2).void.is_none());
        let void = concerns(3).void.unwrap();
        assert!(void.contains("3 times in 200 requests"), "{void}");
    }

    #[test]
    fn every_cause_of_delay_is_reported() {
        let late = |mean| Lateness {
            mean,
            ..Lateness::default()
        };
        for (load, reason) in [
            (
                ClientLoad {
                    busy: 0.95,
                    ..unloaded()
                },
                "ran 95 %",
            ),
            (
                ClientLoad {
                    busy: 0.3,
                    starved: Some(0.65),
                    ..unloaded()
                },
                "waited for a CPU 65 %",
            ),
            (
                ClientLoad {
                    merged_late: 20,
                    ..unloaded()
                },
                "2.0 % of the chunks",
            ),
            (
                ClientLoad {
                    sending: late(0.012),
                    ..unloaded()
                },
                "12.0 ms late",
            ),
        ] {
            let message = bottleneck(&load).expect(reason);
            assert!(message.contains(reason), "{message}");
        }
        assert_eq!(
            bottleneck(&ClientLoad {
                sending: late(0.008),
                ..unloaded()
            }),
            None
        );
    }

    fn concerns(load: &ClientLoad, requests: usize) -> String {
        let traces: Vec<RequestTrace> = (0..requests)
            .map(|index| ok_trace(index, 0.0, 0.1, 0.04, 11))
            .collect();
        let concerns = load.concerns(&traces, false);
        let void = concerns.void.map(|reason| format!("void: {reason}"));
        let message = concerns.warnings.into_iter().map(|warning| warning.message);
        void.into_iter()
            .chain(message)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn resent_requests_are_reported_and_many_of_them_void_the_repeat() {
        let again = |sent_again| {
            let load = ClientLoad {
                sent_again,
                ..unloaded()
            };
            concerns(&load, 1_000)
        };
        assert_eq!(again(1), "");
        insta::assert_snapshot!(again(10), @"10 of 1000 requests were resent, because the server closed their connection without an answer");
        insta::assert_snapshot!(again(11), @"void: 11 of 1000 requests were resent, because the server closed their connection without an answer: raise the server's keep-alive timeout, or check whether it drops requests");
    }

    #[test]
    fn a_closed_loop_that_was_never_full_is_reported() {
        let in_flight = |in_flight, in_flight_wanted| ClientLoad {
            in_flight,
            in_flight_wanted,
            ..unloaded()
        };
        assert_eq!(concerns(&in_flight(16, Some(16)), 20), "");
        assert_eq!(concerns(&in_flight(3, None), 20), "");
        insta::assert_snapshot!(concerns(&in_flight(2, Some(16)), 20), @"at most 2 requests in flight instead of 16: the workload has too few independent requests (turns of one conversation are sequential), or it ended before the ramp");
    }

    #[test]
    fn missing_system_resources_void_the_repeat_and_the_message_has_a_remedy() {
        let load = ClientLoad {
            unopened: 3,
            unopened_because: Some("Too many open files; raise the limit".to_owned()),
            ..unloaded()
        };
        insta::assert_snapshot!(concerns(&load, 10), @"void: the load generator could not open 3 of its connections: Too many open files; raise the limit");
    }

    #[test]
    fn chunks_that_the_server_sent_together_are_not_the_clients_fault() {
        assert_eq!(
            bottleneck(&ClientLoad {
                merged_by_server: 500,
                ..unloaded()
            }),
            None
        );
    }

    #[test]
    fn packed_chunks_and_answers_in_one_piece_are_reported() {
        let packed = ClientLoad {
            merged_by_server: 500,
            ..unloaded()
        };
        insta::assert_snapshot!(concerns(&packed, 10), @"50 % of the chunks arrived together with the one before: the server, or a proxy, sends several tokens at once, so ITL is the time between these packets");
        let buffered = [
            ok_trace(0, 0.0, 0.1, 0.0, 11),
            ok_trace(1, 0.0, 0.1, 0.04, 11),
        ];
        let asked = packed.concerns(&buffered, true);
        let message = &asked.warnings;
        insta::assert_snapshot!(message[0].message, @"1 of 2 answers arrived in one piece, so they have no TPOT: a proxy buffers the stream, or the server does not stream");
        let single = [ok_trace(0, 0.0, 0.1, 0.0, 1)];
        // The plan does not limit TPOT, so a note is enough.
        let unasked = packed.concerns(&buffered, false);
        assert_eq!((&unasked.notes, unasked.warnings.len()), (message, 0));
        assert_eq!(unloaded().concerns(&single, true), Concerns::default());
    }

    #[test]
    fn a_first_chunk_without_text_differs_from_the_first_token() {
        let early = RequestTrace {
            first_chunk: Some(0.002),
            ..ok_trace(0, 0.0, 0.049, 0.01, 4)
        };
        assert_eq!(early.ttft(), Some(0.049));
        assert_eq!(first_chunks(&[early]), json!({"p50": 0.002, "p95": 0.002}));
        assert_eq!(first_chunks(&[]), json!({"p50": null, "p95": null}));
    }
}
