//! Answers that cannot be those of their requests.
//!
//! HTTP/1.1 names no request in an answer: the next answer on a connection counts as that of the next request. A server, or
//! a proxy in front of it, that sends an answer too many would so answer every later request at once. Bytes that come while no
//! request is on a connection close it. Those that come just after the next request went out are known by their timing: a
//! whole stream of tokens in less time than the tokens alone take.

use crate::measure::{RequestOutcome, RequestTrace};
use crate::record::FASTEST_TOKEN;
use crate::stats;

/// An answer is whole at once if its tokens come together, or as many as `ENOUGH` in less than this share of the time that so
/// many take: with fewer, one stall at the start would weigh too much.
const AT_ONCE: f64 = 0.05;
const ENOUGH: f64 = 8.0;

/// And it is too early if even its end comes in less than this share of that time: chosen so that a server that answers four
/// times as fast as at the start of its connections is still believed.
const TOO_EARLY: f64 = 0.25;

/// Fails the answers that cannot be those of their requests, and says how many. `first` are the requests that were the first
/// on their connection, the only ones whose answer nothing can have preceded: they show how long a token takes.
pub(super) fn disown(traces: &mut [RequestTrace], mut first: Vec<usize>) -> u64 {
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
    let mut disowned = 0;
    for trace in traces.iter_mut().filter(|trace| !is_first(trace)) {
        let Some((later, span)) = streamed(trace) else {
            continue;
        };
        let usual = pace * later;
        let took = trace.ended - trace.sent;
        let together = trace
            .token_chunks
            .windows(2)
            .all(|pair| pair[1] - pair[0] <= FASTEST_TOKEN);
        let at_once = together || (later >= ENOUGH && span < AT_ONCE * usual);
        if at_once && took < TOO_EARLY * usual {
            trace.outcome = RequestOutcome::Failed(format!(
                "the answer came whole {:.1} ms after its request, and its tokens alone take {:.1} ms: it belongs to no request",
                took * 1e3,
                usual * 1e3
            ));
            disowned += 1;
        }
    }
    disowned
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

    /// So long after the request, all twenty tokens within so long of each other.
    fn answer(index: usize, after: f64, gap: f64) -> RequestTrace {
        let mut trace = ok_trace(index, 1.0, after, gap, 20);
        trace.ended = trace.last_token.unwrap();
        trace
    }

    fn disowned(later: RequestTrace) -> bool {
        let mut traces = [answer(0, 0.02, 0.002), later];
        let count = disown(&mut traces, vec![0]);
        assert_eq!(traces[1].outcome.is_ok(), count == 0);
        count == 1
    }

    #[test]
    fn an_answer_that_comes_whole_before_it_can_have_been_made_is_disowned() {
        assert!(disowned(answer(1, 0.000_3, 0.0)));
        assert!(disowned(answer(1, 0.005, 0.000_05)));
    }

    #[test]
    fn a_quick_answer_that_streams_and_a_whole_one_that_took_its_time_are_believed() {
        for (after, gap) in [(0.001, 0.000_5), (0.02, 0.0), (0.058, 0.0), (0.02, 0.002)] {
            assert!(!disowned(answer(1, after, gap)), "{after} {gap}");
        }
    }

    #[test]
    fn where_every_answer_comes_whole_or_none_was_the_first_nothing_is_known() {
        let mut traces = [answer(0, 0.06, 0.0), answer(1, 0.000_3, 0.0)];
        assert_eq!(disown(&mut traces, vec![0]), 0);
        assert_eq!(disown(&mut traces, Vec::new()), 0);
    }
}
