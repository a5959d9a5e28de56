//! Finds answers that were sent before their request.
//!
//! An HTTP/1.1 answer does not identify its request: the next answer on a connection counts as that of the next request. If a
//! server, or a proxy in front of it, sends one answer too many, it answers every later request too early. Bytes that
//! arrive while a connection has no request close it. Bytes that arrive just after the next request was sent are
//! recognised by their timing: a whole stream of tokens in less time than its tokens take.

use crate::measure::{RequestOutcome, RequestTrace};
use crate::record::FASTEST_TOKEN;
use crate::stats;

/// An answer arrives at once if its tokens arrive together, or at least `ENOUGH` of them in less than this share of the time
/// that so many take: with fewer tokens, one stall at the start would weigh too much.
const AT_ONCE: f64 = 0.05;
const ENOUGH: f64 = 8.0;

/// And it is too early if even its end arrives in less than this share of that time. The share accepts a server that answers
/// four times as fast as at the start of its connections.
const TOO_EARLY: f64 = 0.25;

/// Fails the answers that were sent before their request, and returns their number. `first` are the requests that were the
/// first on their connection; no earlier answer can precede theirs, so they show how long a token takes.
pub(super) fn reject_early_answers(traces: &mut [RequestTrace], mut first: Vec<usize>) -> u64 {
    first.sort_unstable();
    let is_first = |trace: &RequestTrace| first.binary_search(&trace.index).is_ok();
    let paces: Vec<f64> = traces
        .iter()
        .filter(|trace| is_first(trace))
        .filter_map(|trace| {
            let (later, span) = streamed(trace)?;
            (span > 0.0).then(|| span / later)
        })
        .collect();
    let Some(pace) = stats::quantile(&paces, 0.5) else {
        return 0;
    };
    let mut rejected = 0;
    for trace in traces.iter_mut().filter(|trace| !is_first(trace)) {
        let Some((later, span)) = streamed(trace) else {
            continue;
        };
        let expected = pace * later;
        let took = trace.ended - trace.sent;
        let together = trace
            .token_chunks
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= FASTEST_TOKEN);
        let at_once = together || (later >= ENOUGH && span < AT_ONCE * expected);
        if at_once && took < TOO_EARLY * expected {
            trace.outcome = RequestOutcome::Failed(format!(
                "the whole answer arrived {:.1} ms after the request, but its tokens alone take {:.1} ms: it was sent before the request",
                took * 1e3,
                expected * 1e3
            ));
            rejected += 1;
        }
    }
    rejected
}

/// How many chunks with text followed the first, and in how many seconds.
fn streamed(trace: &RequestTrace) -> Option<(f64, f64)> {
    let [first, .., last] = trace.token_chunks.as_slice() else {
        return None;
    };
    let later = trace.token_chunks.len() - 1;
    trace
        .outcome
        .is_ok()
        .then(|| (stats::number(later as u64), last - first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::ok_trace;

    /// Its first token arrives `after` the request, all twenty within `gap`.
    fn answer(index: usize, after: f64, gap: f64) -> RequestTrace {
        let mut trace = ok_trace(index, 1.0, after, gap, 20);
        trace.ended = trace.last_token.unwrap();
        trace
    }

    fn rejected(later: RequestTrace) -> bool {
        let mut traces = [answer(0, 0.02, 0.002), later];
        let count = reject_early_answers(&mut traces, vec![0]);
        assert_eq!(traces[1].outcome.is_ok(), count == 0);
        count == 1
    }

    #[test]
    fn a_whole_answer_that_arrives_too_early_is_rejected() {
        assert!(rejected(answer(1, 0.000_3, 0.0)));
        assert!(rejected(answer(1, 0.005, 0.000_05)));
    }

    #[test]
    fn a_fast_stream_and_a_late_whole_answer_are_accepted() {
        for (after, gap) in [(0.001, 0.000_5), (0.02, 0.0), (0.058, 0.0), (0.02, 0.002)] {
            assert!(!rejected(answer(1, after, gap)), "{after} {gap}");
        }
    }

    #[test]
    fn without_a_streamed_first_answer_none_is_rejected() {
        let mut traces = [answer(0, 0.06, 0.0), answer(1, 0.000_3, 0.0)];
        assert_eq!(reject_early_answers(&mut traces, vec![0]), 0);
        assert_eq!(reject_early_answers(&mut traces, Vec::new()), 0);
    }
}
