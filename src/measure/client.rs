//! What the load generator itself did to a repeat: whether it could have been what was measured.

use serde_json::{Value, json};

use super::covariates::Concerns;
use super::cross_check::ClientFigures;
use super::trace::RequestTrace;
use crate::record::MAX_PACKED;
use crate::record::telemetry::Client;
pub use crate::record::telemetry::Lateness;
use crate::stats;

/// Share of the time in which the client's thread may work or wait for a CPU. Above, it had no time left to be on time.
const MOST_BUSY: f64 = 0.9;

/// Share of the time without a CPU above which a second of it is in doubt; whether the whole is void, the other limits say.
const MOST_STARVED: f64 = 0.2;

/// Share of a request's time by which sending it may be late, on average: less than half of the usual limit of 5 %.
const MOST_LATE: f64 = 0.02;

/// Lateness below this, in seconds, is no client's fault: a timer and a wake-up take as long.
const DEFAULT_LATENESS: f64 = 0.000_2;

/// Share of the token chunks whose own arrival may be lost because the client came late to read them.
const MOST_MERGED: f64 = 0.01;

/// Share of the requests that may be sent once more without a word, and without doubt: each has waited for a connection
/// to break and for another, and a server that drops what it takes looks the same.
const SENT_AGAIN_UNSAID: f64 = 0.001;
const MOST_SENT_AGAIN: f64 = 0.01;

/// In so many requests, bytes may come once that no request had asked for: a proxy that closes an idle connection may send
/// a word before it does.
const REQUESTS_PER_UNASKED: usize = 100;

/// Why a pass ended before its last request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The load generator is kept from its work, as the words say.
    Client(String),
    /// Every request in flight has timed out: the server is given up.
    Hung,
    /// More requests have failed than may.
    Failing,
    /// Bytes that no request had asked for came more often than they may.
    Unasked,
}

/// How often a pass of so many requests may get bytes that none of them had asked for.
pub fn most_unasked(requests: usize) -> u64 {
    (requests / REQUESTS_PER_UNASKED) as u64
}

/// What the load generator did during one pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientLoad {
    /// Share of the time in which its thread ran.
    pub busy: f64,
    /// Share of the time in which its thread could have run and had no CPU; `None` where the kernel does not say.
    pub starved: Option<f64>,
    /// Whether its thread had real-time priority, for a time at least: it takes it where it is permitted to.
    pub real_time: bool,
    /// From the time when a request could be sent to its sending.
    pub sending: Lateness,
    /// From the arrival of bytes, by the kernel's stamp, to their reading. Latencies count to the arrival.
    pub reading: Lateness,
    /// Requests in flight at most.
    pub in_flight: usize,
    /// Requests that a closed loop keeps in flight.
    pub in_flight_wanted: Option<usize>,
    /// Chunks with text.
    pub token_chunks: u64,
    /// Of them, those that were read together with a later one because the client came late: their own arrival is lost.
    pub merged_late: u64,
    /// Of them, those that arrived together with a later one: the server, or what lies between, sent them so.
    pub merged_by_server: u64,
    /// Reads that brought something.
    pub reads: u64,
    /// Of them, those without a stamp of the kernel.
    pub unstamped: u64,
    /// Requests sent once more because the server had closed an idle connection at that moment.
    pub sent_again: u64,
    /// How often the server sent bytes that no request had asked for, a whole answer or others.
    pub unasked: u64,
    /// Connections that this system had no room for; their requests could not be sent.
    pub unopened: u64,
    /// What it lacked, and what to do.
    pub unopened_because: Option<String>,
}

