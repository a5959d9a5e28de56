//! `perfgate bench`: launches a server, measures, and writes a result file.

use super::Context;
use crate::app::output;
use crate::cli::bench::BenchArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::outputs::Outputs;
use crate::inputs::{feasible, plan};
use crate::render;
use crate::runner::repeat_context::RepeatContext;
use crate::runner::repeating::{measure_all, nothing_counts};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::text::count::count;

pub(super) fn run(args: &BenchArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let plan = plan::resolve(&args.run, &context.events)?;
    feasible::check_requests(&plan, &context.events)?;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let measure = async |repeats: RepeatContext<'_>| Ok((measure_all(repeats).await?, ()));
    let (result, ()) = output::measured(&args.output, &plan, context, measure)?;
    output::print(Output::Text, &render::terminal::run(&result))?;
    output::note_result(&args.output);
    if let Some(price) = &result.price {
        output::note_price(price);
    }
    if let Some(starts) = result.shared_starts() {
        note(&format!(
            "its repeats are measurements on {}: they show the noise of one server, and not that between starts",
            count(starts, "server start")
        ));
    }
    nothing_counts(&result)?;
    Ok(ExitStatus::Pass)
}
