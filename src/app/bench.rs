//! `perfgate bench`: launch and measure, and write a result file.

use super::measuring::{Measuring, nothing_counts};
use super::outputs::{self, Outputs};
use super::progress::{Progress, note};
use super::{Context, Failure, Interrupt, feasible, plan, runtime};
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::render;
use crate::terminal::Output;

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run)?;
    feasible::check_requests(&plan)?;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = outputs::growing(&args.output)?;
    let progress = Progress::new();
    let result = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let measuring = Measuring::of_plan(&plan, &grown, environment, &progress, &interrupt)?;
        measuring.run().await
    })?;
    outputs::deliver(&args.output, &grown, &result)?;
    let text = render::terminal::run(&result);
    super::print(Output::Text, &text)?;
    note(&format!("the result is in `{}`", args.output.display()));
    nothing_counts(&result)?;
    Ok(ExitStatus::Pass)
}