impl ClientLoad {
    /// Why the repeat does not count or wants a word, decided by what the client did, never by what it measured.
    /// `wants_tpot`: whether the plan sets a limit on TPOT. Without one, answers in one piece only lack a figure for which
    /// nobody asked; a rule that judges it says itself what is missing.
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
        let said = format!(
            "{} of {} requests met a connection that the server was closing, without an answer and without a word, and were sent again",
            self.sent_again,
            traces.len()
        );
        // One alone may be chance, however few they all are.
        if self.sent_again > 1 && sent_again > MOST_SENT_AGAIN {
            concerns.make_void(format!(
                "{said}: let it keep connections for longer, or see whether it drops requests"
            ));
        } else if sent_again > SENT_AGAIN_UNSAID {
            concerns.warn("sent again", said);
        }
        match in_one_piece(traces) {
            Some(said) if wants_tpot => concerns.warn("packaging", said),
            Some(said) => concerns.note("packaging", said),
            None => self.packed(&mut concerns),
        }
        self.unasked(traces.len(), &mut concerns);
        // Where every request failed that says enough.
        let wanted = self.in_flight_wanted.unwrap_or_default();
        if self.in_flight < wanted && traces.iter().any(|trace| trace.outcome.is_ok()) {
            concerns.warn("in flight", format!(
                "at most {} requests were in flight where {wanted} were asked for: there were too few of them (turns of one conversation follow each other), or they ended before the ramp",
                self.in_flight
            ));
        }
        concerns
    }

    /// Tokens that the server, or what lies between, sent together.
    fn packed(&self, concerns: &mut Concerns) {
        let merged = stats::number(self.merged_by_server) / stats::number(self.token_chunks.max(1));
        if merged > MAX_PACKED {
            concerns.warn("packaging", format!(
                "{:.0} % of the chunks came together with the one before: the server, or a proxy, sends several tokens at once, and ITL is the time between such packets",
                merged * 100.0
            ));
        }
    }

    /// What was counted from `began` on until `now`, seconds of its pass, where `before` was counted until `began`:
    /// shares of the time and chunks alone.
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

    /// Whether it lacked a CPU, so that what it measured meanwhile is in doubt.
    pub fn is_kept_from_work(&self) -> bool {
        let starved = self.starved.unwrap_or_default();
        starved > MOST_STARVED || self.busy + starved > MOST_BUSY || self.merged() > MOST_MERGED
    }

    /// Why the pass is lost, whatever comes: more chunks are merged than `tokens`, all that it asks for, may lose.
    pub fn lost_of(&self, tokens: u64) -> Option<String> {
        let merged = stats::number(self.merged_late);
        (merged > MOST_MERGED * stats::number(tokens)).then(|| self.too_late())
    }

    fn merged(&self) -> f64 {
        stats::number(self.merged_late) / stats::number(self.token_chunks.max(1))
    }

    fn too_late(&self) -> String {
        format!(
            "the load generator was the bottleneck: it came too late to tell {:.1} % of the chunks apart",
            self.merged() * 100.0
        )
    }

    /// Bytes that no request had asked for: then an answer may be that of another request.
    fn unasked(&self, requests: usize, concerns: &mut Concerns) {
        let said = format!(
            "the server, or a proxy in front of it, sent bytes that no request had asked for ({} times in {} requests)",
            self.unasked, requests
        );
        if self.unasked > most_unasked(requests) {
            concerns.make_void(format!(
                "{said}, so an answer may belong to another request"
            ));
        } else if self.unasked > 0 {
            concerns.warn("unasked bytes", said);
        }
    }

    /// Why the client could have been the bottleneck; `None` where it was not.
    pub fn bottleneck(&self, traces: &[RequestTrace]) -> Option<String> {
        let busy = self.busy + self.starved.unwrap_or_default();
        if busy > MOST_BUSY {
            return Some(format!(
                "the load generator was the bottleneck: its thread ran {:.0} % of the time and waited for a CPU {:.0} %",
                self.busy * 100.0,
                self.starved.unwrap_or_default() * 100.0
            ));
        }
        if self.merged() > MOST_MERGED {
            return Some(self.too_late());
        }
        let whole: Vec<f64> = traces
            .iter()
            .filter(|trace| trace.outcome.is_ok())
            .map(RequestTrace::e2e)
            .collect();
        let late = self.sending.mean;
        match stats::mean(&whole) {
            Some(mean) if late > DEFAULT_LATENESS && late > MOST_LATE * mean => Some(format!(
                "the load generator was the bottleneck: it sent requests {:.1} ms late on average, and they take {:.1} ms",
                late * 1e3,
                mean * 1e3
            )),
            Some(_) | None => None,
        }
    }

    /// What the server's own counters are held against. `traces` are all of the pass.
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
            // TTFT counts from when a request was due, and the server cannot know of it before it was sent.
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

/// Median and 95th percentile, in seconds, of what `vllm bench serve` calls TTFT: it counts a role or an empty text as the
/// first token. `null` without one answer.
pub fn first_chunks(traces: &[RequestTrace]) -> Value {
    let ok = traces.iter().filter(|trace| trace.outcome.is_ok());
    let times: Vec<f64> = ok.filter_map(RequestTrace::time_to_first_chunk).collect();
    json!({"p50": stats::quantile(&times, 0.5), "p95": stats::quantile(&times, 0.95)})
}

