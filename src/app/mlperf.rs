//! `perfgate mlperf`: a run by the rules of an LLM scenario of MLPerf Inference, or the highest valid rate.

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::mlperf::MlperfArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::mlperf_course;
use crate::inputs::outputs::Outputs;
use crate::render;
use crate::runner::load_points::Points;
use crate::runner::mlperf_run;
use crate::runner::repeat_context::RepeatContext;
use crate::terminal::Output;

pub(super) fn run(args: &MlperfArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let course = mlperf_course::resolve(args, &context.events)?;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let measure = async |repeats: RepeatContext<'_>| {
        let mut points = Points::begin(repeats, course.sizes)?;
        let report = mlperf_run::measure(&course, &mut points).await?;
        Ok((points.arm.run.result, report))
    };
    let (_, report) = output::measured(&args.output, &course.plan, context, measure)?;
    let (output, text) = match args.format {
        TextOrJson::Text => (Output::Text, render::mlperf::text(&report)),
        TextOrJson::Json => (Output::Json, render::mlperf::json(&report)),
    };
    output::print(output, &text)?;
    output::note_result(&args.output);
    Ok(if report.valid {
        ExitStatus::Pass
    } else {
        ExitStatus::Blocked
    })
}
