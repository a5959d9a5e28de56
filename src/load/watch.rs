//! Ends a measurement early that cannot count any more.

use super::own_load::OwnLoad;
use crate::measure::{ClientLoad, RequestOutcome, RequestTrace, Stop};

/// How often the load generator checks its own delays, in seconds.
const WINDOW: f64 = 1.0;

/// Failed checks in a row that end the measurement. A single one may be the start of a server or of another program.
const FAILED_CHECKS: u32 = 3;

/// Timed-out requests in a row after which a server counts as hung: a single one may be a long request.
const FEWEST_TIMED_OUT: usize = 2;

/// When a measurement ends early.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopConditions {
    /// How many requests may fail; one more exceeds the plan's `max_error_rate`. `None` where failures are a result, as in
    /// a sweep.
    pub most_failures: Option<usize>,
    /// How often unrequested bytes may arrive; once more, and answers can no longer be assigned to requests.
    pub most_unasked: Option<u64>,
    /// Whether it ends when the load generator is delayed.
    pub needs_cpu: bool,
}

/// State of a measurement so far.
#[derive(Debug)]
pub(super) struct Watch {
    conditions: StopConditions,
    /// Output tokens of all requests.
    tokens: u64,
    failures: usize,
    /// Requests that timed out since the last other end.
    timed_out: usize,
    /// Requests that were in flight when the first of them timed out.
    at_stake: usize,
    /// Start of the window, and the counts at that time.
    since: f64,
    before: ClientLoad,
    kept_from_work: u32,
}

impl Watch {
    pub(super) fn new(conditions: StopConditions, tokens: u64) -> Self {
        Self {
            conditions,
            tokens,
            failures: 0,
            timed_out: 0,
            at_stake: 0,
            since: 0.0,
            before: ClientLoad::default(),
            kept_from_work: 0,
        }
    }

    /// A request has ended, with `in_flight` requests at that moment, itself included.
    pub(super) fn ended(&mut self, outcome: &RequestOutcome, in_flight: usize) -> Option<Stop> {
        self.failures += usize::from(!outcome.is_ok());
        if *outcome == RequestOutcome::TimedOut {
            if self.timed_out == 0 {
                self.at_stake = in_flight.max(FEWEST_TIMED_OUT);
            }
            self.timed_out += 1;
        } else {
            self.timed_out = 0;
        }
        if self.timed_out > 0 && self.timed_out >= self.at_stake {
            return Some(Stop::Hung);
        }
        let most = self.conditions.most_failures?;
        (self.failures > most).then_some(Stop::Failing)
    }

    /// Unrequested bytes have arrived so often.
    pub(super) fn unasked(&self, times: u64) -> Option<Stop> {
        let most = self.conditions.most_unasked?;
        (times > most).then_some(Stop::Unasked)
    }

    /// Checks from time to time whether the load generator is delayed.
    pub(super) fn check_client(&mut self, own: &OwnLoad, traces: &[RequestTrace]) -> Option<Stop> {
        let now = own.elapsed();
        if !self.conditions.needs_cpu || now - self.since < WINDOW {
            return None;
        }
        let so_far = own.so_far();
        // More than the whole measurement may lose is already lost.
        let mut stop = so_far.lost_chunks(self.tokens);
        if so_far.since(&self.before, self.since, now).is_delayed() {
            self.kept_from_work += 1;
        } else {
            self.kept_from_work = 0;
        }
        if stop.is_none() && self.kept_from_work >= FAILED_CHECKS {
            stop = so_far.bottleneck(traces);
        }
        (self.since, self.before) = (now, so_far);
        stop.map(|reason| Stop::Client(format!("{reason}; stopped after {now:.0} s")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(most_failures: Option<usize>) -> Watch {
        let conditions = StopConditions {
            most_failures,
            ..StopConditions::default()
        };
        Watch::new(conditions, 1_000)
    }

    fn failed() -> RequestOutcome {
        RequestOutcome::Failed("HTTP 500".to_owned())
    }

    #[test]
    fn a_server_is_given_up_when_every_request_in_flight_timed_out_and_not_earlier() {
        let mut watch = watch(None);
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 3), None);
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 3), None);
        assert_eq!(watch.ended(&RequestOutcome::Ok, 3), None);
        for _ in 0..2 {
            assert_eq!(watch.ended(&RequestOutcome::TimedOut, 3), None);
        }
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 3), Some(Stop::Hung));
    }

    #[test]
    fn requests_that_time_out_together_leave_the_others_in_flight() {
        let mut watch = watch(None);
        for left in (3..=6).rev() {
            assert_eq!(watch.ended(&RequestOutcome::TimedOut, left), None, "{left}");
        }
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 2), None);
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 1), Some(Stop::Hung));
    }

    #[test]
    fn one_long_request_is_not_a_hung_server() {
        let mut watch = watch(None);
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 1), None);
        assert_eq!(watch.ended(&RequestOutcome::TimedOut, 1), Some(Stop::Hung));
    }

    #[test]
    fn a_measurement_ends_with_the_failure_that_exceeds_the_plans_limit() {
        let mut of_two = watch(Some(2));
        let stops =
            [failed(), RequestOutcome::Ok, failed(), failed()].map(|end| of_two.ended(&end, 4));
        assert_eq!(stops, [None, None, None, Some(Stop::Failing)]);
        let mut of_a_sweep = watch(None);
        assert!((0..99).all(|_| of_a_sweep.ended(&failed(), 4).is_none()));
    }

    #[test]
    fn a_measurement_ends_when_unrequested_bytes_exceed_their_limit() {
        let conditions = StopConditions {
            most_unasked: Some(2),
            ..StopConditions::default()
        };
        let of_two = Watch::new(conditions, 1_000);
        assert_eq!(
            [0, 2, 3].map(|times| of_two.unasked(times)),
            [None, None, Some(Stop::Unasked)]
        );
        assert_eq!(watch(None).unasked(99), None);
    }
}
