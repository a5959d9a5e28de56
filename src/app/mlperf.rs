//! `perfgate mlperf`: a run by the rules of an LLM scenario of MLPerf Inference, or the highest rate that is valid.

use super::Context;
use crate::app::output;
use crate::cli::mlperf::MlperfArgs;
use crate::cli::sweep::SweepFormat;
use crate::config::LoadPoint;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::mlperf_course;
use crate::inputs::outputs::Outputs;
use crate::inputs::result_file;
use crate::interrupt::Interrupt;
use crate::metric::Metric;
use crate::mlperf::{MlperfReport, Requirements, Scenario, Tried, reasons};
use crate::record::format::{Repeat, SWEEP};
use crate::record::telemetry::Telemetry;
use crate::runner::load_points::Points;
use crate::runner::repeat_runner::RepeatRunner;
use crate::runner::runtime;
use crate::stats::{Outcome, number};
use crate::sweep::{Grain, Point, Search, Step};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::{clock, render};

/// Lowest and highest rate that a search tries.
const RATES: (f64, f64) = (0.001, 1e4);

pub(super) fn run(args: &MlperfArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let course = mlperf_course::resolve(args, &context.events)?;
    let (plan, required) = (&course.plan, course.required);
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = result_file::growing(&args.output)?;
    let (report, result) = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let runner = RepeatRunner::of_plan(plan, &grown, environment, &context.events, &interrupt)?;
        let mut points = Points::begin(runner, course.sizes)?;
        if let (true, Some(limits)) = (args.find_peak, required.limits) {
            let asked = format!(
                "P{} of TTFT up to {} s and of TPOT up to {} s",
                required.percentile * 100.0,
                limits.ttft,
                limits.tpot
            );
            points.searches(&asked, true);
        }
        points.start(0, 1).await?;
        let run = Run {
            scenario: course.scenario,
            task: course.task,
            model: &plan.served_model_name,
            required,
        };
        let measured = if args.find_peak {
            run.peak(&mut points, args).await
        } else {
            run.once(&mut points, course.first, false).await
        };
        let report = points.end(measured, 0, 1).await?;
        Ok::<_, Failure>((report, points.into_result()))
    })?;
    output::deliver(&args.output, &grown, &result)?;
    let (output, text) = match args.format {
        SweepFormat::Text => (Output::Text, render::mlperf::text(&report)),
        SweepFormat::Json => (Output::Json, render::mlperf::json(&report)),
    };
    output::print(output, &text)?;
    note(&format!("the result is in `{}`", args.output.display()));
    Ok(if report.valid {
        ExitStatus::Pass
    } else {
        ExitStatus::Blocked
    })
}

/// What is the same for every rate.
struct Run<'a> {
    scenario: Scenario,
    task: &'a str,
    model: &'a str,
    required: Requirements,
}

impl Run<'_> {
    async fn once(
        &self,
        points: &mut Points<'_>,
        load: LoadPoint,
        adaptive: bool,
    ) -> Result<MlperfReport, Failure> {
        points.measure(load, adaptive).await?;
        let nothing = Repeat::default();
        let repeat = points.repeats(load).last().unwrap_or(&nothing);
        let rate = match load {
            LoadPoint::Rate { per_second, .. } => Some(per_second),
            LoadPoint::Concurrency(_) | LoadPoint::Trace { .. } => None,
        };
        let report = MlperfReport::of(
            (self.scenario, self.task, self.model),
            rate,
            self.required,
            repeat,
        );
        let result = if report.valid { "VALID" } else { "INVALID" };
        note(&format!("{}: {result}", load.name()));
        for reason in &report.reasons {
            note(&format!("  {reason}"));
        }
        Ok(report)
    }

    /// The report of the highest rate that is valid, or of the lowest that was tried.
    async fn peak(
        &self,
        points: &mut Points<'_>,
        args: &MlperfArgs,
    ) -> Result<MlperfReport, Failure> {
        let search = Search {
            grain: Grain::Real,
            start: args.target_qps.unwrap_or(1.0),
            least: RATES.0,
            most: RATES.1,
            precision: args.precision,
            most_visits: 1,
        };
        let mut reports: Vec<MlperfReport> = Vec::new();
        let mut known: Vec<Point> = Vec::new();
        let found = loop {
            match search.next(&known) {
                Step::Done(found) => break found,
                Step::Measure { load, .. } => {
                    let point = LoadPoint::of(load, Some(1.0));
                    let report = self.once(points, point, true).await?;
                    let outcome = if report.valid {
                        Outcome::Pass
                    } else {
                        Outcome::Fail
                    };
                    // A reason that no rate changes ends the search.
                    let in_vain = reasons(&self.required, &report.seen)
                        .iter()
                        .any(|reason| !reason.is_of_load());
                    known.push(Point {
                        load,
                        outcome,
                        visits: 1,
                    });
                    reports.push(report);
                    if in_vain {
                        note("another rate would not change that: the search ends here");
                        break search_ended(&known);
                    }
                }
            }
        };
        let tried: Vec<Tried> = known
            .iter()
            .map(|point| Tried {
                target_qps: point.load,
                valid: point.outcome == Outcome::Pass,
            })
            .collect();
        points.add(SWEEP, capacity(found.capacity, &tried))?;
        let of = |rate: Option<f64>| {
            let mut reports = reports.iter();
            reports.find(|report| rate.is_some() && report.target_qps == rate)
        };
        let report = of(found.capacity)
            .or_else(|| of(found.fails_at))
            .or(reports.last());
        let report = report
            .cloned()
            .ok_or_else(|| Failure::message(ExitStatus::Usage, "no rate was tried"))?;
        Ok(MlperfReport { tried, ..report })
    }
}

/// What is known where a search ends before its time.
fn search_ended(known: &[Point]) -> crate::sweep::Found {
    let of = |outcome: Outcome| known.iter().filter(move |point| point.outcome == outcome);
    crate::sweep::Found {
        capacity: of(Outcome::Pass)
            .map(|point| point.load)
            .max_by(f64::total_cmp),
        fails_at: of(Outcome::Fail)
            .map(|point| point.load)
            .min_by(f64::total_cmp),
    }
}

/// The peak as the result file has it, so that two of them can be compared.
fn capacity(peak: Option<f64>, tried: &[Tried]) -> Repeat {
    let id = Metric::CAPACITY_REQUEST_RATE.id().to_owned();
    let not_measured = match peak {
        Some(_) => None,
        None => Some((id.clone(), "no rate that was tried is valid".to_owned())),
    };
    let measurements = number(tried.len() as u64);
    Repeat {
        started: Some(clock::timestamp()),
        metrics: [(id, peak)].into(),
        not_measured: not_measured.into_iter().collect(),
        telemetry: Telemetry {
            rest: [("measurements".to_owned(), measurements.into())].into(),
            ..Telemetry::default()
        },
        ..Repeat::default()
    }
}
