//! `perfgate doctor`: one page that says whether this machine can measure, and what mends it where it cannot.

mod check;
mod client;
mod host;

use std::thread;

use serde_json::json;

use super::progress::note;
use super::{Failure, Interrupt, failing, runtime};
use crate::cli::doctor::{DoctorArgs, DoctorFormat};
use crate::exit::ExitStatus;
use crate::load::ceiling;
use crate::priority::{self, Urgency};
use crate::telemetry::HostFacts;
use check::{Level, page, worst};

pub(super) fn run(args: &DoctorArgs) -> Result<ExitStatus, Failure> {
    // Before the load generator is measured, which is work itself.
    let host = HostFacts::read();
    let mut groups = vec![host::checks(&host, may_be_real_time())];
    let measured = if args.quick {
        None
    } else {
        note("measuring the load generator against a server that only writes, for some seconds");
        Some(runtime(|| {})?.block_on(async {
            let interrupt = Interrupt::listen()?;
            ceiling(&interrupt.token())
                .await
                .map_err(|error| failing::load_failure(&error))
        })?)
    };
    groups.extend(measured.as_ref().map(client::checks));
    let worst = worst(&groups);
    let text = match args.format {
        DoctorFormat::Text => page(&groups),
        DoctorFormat::Json => json!({
            "can_measure": worst != Level::Failure,
            "worst": worst,
            "groups": groups,
            "cpus": host.cpus,
            "client": measured.as_ref().map(client::figures),
        })
        .to_string(),
    };
    super::print(&text)?;
    Ok(match worst {
        Level::Good | Level::Note | Level::Warning => ExitStatus::Pass,
        Level::Failure => ExitStatus::SurroundingsFailed,
    })
}

/// Tried on a thread that ends with it.
fn may_be_real_time() -> bool {
    thread::spawn(|| priority::raise(Urgency::LoadGenerator))
        .join()
        .unwrap_or(false)
}
