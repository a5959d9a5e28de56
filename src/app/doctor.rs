//! `perfgate doctor`: what this machine's load generator can do.

use serde_json::json;

use super::progress::note;
use super::{Failure, Interrupt, failing, runtime};
use crate::cli::doctor::{DoctorArgs, DoctorFormat};
use crate::exit::ExitStatus;
use crate::load::{Ceiling, ceiling};
use crate::metric::Unit;
use crate::render::number::{seconds, value};
use crate::telemetry;

/// Share of the time in which the client's thread may be busy with room to spare for being on time.
const AT_EASE: f64 = 0.5;

pub(super) fn run(args: &DoctorArgs) -> Result<ExitStatus, Failure> {
    note("measuring the load generator against a server that only writes, for some seconds");
    let measured = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        ceiling(&interrupt.token())
            .await
            .map_err(|error| failing::load_failure(&error))
    })?;
    let machine = telemetry::environment(None, None);
    let cpus = machine.cpus.unwrap_or(1);
    let text = match args.format {
        DoctorFormat::Text => page(&measured, cpus, machine.cpu.as_deref()),
        DoctorFormat::Json => figures(&measured, cpus).to_string(),
    };
    super::print(&text)?;
    Ok(ExitStatus::Pass)
}

fn figures(measured: &Ceiling, cpus: u32) -> serde_json::Value {
    json!({
        "cpus": cpus,
        "client": {
            "cpu_seconds_per_million_tokens": measured.cpu_per_token * 1e6,
            "tokens_per_second_at_ease": measured.tokens_per_second(AT_EASE),
            "tokens_per_second_at_most": measured.tokens_per_second(1.0),
            "flooded": measured.flooded.described(),
            "paced": measured.paced.described(),
        }
    })
}

fn page(measured: &Ceiling, cpus: u32, cpu: Option<&str>) -> String {
    let rate = |share| value(measured.tokens_per_second(share), Unit::TokensPerSecond);
    let late = measured.paced.sending;
    let stamped = if measured.flooded.unstamped == 0 {
        "by the kernel: a late reader loses nothing"
    } else {
        "by the reader: this kernel does not stamp them, so a busy machine makes latencies longer"
    };
    let mut lines = vec![
        format!(
            "machine          {}, {cpus} CPUs",
            cpu.unwrap_or("unknown CPU")
        ),
        String::new(),
        "load generator".to_owned(),
        format!(
            "  a token costs  {} of CPU",
            seconds(measured.cpu_per_token)
        ),
        format!("  at ease up to  {} (half of one CPU)", rate(AT_EASE)),
        format!("  at most        {} (one CPU)", rate(1.0)),
        format!(
            "  sends late by  {} (median), {} (P99)",
            seconds(late.p50),
            seconds(late.p99)
        ),
        format!("  arrivals       stamped {stamped}"),
    ];
    if cpus < 3 {
        lines.push(String::new());
        lines.push(format!(
            "A server on this machine shares its {cpus} CPUs with the load generator: give the server all but one (`taskset`)."
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
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
        insta::assert_snapshot!(page(&measured(), 2, Some("Some CPU")));
    }

    #[test]
    fn a_kernel_that_does_not_stamp_is_named() {
        let unstamped = Ceiling {
            flooded: ClientLoad {
                unstamped: 3,
                ..ClientLoad::default()
            },
            ..measured()
        };
        assert!(page(&unstamped, 8, None).contains("does not stamp"));
    }
}
