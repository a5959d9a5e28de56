//! The request rate of an open-loop schedule, independent of the answers. Pure.

use super::trace::RequestTrace;
use crate::stats::{self, number};

/// The first one of this many requests shows how long a request takes before a queue grows.
const FIRST_OF: usize = 10;

/// Requests per second of the drawn schedule, up to the time when its last request should have ended: few arrivals may by
/// chance differ clearly from the configured rate. `None` if all were due at once.
pub fn offered_rate(traces: &[RequestTrace]) -> Option<f64> {
    let due = || traces.iter().map(|trace| trace.due);
    let span = due().max_by(f64::total_cmp)? - due().min_by(f64::total_cmp)?;
    let first = &traces[..traces.len().div_ceil(FIRST_OF)];
    let whole = first.iter().filter(|trace| trace.outcome.is_ok());
    let one = stats::mean(&whole.map(RequestTrace::e2e).collect::<Vec<f64>>());
    let requests = number(traces.len() as u64);
    (span > 0.0).then(|| requests / (span + one.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    #[test]
    fn the_offered_rate_is_that_of_the_schedule_and_not_of_the_answers() {
        // A request takes one second at first, and a hundred at the end.
        let traces: Vec<RequestTrace> = (0_u32..20)
            .map(|index| {
                let slow = if index < 2 { 1.0 } else { 100.0 };
                ok_trace(index as usize, f64::from(index) / 2.0, slow, 0.0, 1)
            })
            .collect();
        let offered = offered_rate(&traces).unwrap();
        let expected = 20.0 / (9.5 + traces[0].e2e());
        assert!((offered - expected).abs() < 1e-9, "{offered}");
        assert_eq!(offered_rate(&traces[..1]), None);
        assert_eq!(offered_rate(&[]), None);
    }
}
