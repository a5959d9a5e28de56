//! A scenario of MLPerf Inference as a plan: what the rules require, and the load that follows from it.

use super::plan;
use super::sweep_course::Sizes;
use crate::cli::mlperf::{MlperfArgs, ScenarioArg};
use crate::config::{DEFAULT_OUTPUT_TOKENS, Dataset, LoadPoint, Plan, Slo};
use crate::event::{Events, InputEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::mlperf::{Limits, Requirements, Scenario, Task, queries_needed};
use crate::workload::Lengths;

/// Offline never takes more samples than this by itself, whatever the data set has.
const MOST_SAMPLES: u64 = 24_576;

/// Offline sends so much more than what is expected in the shortest time, so that it takes that long.
const OFFLINE_ROOM: f64 = 1.1;

/// A few requests wake the server up, at whatever load.
const DEFAULT_WARMUP: usize = 16;

/// What is measured, and by which rules.
pub(crate) struct MlperfCourse {
    pub(crate) plan: Plan,
    pub(crate) scenario: Scenario,
    /// Name of the task.
    pub(crate) task: &'static str,
    pub(crate) required: Requirements,
    /// The load of a single run.
    pub(crate) first: LoadPoint,
    pub(crate) sizes: Sizes,
}

/// From flags and file.
pub(crate) fn resolve(args: &MlperfArgs, events: &Events) -> Result<MlperfCourse, Failure> {
    let mut plan = plan::resolve(&args.run, events)?;
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
    tell_of_prompts(&plan, events);
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
    Ok(MlperfCourse {
        scenario: scenario(args.scenario),
        task: task.name,
        plan,
        required,
        first,
        sizes,
    })
}

/// Tells how the prompts differ from the benchmark's.
fn tell_of_prompts(plan: &Plan, events: &Events) {
    events.emit(InputEvent::PromptsOfOwnLengths);
    if plan.prefix.share > 0.0 {
        events.emit(InputEvent::PromptsShareBeginnings {
            share: plan.prefix.share,
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_that_is_asked_for_follows_from_the_distribution() {
        assert!((mean(Lengths::Constant(128)) - 128.0).abs() < 1e-12);
        assert!((mean(Lengths::Uniform { min: 10, max: 30 }) - 20.0).abs() < 1e-12);
    }
}
