//! `perfgate sweep`: throughput and latency over the load, and the highest load within the SLO.

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::sweep::SweepArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::outputs::Outputs;
use crate::inputs::plan;
use crate::inputs::sweep_course;
use crate::render;
use crate::runner::load_points::Points;
use crate::runner::repeat_context::RepeatContext;
use crate::runner::sweep_run::Sweep;
use crate::sweep::SweepReport;
use crate::terminal::Output;

pub(super) fn run(args: &SweepArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let mut plan = plan::resolve(&args.run, &context.events)?;
    let limits = sweep_course::limits(plan.slo);
    let course = sweep_course::course(args, &plan, limits)?;
    // A sweep is long and estimates the noise of its points itself.
    plan.repeat = args.run.load.repeat.unwrap_or(1);
    let sizes = sweep_course::sizes(args, &mut plan);
    Outputs::default()
        .writes("--output", &args.output)
        .writes("--html", args.html.as_ref())
        .reads_plan(&args.run)
        .check()?;
    let measure = async |repeats: RepeatContext<'_>| {
        let points = Points::begin(repeats, sizes)?;
        let mut sweep = Sweep::begin(points, &course, limits, args.course.attainment);
        sweep.repeats(&plan).await?;
        Ok(sweep.into_result())
    };
    let (result, sweep) = output::measured(&args.output, &plan, context, measure)?;
    let report = SweepReport::of(&result, sweep);
    let (output, text) = match args.format {
        TextOrJson::Text => (
            context.output(),
            render::sweep::text(&report, context.screen.color),
        ),
        TextOrJson::Json => (Output::Json, render::sweep::json(&report)),
    };
    output::print(output, &text)?;
    if let Some(path) = &args.html {
        output::write(path, Output::Text, &render::sweep::html(&report)?)?;
        output::note_report(path);
    }
    output::note_result(&args.output);
    Ok(ExitStatus::Pass)
}
