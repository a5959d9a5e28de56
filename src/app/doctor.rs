//! `perfgate doctor`: checks whether this machine can measure, and proposes fixes.

use std::thread;

use serde_json::json;

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::doctor::DoctorArgs;
use crate::doctor::check::{Level, page, worst};
use crate::doctor::needs::Needs;
use crate::doctor::{client, engine, gpu, host, plan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::plan::of_file;
use crate::interrupt::Interrupt;
use crate::launch;
use crate::load::ceiling;
use crate::priority::{self, Urgency};
use crate::runner::{gpus, runtime};
use crate::telemetry::{HostFacts, Search, survey};
use crate::terminal::Output;
use crate::terminal::progress::note;

pub(super) fn run(args: &DoctorArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = of_file(args.config.as_deref())?;
    let needs = plan.as_ref().map(Needs::of).unwrap_or_default();
    // Before measuring the load generator, which uses CPU time itself.
    let host = HostFacts::read();
    let mut groups = vec![host::checks(&host, may_be_real_time())];
    let search = match plan.as_ref().and_then(|plan| plan.server.as_ref()) {
        Some(server) => gpus::search(server, context.environment),
        None => Search {
            nvml_library: gpus::nvml_library(context.environment),
            ..Search::default()
        },
    };
    // Until the load generator runs, nothing has to be removed, so a signal ends perfgate at once.
    let measured = runtime(|| {})?.block_on(async {
        let engine = launch::engine_facts(context.environment).await;
        groups.push(engine::checks(&engine, &needs));
        let survey = survey(&search).await;
        groups.push(gpu::checks(&survey, &needs));
        groups.push(plan::checks(
            plan.as_ref(),
            &survey,
            context.environment,
            &context.events,
        ));
        if args.quick {
            return Ok(None);
        }
        note("measuring the load generator against a write-only server for some seconds");
        let interrupt = Interrupt::listen()?;
        Ok::<_, Failure>(Some(ceiling(&interrupt.token()).await?))
    })?;
    groups.extend(measured.as_ref().map(client::checks));
    let worst = worst(&groups);
    let (output, text) = match args.format {
        TextOrJson::Text => (Output::Text, page(&groups)),
        TextOrJson::Json => (
            Output::Json,
            json!({
                "can_measure": worst != Level::Failure,
                "worst": worst,
                "groups": groups,
                "cpus": host.cpus,
                "client": measured.as_ref().map(client::figures),
            })
            .to_string(),
        ),
    };
    output::print(output, &text)?;
    Ok(match worst {
        Level::Good | Level::Note | Level::Warning => ExitStatus::Pass,
        Level::Failure => ExitStatus::EnvironmentFailed,
    })
}

/// Tries it on a temporary thread.
fn may_be_real_time() -> bool {
    thread::spawn(|| priority::raise(Urgency::LoadGenerator))
        .join()
        .unwrap_or(false)
}
