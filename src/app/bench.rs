//! `perfgate bench`: launch and measure, and write a result file.

use super::measuring::Measuring;
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, feasible, plan, runtime};
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::render;

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run)?;
    feasible::check_requests(&plan)?;
    let progress = Progress::new();
    let result = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let measuring =
            Measuring::of_plan(&plan, &args.output, environment, &progress, &interrupt)?;
        measuring.run().await
    })?;
    let text = render::terminal::run(&result);
    super::print(&text)?;
    note(&format!("the result stands in `{}`", args.output.display()));
    if result.counting_repeats() > 0 {
        return Ok(ExitStatus::Pass);
    }
    let repeats = result
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.repeats);
    let last = repeats.rev().find_map(|repeat| repeat.void.as_deref());
    let message = format!(
        "no repeat counts: every one of them is void; the last one because {}",
        last.unwrap_or("it was not measured")
    );
    Err(
        Failure::message(ExitStatus::SurroundingsFailed, message).hint(
            "where it was the load generator, leave the load generator a CPU of its own, or send less; `perfgate doctor` says what this machine can drive",
        ),
    )
}
