//! Throughput without ramp-up and drain.

use super::trace::RequestTrace;

/// A window shorter than this share of the measurement depends more on its edges than on the server.
const SMALLEST_WINDOW: f64 = 0.2;

/// Output tokens per second between the first end of a request and the last start of one: before, the slots fill; after,
/// they drain. Tokens are spread evenly over the chunks of their request. `None` if the window is too short.
pub(super) fn steady_throughput(traces: &[RequestTrace], duration: f64) -> Option<f64> {
    let counted = || traces.iter().filter(|trace| trace.outcome.is_ok());
    let from = counted().map(|trace| trace.ended).min_by(f64::total_cmp)?;
    let to = counted().map(|trace| trace.sent).max_by(f64::total_cmp)?;
    if duration <= 0.0 || to - from < SMALLEST_WINDOW * duration {
        return None;
    }
    let tokens: f64 = counted()
        .map(|trace| {
            let chunks = trace.token_chunks.len().max(1);
            let inside = trace
                .token_chunks
                .iter()
                .filter(|at| (from..to).contains(*at))
                .count();
            #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 tokens")]
            let share = inside as f64 / chunks as f64;
            #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 tokens")]
            let tokens = trace.output_tokens.unwrap_or(0) as f64;
            tokens * share
        })
        .sum();
    Some(tokens / (to - from))
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    #[test]
    fn the_window_leaves_out_ramp_up_and_drain() {
        // Two slots, requests of one second with ten tokens each, back to back for ten seconds.
        let traces: Vec<_> = (0..20)
            .map(|index| {
                ok_trace(
                    index,
                    f64::from(u32::try_from(index / 2).unwrap()),
                    0.1,
                    0.1,
                    10,
                )
            })
            .collect();
        let steady = steady_throughput(&traces, 10.0).unwrap();
        assert!((steady - 20.0).abs() < 1.0, "{steady}");
    }

    #[test]
    fn a_burst_without_a_steady_part_has_no_steady_throughput() {
        let traces: Vec<_> = (0..4)
            .map(|index| ok_trace(index, 0.0, 0.1, 0.1, 10))
            .collect();
        assert_eq!(steady_throughput(&traces, 1.0), None);
    }
}
