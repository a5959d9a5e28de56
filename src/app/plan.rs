//! `perfgate plan`: the expected price of a gate, before it runs.

use std::path::Path;

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::plan::PlanArgs;
use crate::config::{Fresh, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::forecast::{Forecast, Forecasts, Gates, ServerStarts, UnitPrice, forecasts_text};
use crate::inputs::accepted::Accepted;
use crate::inputs::policy::policy_for;
use crate::inputs::question;
use crate::runner::sequential_gate::protocol;
use crate::terminal::Output;

pub(super) fn run(args: &PlanArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let question = question::of(&args.run, args.base_image.as_deref(), None, &context.events)?;
    let plan = &question.plan;
    let policy = policy_for(&args.policy)?;
    let accepted = Accepted::of(
        &args.accepted,
        Path::new("perfgate-out").join("result.json"),
        plan,
        None,
        policy.first_run,
        context.environment,
        &context.events,
    )?;
    let known = accepted.known()?;
    if known.is_empty() {
        return Err(no_baseline(&plan.name));
    }
    let protocol = protocol(plan, &policy);
    let mut forecasts = Vec::new();
    for (hardware, stored) in known {
        let priced = UnitPrice::of_ledger(&stored.ledger);
        let gates = Gates {
            protocol: &protocol,
            policy: &policy,
            starts: starts(plan),
            unit: priced.or_else(|| UnitPrice::of(std::iter::once(&stored.run.file))),
            order_seed: plan.seed,
            stored: &stored,
        };
        forecasts.push(Forecast::of(&gates, hardware, args.gates, plan.seed)?);
    }
    let all = Forecasts {
        name: plan.name.clone(),
        has_base: protocol.has_base(),
        seed: plan.seed,
        baselines: forecasts,
    };
    let (output, text) = match args.format {
        TextOrJson::Json => (Output::Json, serde_json::to_string_pretty(&all)?),
        TextOrJson::Text => (Output::Text, forecasts_text(&all)),
    };
    output::print(output, &text)?;
    Ok(ExitStatus::Pass)
}

/// How the server of the plan starts.
fn starts(plan: &Plan) -> ServerStarts {
    match (&plan.server, plan.fresh) {
        (Some(ServerPlan::Url(_)), _) => ServerStarts::Never,
        (_, Fresh::Run) => ServerStarts::EachLook,
        (_, Fresh::Repeat) => ServerStarts::EachRepeat,
    }
}

fn no_baseline(name: &str) -> Failure {
    let message = format!("no baseline of `{name}`, so the noise of its metrics is unknown");
    Failure::message(ExitStatus::NotComparable, message).hint(
        "accept a first run: `perfgate bench`, then `perfgate baseline update result.json --because \"the first baseline\"`",
    )
}
