//! Checks whether too many requests of a repeat failed.

use super::early_end;
use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::measure::RequestOutcome;
use crate::record::Failures;
use crate::record::format::{Repeat, RequestCounts};
use crate::stats::number;

/// If a server refuses most requests, percentiles of the others are meaningless.
pub(crate) fn check(plan: &Plan, scenario: &str, last: &Repeat) -> Result<(), Failure> {
    if early_end::is_not_of_server(last) {
        return Ok(());
    }
    let RequestCounts {
        completed,
        failed,
        truncated,
    } = last.requests.unwrap_or_default();
    let bad = failed + truncated;
    if completed + bad == 0 {
        let message = format!("no request of {scenario} was sent; raise `duration`");
        return Err(Failure::usage(message));
    }
    let rate = number(bad) / number(completed + bad);
    let is_hung = early_end::is_hung(last);
    if rate <= plan.max_error_rate && completed > 0 && !is_hung {
        return Ok(());
    }
    // The requests never reached the server: such a repeat is void with a reason.
    let client = last.telemetry.client.as_ref();
    let unopened = client.and_then(|client| client.unopened);
    if last.void.is_some() && unopened.unwrap_or_default() > 0 {
        return Ok(());
    }
    let allowed = if rate > plan.max_error_rate {
        format!("; the limit is {} %", plan.max_error_rate * 100.0)
    } else {
        String::new()
    };
    let stopped = early_end::of_server(last).map(|stopped| format!("; {stopped}"));
    let message = format!(
        "{bad} of {} requests of {scenario} failed{allowed}; the most frequent reason: {}{}",
        early_end::planned(last).unwrap_or(completed + bad),
        Failures::of([last]).reason(),
        stopped.unwrap_or_default()
    );
    let next = if timed_out_mostly(last) {
        format!(
            "find out why the server stopped answering; raise `timeout` ({} s) if it is only slow",
            plan.timeout.as_secs_f64()
        )
    } else {
        "see the server log of that time; `max_error_rate` sets the allowed share".to_owned()
    };
    Err(Failure::message(ExitStatus::TargetFailed, message).hint(next))
}

fn timed_out_mostly(repeat: &Repeat) -> bool {
    let most = Failures::of([repeat]).most_frequent;
    most.is_some_and(|(status, _)| status == RequestOutcome::TimedOut.to_string())
}
