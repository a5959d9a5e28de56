//! The load generator on this machine: its cost, and the load that it can drive.

use serde_json::json;

use super::check::{Check, Group, Level};
use crate::load::Ceiling;
use crate::measure::ClientLoad;
use crate::metric::Unit;
use crate::runner::early_end;
use crate::stats::number;
use crate::text::number::{percent, seconds, value};

/// Share of the time in which the client's thread may be busy and still have a reserve.
const RECOMMENDED: f64 = 0.5;

/// Sending later than this shows that the machine is not idle.
const LATE: f64 = 0.002;

/// Share of reads without a time stamp up to which they are chance, and from which the kernel does not timestamp.
const FEW_UNSTAMPED: f64 = 0.01;
const MOSTLY_UNSTAMPED: f64 = 0.9;

pub(crate) fn figures(measured: &Ceiling) -> serde_json::Value {
    json!({
        "cpu_seconds_per_million_tokens": measured.cpu_per_token * 1e6,
        "tokens_per_second_at_ease": measured.tokens_per_second(RECOMMENDED),
        "tokens_per_second_at_most": measured.tokens_per_second(1.0),
        "flooded": measured.flooded.described(),
        "paced": measured.paced.described(),
        "crowded": measured.crowded.described(),
    })
}

pub(crate) fn checks(measured: &Ceiling) -> Group {
    let rate = |share| value(measured.tokens_per_second(share), Unit::TokensPerSecond);
    let late = measured.paced.sending;
    let lateness = format!(
        "{} (median), {} (P99)",
        seconds(late.p50),
        seconds(late.p99)
    );
    let on_time = Check::good("send delay", lateness).warn_if(
        late.p99 > LATE,
        "end other programs, or reserve a CPU for the load generator",
    );
    Group {
        name: "load generator",
        checks: vec![
            Check::good("CPU per token", seconds(measured.cpu_per_token)),
            Check::good(
                "recommended",
                format!("up to {} (half of one CPU)", rate(RECOMMENDED)),
            ),
            Check::good("maximum", format!("{} (one CPU)", rate(1.0))),
            on_time,
            crowded(&measured.crowded),
            stamps(&measured.flooded),
        ],
    }
}

/// Next to a load on every CPU, such as a server on this machine.
fn crowded(client: &ClientLoad) -> Check {
    let late = client.sending;
    let found = format!(
        "send delay {} (median), {} (P99) with a load on every CPU",
        seconds(late.p50),
        seconds(late.p99)
    );
    if late.p99 <= LATE {
        return Check::good("under load", found);
    }
    let remedy = if client.real_time {
        early_end::FREE_CPU
    } else {
        early_end::RIGHT_TO_REAL_TIME
    };
    let found = format!("{found}: repeats with a server on this machine may be void");
    Check::warning("under load", found, remedy)
}

/// A single read without a time stamp is chance: if no socket asked for stamps before, the first bytes have none.
fn stamps(client: &ClientLoad) -> Check {
    let unstamped = number(client.unstamped) / number(client.reads.max(1));
    if unstamped <= FEW_UNSTAMPED {
        return Check::good(
            "arrivals",
            "timestamped by the kernel: late reading does not change latencies",
        );
    }
    let found = if unstamped >= MOSTLY_UNSTAMPED {
        "timestamped when read: this kernel does not timestamp packets, so a busy machine makes latencies longer".to_owned()
    } else {
        format!(
            "{} of the reads had no kernel time stamp: a busy machine makes their latencies longer",
            percent(unstamped)
        )
    };
    Check::new("arrivals", Level::Warning, found)
}

#[cfg(test)]
mod tests {
    use super::super::check::page;
    use super::*;
    use crate::measure::Lateness;

    fn measured() -> Ceiling {
        Ceiling {
            cpu_per_token: 2.5e-6,
            flooded: ClientLoad::default(),
            crowded: ClientLoad {
                sending: Lateness {
                    p50: 6e-5,
                    p99: 3e-4,
                    ..Lateness::default()
                },
                ..ClientLoad::default()
            },
            paced: ClientLoad {
                sending: Lateness {
                    mean: 6e-5,
                    p50: 5e-5,
                    p99: 2e-4,
                    max: 1e-3,
                },
                ..ClientLoad::default()
            },
        }
    }

    #[test]
    fn the_output_shows_which_load_can_be_driven() {
        insta::assert_snapshot!(page(&[checks(&measured())]));
    }

    #[test]
    fn a_kernel_without_time_stamps_and_a_late_client_are_reported() {
        let mut measured = measured();
        measured.flooded.reads = 3;
        measured.flooded.unstamped = 3;
        measured.paced.sending.p99 = 0.004;
        let page = page(&[checks(&measured)]);
        assert!(page.contains("does not timestamp"), "{page}");
        assert!(page.contains("WARN send delay"), "{page}");
    }

    #[test]
    fn a_single_read_without_a_time_stamp_does_not_count() {
        let found = |unstamped| {
            stamps(&ClientLoad {
                reads: 1_000,
                unstamped,
                ..ClientLoad::default()
            })
            .finding
        };
        assert_eq!(found(1), found(0));
        insta::assert_snapshot!(found(50), @"5.0 % of the reads had no kernel time stamp: a busy machine makes their latencies longer");
        assert!(found(990).contains("does not timestamp"));
    }

    #[test]
    fn a_client_that_is_late_under_load_gets_a_remedy() {
        let late = |real_time| {
            let mut client = ClientLoad {
                real_time,
                ..ClientLoad::default()
            };
            client.sending.p99 = 0.02;
            crowded(&client).remedy.unwrap_or_default()
        };
        assert!(late(false).contains("setcap cap_sys_nice+ep"));
        assert!(late(true).contains("cpuset"));
    }
}
