//! `perfgate bench`: launch and measure, and write a result file.

use super::measuring::{Measuring, nothing_counts};
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
    nothing_counts(&result)?;
    Ok(ExitStatus::Pass)
}