/// Whether many answers of several tokens show no gap between them.
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
            "{in_one_piece} of {answers} answers came in one piece, so they have no TPOT: a proxy buffers the stream, or the server does not stream"
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

    fn at_ease() -> ClientLoad {
        ClientLoad {
            busy: 0.1,
            starved: Some(0.02),
            token_chunks: 1_000,
            ..ClientLoad::default()
        }
    }

    #[test]
    fn a_client_at_ease_is_no_bottleneck() {
        assert_eq!(bottleneck(&at_ease()), None);
        assert_eq!(bottleneck(&ClientLoad::default()), None);
    }

    #[test]
    fn unasked_bytes_are_a_warning_and_many_a_doubt() {
        let concerns = |unasked| {
            let load = ClientLoad {
                unasked,
                ..at_ease()
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
    fn every_way_of_being_too_slow_is_named() {
        let late = |mean| Lateness {
            mean,
            ..Lateness::default()
        };
        for (load, reason) in [
            (
                ClientLoad {
                    busy: 0.95,
                    ..at_ease()
                },
                "ran 95 %",
            ),
            (
                ClientLoad {
                    busy: 0.3,
                    starved: Some(0.65),
                    ..at_ease()
                },
                "waited for a CPU 65 %",
            ),
            (
                ClientLoad {
                    merged_late: 20,
                    ..at_ease()
                },
                "2.0 % of the chunks",
            ),
            (
                ClientLoad {
                    sending: late(0.012),
                    ..at_ease()
                },
                "12.0 ms late",
            ),
        ] {
            let said = bottleneck(&load).expect(reason);
            assert!(said.contains(reason), "{said}");
        }
        assert_eq!(
            bottleneck(&ClientLoad {
                sending: late(0.008),
                ..at_ease()
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
        let said = concerns.warnings.into_iter().map(|warning| warning.message);
        void.into_iter().chain(said).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn requests_sent_again_are_said_and_many_of_them_void_the_repeat() {
        let again = |sent_again| {
            let load = ClientLoad {
                sent_again,
                ..at_ease()
            };
            concerns(&load, 1_000)
        };
        assert_eq!(again(1), "");
        insta::assert_snapshot!(again(10), @"10 of 1000 requests met a connection that the server was closing, without an answer and without a word, and were sent again");
        insta::assert_snapshot!(again(11), @"void: 11 of 1000 requests met a connection that the server was closing, without an answer and without a word, and were sent again: let it keep connections for longer, or see whether it drops requests");
    }

    #[test]
    fn a_closed_loop_that_never_was_full_is_said_and_a_full_one_is_not() {
        let in_flight = |in_flight, in_flight_wanted| ClientLoad {
            in_flight,
            in_flight_wanted,
            ..at_ease()
        };
        assert_eq!(concerns(&in_flight(16, Some(16)), 20), "");
        assert_eq!(concerns(&in_flight(3, None), 20), "");
        insta::assert_snapshot!(concerns(&in_flight(2, Some(16)), 20), @"at most 2 requests were in flight where 16 were asked for: there were too few of them (turns of one conversation follow each other), or they ended before the ramp");
    }

    #[test]
    fn a_system_without_room_for_connections_voids_the_repeat_and_says_what_to_do() {
        let load = ClientLoad {
            unopened: 3,
            unopened_because: Some("Too many open files; raise the limit".to_owned()),
            ..at_ease()
        };
        insta::assert_snapshot!(concerns(&load, 10), @"void: the load generator could not open 3 of its connections: Too many open files; raise the limit");
    }

    #[test]
    fn chunks_that_the_server_sent_together_are_not_the_clients_fault() {
        assert_eq!(
            bottleneck(&ClientLoad {
                merged_by_server: 500,
                ..at_ease()
            }),
            None
        );
    }

    #[test]
    fn packed_chunks_and_answers_in_one_piece_are_said() {
        let packed = ClientLoad {
            merged_by_server: 500,
            ..at_ease()
        };
        insta::assert_snapshot!(concerns(&packed, 10), @"50 % of the chunks came together with the one before: the server, or a proxy, sends several tokens at once, and ITL is the time between such packets");
        let buffered = [
            ok_trace(0, 0.0, 0.1, 0.0, 11),
            ok_trace(1, 0.0, 0.1, 0.04, 11),
        ];
        let asked = packed.concerns(&buffered, true);
        let said = &asked.warnings;
        insta::assert_snapshot!(said[0].message, @"1 of 2 answers came in one piece, so they have no TPOT: a proxy buffers the stream, or the server does not stream");
        let single = [ok_trace(0, 0.0, 0.1, 0.0, 1)];
        // The plan limits no TPOT, so a note is enough.
        let unasked = packed.concerns(&buffered, false);
        assert_eq!((&unasked.notes, unasked.warnings.len()), (said, 0));
        assert_eq!(at_ease().concerns(&single, true), Concerns::default());
    }

    #[test]
    fn a_first_chunk_without_text_is_told_apart_from_the_first_token() {
        let early = RequestTrace {
            first_chunk: Some(0.002),
            ..ok_trace(0, 0.0, 0.049, 0.01, 4)
        };
        assert_eq!(early.ttft(), Some(0.049));
        assert_eq!(first_chunks(&[early]), json!({"p50": 0.002, "p95": 0.002}));
        assert_eq!(first_chunks(&[]), json!({"p50": null, "p95": null}));
    }
}
