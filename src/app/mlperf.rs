//! `perfgate mlperf`: a run by the rules of an LLM scenario of MLPerf Inference, or the highest rate that is valid.

use super::Context;
use crate::app::output;
use crate::cli::mlperf::{MlperfArgs, ScenarioArg};
use crate::cli::sweep::SweepFormat;
use crate::config::{DEFAULT_OUTPUT_TOKENS, Dataset, LoadPoint, Plan, Slo};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::outputs::Outputs;
use crate::inputs::plan;
use crate::inputs::result_file;
use crate::inputs::sweep_course::Sizes;
use crate::interrupt::Interrupt;
use crate::metric::Metric;
use crate::mlperf::{
    Limits, MlperfReport, Requirements, Scenario, Task, Tried, queries_needed, reasons,
};
use crate::record::format::{Repeat, SWEEP};
use crate::record::telemetry::Telemetry;
use crate::runner::load_points::Points;
use crate::runner::repeat_runner::RepeatRunner;
use crate::runner::runtime;
use crate::stats::{Outcome, number};
use crate::sweep::{Grain, Point, Search, Step};
use crate::terminal::Output;
use crate::terminal::progress::note;
use crate::text::number::percent;
use crate::workload::Lengths;
use crate::{clock, render};

/// Offline never takes more samples than this by itself, whatever the data set has.
const MOST_SAMPLES: u64 = 24_576;

/// Offline sends so much more than what is expected in the shortest time, so that it takes that long.
const OFFLINE_ROOM: f64 = 1.1;

/// A few requests wake the server up, at whatever load.
const DEFAULT_WARMUP: usize = 16;

/// Lowest and highest rate that a search tries.
const RATES: (f64, f64) = (0.001, 1e4);

