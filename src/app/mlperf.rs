//! `perfgate mlperf`: a run by the rules of an LLM scenario of MLPerf Inference, or the highest valid rate.

use super::Context;
use crate::app::output;
use crate::cli::TextOrJson;
use crate::cli::mlperf::MlperfArgs;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::mlperf_course;
use crate::inputs::outputs::Outputs;
use crate::inputs::result_file;
use crate::interrupt::Interrupt;
use crate::render;
use crate::runner::load_points::Points;
use crate::runner::mlperf_run::MlperfRun;
use crate::runner::repeat_context::RepeatContext;
use crate::runner::runtime;
use crate::terminal::Output;
use crate::terminal::progress::note;

pub(super) fn run(args: &MlperfArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let course = mlperf_course::resolve(args, &context.events)?;
    let plan = &course.plan;
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = result_file::growing(&args.output)?;
    let (report, result) = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let repeat_context =
            RepeatContext::of_plan(plan, &grown, environment, &context.events, &interrupt)?;
        let mut points = Points::begin(repeat_context, course.sizes)?;
        let run = MlperfRun { course: &course };
        let report = run.measure(&mut points).await?;
        Ok::<_, Failure>((report, points.into_result()))
    })?;
    output::deliver(&args.output, &grown, &result)?;
    let (output, text) = match args.format {
        TextOrJson::Text => (Output::Text, render::mlperf::text(&report)),
        TextOrJson::Json => (Output::Json, render::mlperf::json(&report)),
    };
    output::print(output, &text)?;
    note(&format!("result written to `{}`", args.output.display()));
    Ok(if report.valid {
        ExitStatus::Pass
    } else {
        ExitStatus::Blocked
    })
}
