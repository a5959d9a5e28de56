//! The load generator on this machine: what it costs, and which load it can drive.

use serde_json::json;

use super::check::{Check, Group, Level};
use crate::load::Ceiling;
use crate::measure::ClientLoad;
use crate::metric::Unit;
use crate::runner::early_end;
use crate::stats::number;
use crate::text::number::{percent, seconds, value};

/// Share of the time in which the client's thread may be busy with room to spare for being on time.
const AT_EASE: f64 = 0.5;

/// Sending later than this on an idle machine is a machine that is not idle.
const LATE: f64 = 0.002;

/// Share of the reads without a stamp up to which they are chance, and from which on the kernel does not stamp.
const FEW_UNSTAMPED: f64 = 0.01;
const MOSTLY_UNSTAMPED: f64 = 0.9;

pub(crate) fn figures(measured: &Ceiling) -> serde_json::Value {
    json!({
        "cpu_seconds_per_million_tokens": measured.cpu_per_token * 1e6,
        "tokens_per_second_at_ease": measured.tokens_per_second(AT_EASE),
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
    let on_time = if late.p99 > LATE {
        Check::new("sends late by", Level::Warning, lateness)
            .mended_by("end what else runs here, or give the load generator a CPU of its own")
    } else {
        Check::good("sends late by", lateness)
    };
    Group {
        name: "load generator",
        checks: vec![
            Check::good(
                "a token costs",
                format!("{} of CPU", seconds(measured.cpu_per_token)),
            ),
            Check::good(
                "at ease up to",
                format!("{} (half of one CPU)", rate(AT_EASE)),
            ),
            Check::good("at most", format!("{} (one CPU)", rate(1.0))),
            on_time,
            crowded(&measured.crowded),
            stamps(&measured.flooded),
        ],
    }
}

/// Beside a load on every CPU, which is what a server on this machine is.
fn crowded(client: &ClientLoad) -> Check {
    let late = client.sending;
    let found = format!(
        "sends late by {} (median), {} (P99) with a load on every CPU",
        seconds(late.p50),
        seconds(late.p99)
    );
    if late.p99 <= LATE {
        return Check::good("under load", found);
    }
    let found = format!("{found}: repeats with a server on this machine can be void");
    Check::new("under load", Level::Warning, found).mended_by(if client.real_time {
        early_end::FREE_CPU
    } else {
        early_end::RIGHT_TO_REAL_TIME
    })
}

/// One read without a stamp is chance: where no socket asked for stamps before, the first bytes have none.
fn stamps(client: &ClientLoad) -> Check {
    let unstamped = number(client.unstamped) / number(client.reads.max(1));
    if unstamped <= FEW_UNSTAMPED {
        return Check::good(
            "arrivals",
            "stamped by the kernel: a late reader loses nothing",
        );
    }
    let found = if unstamped >= MOSTLY_UNSTAMPED {
        "stamped by the reader: this kernel does not stamp them, so a busy machine makes latencies longer".to_owned()
    } else {
        format!(
            "{} of the reads had no stamp of the kernel: a busy machine makes their latencies longer",
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
    fn the_page_says_which_load_can_be_driven() {
        insta::assert_snapshot!(page(&[checks(&measured())]));
    }

    #[test]
    fn a_kernel_that_does_not_stamp_and_a_late_client_are_named() {
        let mut measured = measured();
        measured.flooded.reads = 3;
        measured.flooded.unstamped = 3;
        measured.paced.sending.p99 = 0.004;
        let page = page(&[checks(&measured)]);
        assert!(page.contains("does not stamp"), "{page}");
        assert!(page.contains("WARN sends late by"), "{page}");
    }

    #[test]
    fn one_read_of_a_flood_without_a_stamp_says_nothing_of_the_kernel() {
        let found = |unstamped| {
            stamps(&ClientLoad {
                reads: 1_000,
                unstamped,
                ..ClientLoad::default()
            })
            .finding
        };
        assert_eq!(found(1), found(0));
        insta::assert_snapshot!(found(50), @"5.0 % of the reads had no stamp of the kernel: a busy machine makes their latencies longer");
        assert!(found(990).contains("does not stamp"));
    }

    #[test]
    fn a_client_that_is_late_beside_a_load_is_told_what_it_lacks() {
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