pub(super) fn run(args: &MlperfArgs, context: &Context) -> Result<ExitStatus, Failure> {
    let mut plan = plan::resolve(&args.run, &context.events)?;
    let task = Task::named(args.task.name())
        .ok_or_else(|| Failure::message(ExitStatus::Bug, "a task has no limits"))?;
    let required = requirements(args, task, &plan)?;
    refuse_other_load(args, &plan)?;
    let first = load(args, &required, &mut plan);
    if plan.dataset != Dataset::Synthetic {
        // How many queries a run takes is only known when its file has been read.
        return Err(usage(
            "this version runs the scenarios on synthetic prompts, and a data set is given",
        )
        .hint("give `--dataset synthetic` and the lengths of the task's prompts and answers"));
    }
    tell_of_prompts(&plan);
    plan.repeat = 1;
    plan.slo = Slo {
        ttft: required.limits.map(|limits| limits.ttft),
        tpot: required.limits.map(|limits| limits.tpot),
        e2e: None,
    };
    let sizes = Sizes {
        least: plan.num_requests,
        per_slot: 1,
        duration: args.required.min_duration,
        is_surely: true,
        warmup: Some(plan.warmup_requests),
    };
    Outputs::default()
        .writes("--output", &args.output)
        .reads_plan(&args.run)
        .check()?;
    let grown = result_file::growing(&args.output)?;
    let (report, result) = runtime(|| {})?.block_on(async {
        let interrupt = Interrupt::listen()?;
        let environment = context.environment;
        let runner =
            RepeatRunner::of_plan(&plan, &grown, environment, &context.events, &interrupt)?;
        let mut points = Points::begin(runner, sizes)?;
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
            scenario: scenario(args.scenario),
            task: task.name,
            model: &plan.served_model_name,
            required,
        };
        let measured = if args.find_peak {
            run.peak(&mut points, args).await
        } else {
            run.once(&mut points, first, false).await
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

/// How the prompts differ from the benchmark's.
fn tell_of_prompts(plan: &Plan) {
    note(
        "prompts are synthetic: their lengths are those of perfgate.yaml, not those of the benchmark's data set",
    );
    if plan.prefix.share > 0.0 {
        note(&format!(
            "warning: {} of each prompt is the same in others (`prefix`), and a prefix cache answers it; the benchmark's data sets have no such prompts",
            percent(plan.prefix.share)
        ));
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::message(ExitStatus::Usage, message)
}

fn scenario(scenario: ScenarioArg) -> Scenario {
    match scenario {
        ScenarioArg::Server => Scenario::Server,
        ScenarioArg::Interactive => Scenario::Interactive,
        ScenarioArg::Offline => Scenario::Offline,
    }
}

fn requirements(args: &MlperfArgs, task: &Task, plan: &Plan) -> Result<Requirements, Failure> {
    let of_task = match args.scenario {
        ScenarioArg::Server => Some(task.server),
        ScenarioArg::Interactive => match (
            task.interactive,
            args.required.ttft_limit,
            args.required.tpot_limit,
        ) {
            (Some(limits), _, _) => Some(limits),
            (None, Some(_), Some(_)) => Some(task.server),
            (None, _, _) => {
                return Err(usage(format!("{} has no interactive scenario", task.name))
                    .hint("give `--ttft-limit` and `--tpot-limit`, or take `--scenario server`"));
            }
        },
        ScenarioArg::Offline => None,
    };
    let given = [args.required.ttft_limit, args.required.tpot_limit];
    if of_task.is_none() && (given.iter().any(Option::is_some) || args.find_peak) {
        return Err(usage(
            "the offline scenario has no limits of latency and no rate: it is measured at full load",
        )
        .hint("take `--ttft-limit`, `--tpot-limit` and `--find-peak` out"));
    }
    if given.iter().flatten().any(std::time::Duration::is_zero) {
        return Err(usage("a limit of zero is met by nothing"));
    }
    let [ttft, tpot] = given.map(|limit| limit.map(|limit| limit.as_secs_f64()));
    let percentile = args.required.percentile;
    let fewest = match args.scenario {
        ScenarioArg::Server | ScenarioArg::Interactive => queries_needed(percentile, 0),
        ScenarioArg::Offline => task.samples.min(MOST_SAMPLES),
    };
    Ok(Requirements {
        limits: of_task.map(|limits| Limits {
            ttft: ttft.unwrap_or(limits.ttft),
            tpot: tpot.unwrap_or(limits.tpot),
        }),
        percentile,
        min_duration: args.required.min_duration.as_secs_f64(),
        min_queries: args.required.min_queries.unwrap_or(fewest),
        output_tokens: mean(plan.output_tokens.unwrap_or(DEFAULT_OUTPUT_TOKENS)),
    })
}

/// Mean length that is asked for.
fn mean(lengths: Lengths) -> f64 {
    match lengths {
        Lengths::Constant(tokens) => f64::from(tokens),
        Lengths::Normal { mean, .. } | Lengths::Lognormal { mean, .. } => mean,
        Lengths::Uniform { min, max } => f64::midpoint(min.into(), max.into()),
    }
}

/// Refuses what would change the load that the rules ask for, and flags that would say nothing. What the file says of the
/// gate's own load points, repeats, time and limits is not of this run, and is left alone.
fn refuse_other_load(args: &MlperfArgs, plan: &Plan) -> Result<(), Failure> {
    let flags = &args.run.load;
    if flags.concurrency.is_some() || flags.request_rate.is_some() || flags.num_prompts.is_some() {
        return Err(usage("the scenario decides load and number of queries")
            .hint("give `--target-qps` and `--min-queries` instead"));
    }
    let in_vain = [
        (
            flags.repeat.is_some(),
            "`--repeat`: a run is measured once",
            "take it out",
        ),
        (
            flags.duration.is_some(),
            "`--duration`: a run is not cut short",
            "give `--min-duration` instead",
        ),
        (
            !flags.goodput.is_empty(),
            "`--goodput`: the limits are those of the task",
            "give `--ttft-limit` and `--tpot-limit` instead",
        ),
    ];
    if let Some((_, message, hint)) = in_vain.into_iter().find(|(given, ..)| *given) {
        return Err(usage(message).hint(hint));
    }
    if !plan.ramp_up.is_zero() {
        return Err(
            usage("`ramp_up`: the scenario decides the load, and it does not grow")
                .hint("take it out, or give `--ramp-up 0s`"),
        );
    }
    if plan.conversation.is_some() {
        return Err(usage(
            "`conversation`: a later turn waits for the one before, and every query of a scenario has a time of its own",
        )
        .hint("take it out, or give another file with `--config`"));
    }
    Ok(())
}

/// The load of a single run, and how many queries it has at least.
fn load(args: &MlperfArgs, required: &Requirements, plan: &mut Plan) -> LoadPoint {
    let flags = &args.run.load;
    let expected = args.target_qps.unwrap_or(0.0) * required.min_duration * OFFLINE_ROOM;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of queries, and a cast saturates"
    )]
    let queries = match args.scenario {
        ScenarioArg::Server | ScenarioArg::Interactive => required.min_queries,
        ScenarioArg::Offline => required.min_queries.max(expected.ceil() as u64),
    };
    plan.num_requests = usize::try_from(queries)
        .unwrap_or(usize::MAX)
        .min(10_000_000);
    // What the file limits the measured time to would cut the run short.
    plan.duration = None;
    let load = match (args.scenario, args.target_qps) {
        (ScenarioArg::Offline, _) | (_, None) => {
            LoadPoint::Concurrency(plan.num_requests.min(args.required.in_flight as usize))
        }
        (ScenarioArg::Server | ScenarioArg::Interactive, Some(rate)) => {
            LoadPoint::of(rate, Some(1.0))
        }
    };
    plan.loads = vec![load];
    plan.warmup_requests = flags.warmup_requests.unwrap_or(DEFAULT_WARMUP);
    load
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
        let report = report.cloned().ok_or_else(|| usage("no rate was tried"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_that_is_asked_for_follows_from_the_distribution() {
        assert!((mean(Lengths::Constant(128)) - 128.0).abs() < 1e-12);
        assert!((mean(Lengths::Uniform { min: 10, max: 30 }) - 20.0).abs() < 1e-12);
    }
}
