//! `perfgate bench`: launches a server, measures, and writes a result file.

use super::Context;
use crate::app::output;
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::outputs::Outputs;
use crate::inputs::result_file;
use crate::inputs::{feasible, plan};
use crate::interrupt::Interrupt;
use crate::render;
use crate::runner::repeat_context::RepeatContext;
use crate::runner::repeating::{measure_all, nothing_counts};
use crate::runner::runtime;
use crate::terminal::Output;
use crate::terminal::progress::note;

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run, &context.events)?;
    feasible::check_requests(&plan, &context.events)?;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = result_file::growing(&args.output)?;
    let result = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let repeat_context =
            RepeatContext::of_plan(&plan, &grown, environment, &context.events, &interrupt)?;
        measure_all(repeat_context).await
    })?;
    output::deliver(&args.output, &grown, &result)?;
    let text = render::terminal::run(&result);
    output::print(Output::Text, &text)?;
    note(&format!("result written to `{}`", args.output.display()));
    nothing_counts(&result)?;
    Ok(ExitStatus::Pass)
}
