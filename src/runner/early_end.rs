//! Failed requests and measurements that ended early: the record in the repeat, and whether the run continues.

use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::measure::{RequestOutcome, Stop};
use crate::record::Failures;
use crate::record::format::{Repeat, RequestCounts};
use crate::record::telemetry::{Stopped, StoppedBecause};
use crate::stats::number;

/// Maximum consecutive repeats that a load generator without real-time priority may spoil.
pub(crate) const MAX_SPOILED: u32 = 2;

/// The record for a result: `ended` of `planned` requests.
pub(crate) fn described(stop: &Stop, ended: usize, planned: usize) -> Stopped {
    let because = match stop {
        Stop::Client(_) => StoppedBecause::Client,
        Stop::Hung => StoppedBecause::Hung,
        Stop::Failing => StoppedBecause::Failing,
        Stop::Unasked => StoppedBecause::Unasked,
    };
    Stopped {
        because: Some(because),
        after: Some(ended as u64),
        of: Some(planned as u64),
    }
}

/// Whether the repeat ended early for a reason other than server failures: the load generator, or unrequested bytes.
fn is_not_of_server(repeat: &Repeat) -> bool {
    matches!(
        because(repeat),
        Some(StoppedBecause::Client | StoppedBecause::Unasked)
    )
}

/// What happened, if the server was the cause: `every request in flight timed out: stopped after 2 of 24
/// requests`.
pub(crate) fn of_server(repeat: &Repeat) -> Option<String> {
    let what = match because(repeat)? {
        StoppedBecause::Hung => "every request in flight timed out",
        StoppedBecause::Failing => "more requests failed than `max_error_rate` allows",
        StoppedBecause::Client | StoppedBecause::Unasked => return None,
    };
    let stopped = repeat.telemetry.stopped.as_ref()?;
    let (after, of) = (stopped.after?, stopped.of?);
    Some(format!("{what}: stopped after {after} of {of} requests"))
}

/// Planned requests.
fn planned(repeat: &Repeat) -> Option<u64> {
    repeat.telemetry.stopped.as_ref()?.of
}

/// Whether the server hung.
fn is_hung(repeat: &Repeat) -> bool {
    because(repeat) == Some(StoppedBecause::Hung)
}

fn because(repeat: &Repeat) -> Option<StoppedBecause> {
    repeat.telemetry.stopped.as_ref()?.because
}

/// The load generator lacked CPU time too often.
pub(crate) fn spoiled(repeat: &Repeat, scenario: &str) -> Failure {
    let reason = repeat.void.as_deref().unwrap_or("it had no CPU");
    let message =
        format!("{scenario} could not be measured {MAX_SPOILED} times in a row: {reason}");
    let mut failure = Failure::environment(message);
    let client = repeat.telemetry.client.as_ref();
    if client.and_then(|client| client.real_time) != Some(true) {
        failure = failure.hint(RIGHT_TO_REAL_TIME);
    }
    failure
        .hint(FREE_CPU)
        .hint("`perfgate doctor` measures the load generator with a load on every CPU")
}

/// How to give the load generator real-time priority.
pub(crate) const RIGHT_TO_REAL_TIME: &str = "allow real-time priority for the load generator: `sudo setcap cap_sys_nice+ep \"$(command -v perfgate)\"`, in a container `--cap-add SYS_NICE`, in a systemd service `LimitRTPRIO=2`";

/// What helps without real-time priority.
pub(crate) const FREE_CPU: &str = "reserve a CPU for the load generator: `cpuset` in `server.docker`, or `taskset -c 1-` before the command of `server.process`; or lower the load";

/// If a server refuses most requests, percentiles of the others are meaningless.
pub(crate) fn check_requests(plan: &Plan, scenario: &str, last: &Repeat) -> Result<(), Failure> {
    if is_not_of_server(last) {
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
    let is_hung = is_hung(last);
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
    let stopped = of_server(last).map(|stopped| format!("; {stopped}"));
    let message = format!(
        "{bad} of {} requests of {scenario} failed{allowed}; the most frequent reason: {}{}",
        planned(last).unwrap_or(completed + bad),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::telemetry::{Client, Telemetry};

    fn stopped(stop: &Stop) -> Repeat {
        Repeat {
            telemetry: Telemetry {
                stopped: Some(described(stop, 2, 24)),
                ..Telemetry::default()
            },
            void: Some("the load generator was the bottleneck".to_owned()),
            ..Repeat::default()
        }
    }

    #[test]
    fn a_measurement_ended_by_the_server_contains_the_number_of_requests() {
        assert_eq!(
            of_server(&stopped(&Stop::Hung)).as_deref(),
            Some("every request in flight timed out: stopped after 2 of 24 requests")
        );
        assert_eq!(
            of_server(&stopped(&Stop::Failing)).as_deref(),
            Some(
                "more requests failed than `max_error_rate` allows: stopped after 2 of 24 requests"
            )
        );
        let by_client = stopped(&Stop::Client("starved".to_owned()));
        assert_eq!(of_server(&by_client), None);
        for nothing in [by_client, stopped(&Stop::Unasked)] {
            assert!(is_not_of_server(&nothing));
        }
        for something in [stopped(&Stop::Failing), Repeat::default()] {
            assert!(!is_not_of_server(&something));
        }
    }

    #[test]
    fn the_hint_contains_real_time_priority_only_if_it_was_missing() {
        let mut repeat = stopped(&Stop::Client(String::new()));
        let hints = |repeat: &Repeat| spoiled(repeat, "concurrency-8").hints.join("\n");
        for cure in [
            "setcap cap_sys_nice+ep",
            "--cap-add SYS_NICE",
            "LimitRTPRIO=",
            "cpuset",
        ] {
            assert!(hints(&repeat).contains(cure), "{cure}");
        }
        repeat.telemetry.client = Some(Client {
            real_time: Some(true),
            ..Client::default()
        });
        assert!(!hints(&repeat).contains("setcap") && hints(&repeat).contains("cpuset"));
    }
}
