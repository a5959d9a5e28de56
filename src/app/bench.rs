//! `perfgate bench`: launch and measure, and write a result file.

use super::Context;
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::outputs::{self, Outputs};
use crate::inputs::{feasible, plan};
use crate::interrupt::Interrupt;
use crate::render;
use crate::runner::repeat_runner::{RepeatRunner, nothing_counts};
use crate::runner::runtime;
use crate::terminal::Output;
use crate::terminal::progress::{note, on_stderr};

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run)?;
    feasible::check_requests(&plan)?;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = outputs::growing(&args.output)?;
    let events = on_stderr();
    let result = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let runner = RepeatRunner::of_plan(&plan, &grown, environment, &events, &interrupt)?;
        runner.run().await
    })?;
    outputs::deliver(&args.output, &grown, &result)?;
    let text = render::terminal::run(&result);
    outputs::print(Output::Text, &text)?;
    note(&format!("the result is in `{}`", args.output.display()));
    nothing_counts(&result)?;
    Ok(ExitStatus::Pass)
}
