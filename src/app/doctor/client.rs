//! The load generator on this machine: what it costs, and which load it can drive.

use serde_json::json;

use super::check::{Check, Group, Level};
use crate::load::Ceiling;
use crate::metric::Unit;
use crate::render::number::{seconds, value};

/// Share of the time in which the client's thread may be busy with room to spare for being on time.
const AT_EASE: f64 = 0.5;

/// Sending later than this on an idle machine is a machine that is not idle.
const LATE: f64 = 0.002;

pub(super) fn figures(measured: &Ceiling) -> serde_json::Value {
    json!({
        "cpu_seconds_per_million_tokens": measured.cpu_per_token * 1e6,
        "tokens_per_second_at_ease": measured.tokens_per_second(AT_EASE),
        "tokens_per_second_at_most": measured.tokens_per_second(1.0),
        "flooded": measured.flooded.described(),
        "paced": measured.paced.described(),
    })
}

pub(super) fn checks(measured: &Ceiling) -> Group {
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
    let stamps = if measured.flooded.unstamped == 0 {
        Check::good(
            "arrivals",
            "stamped by the kernel: a late reader loses nothing",
        )
    } else {
        Check::new(
            "arrivals",
            Level::Warning,
            "stamped by the reader: this kernel does not stamp them, so a busy machine makes latencies longer",
        )
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
            stamps,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::page;
    use super::*;
    use crate::measure::{ClientLoad, Lateness};

    fn measured() -> Ceiling {
        Ceiling {
            cpu_per_token: 2.5e-6,
            flooded: ClientLoad::default(),
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
        measured.flooded.unstamped = 3;
        measured.paced.sending.p99 = 0.004;
        let page = page(&[checks(&measured)]);
        assert!(page.contains("does not stamp"), "{page}");
        assert!(page.contains("WARN sends late by"), "{page}");
    }
}
