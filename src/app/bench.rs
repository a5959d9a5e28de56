//! `perfgate bench`: launch and measure, and write a result file.

use super::measuring::Measuring;
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, plan, runtime};
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::render;

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run)?;
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
    Err(
        Failure::message(ExitStatus::SurroundingsFailed, "no repeat counts: every one of them is void").hint(
            "leave the load generator a CPU of its own, or send less; `perfgate doctor` says what this machine can drive",
        ),
    )
}
