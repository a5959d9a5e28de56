//! A scenario of MLPerf Inference as a plan: the requirements of the rules, and the resulting load.

use super::plan;
use super::sweep_course::Sizes;
use crate::cli::mlperf::{MlperfArgs, ScenarioArg};
use crate::config::{DEFAULT_OUTPUT_TOKENS, Dataset, LoadPoint, Plan, Slo};
use crate::event::{Events, InputEvent};
use crate::failure::Failure;
use crate::mlperf::{Limits, Requirements, Scenario, Task, queries_needed};
use crate::workload::Lengths;

/// Maximum default number of samples of the offline scenario.
const MAX_SAMPLES: u64 = 24_576;

/// Factor on the expected queries of the offline scenario, so that it lasts the minimum time.
const OFFLINE_ROOM: f64 = 1.1;

/// A few requests warm the server up at any load.
const DEFAULT_WARMUP: usize = 16;

/// The measurement and its rules.
pub(crate) struct MlperfCourse {
    pub(crate) plan: Plan,
    pub(crate) scenario: Scenario,
    /// Name of the task.
    pub(crate) task: &'static str,
    pub(crate) required: Requirements,
    /// The load of a single run.
    pub(crate) first: LoadPoint,
    pub(crate) sizes: Sizes,
    /// Search of the highest valid rate; `None` for a single run.
    pub(crate) peak: Option<Peak>,
}

/// A search of the highest rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    /// The first rate.
    pub(crate) start: f64,
    /// Precision of the answer, as a share.
    pub(crate) precision: f64,
}

/// Resolves flags and file.
pub(crate) fn resolve(args: &MlperfArgs, events: &Events) -> Result<MlperfCourse, Failure> {
    let mut plan = plan::resolve(&args.run, events)?;
    let task = args.task;
    let required = requirements(args, task, &plan)?;
    refuse_other_load(args, &plan)?;
    let first = load(args, &required, &mut plan);
    if plan.dataset != Dataset::Synthetic {
        // The number of queries of a run is known only after reading its file.
        return Err(Failure::usage(
            "this version runs the scenarios only on synthetic prompts, but a data set is given",
        )
        .hint("use `--dataset synthetic` and the lengths of the task's prompts and answers"));
    }
    report_prompts(&plan, events);
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
        peak: args.find_peak.then(|| Peak {
            start: args.target_qps.unwrap_or(1.0),
            precision: args.precision,
        }),
    })
}

/// Reports how the prompts differ from the benchmark's.
fn report_prompts(plan: &Plan, events: &Events) {
    events.emit(InputEvent::PromptsOfOwnLengths);
    if plan.prefix.share > 0.0 {
        events.emit(InputEvent::PromptsShareBeginnings {
            share: plan.prefix.share,
        });
    }
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
                return Err(
                    Failure::usage(format!("{} has no interactive scenario", task.name))
                        .hint("set `--ttft-limit` and `--tpot-limit`, or use `--scenario server`"),
                );
            }
        },
        ScenarioArg::Offline => None,
    };
    let given = [args.required.ttft_limit, args.required.tpot_limit];
    if of_task.is_none() && (given.iter().any(Option::is_some) || args.find_peak) {
        return Err(Failure::usage(
            "the offline scenario has no latency limits and no rate: it runs at full load",
        )
        .hint("remove `--ttft-limit`, `--tpot-limit` and `--find-peak`"));
    }
    if given.iter().flatten().any(std::time::Duration::is_zero) {
        return Err(Failure::usage("the limit must be above zero"));
    }
    let [ttft, tpot] = given.map(|limit| limit.map(|limit| limit.as_secs_f64()));
    let percentile = args.required.percentile;
    let fewest = match args.scenario {
        ScenarioArg::Server | ScenarioArg::Interactive => queries_needed(percentile, 0),
        ScenarioArg::Offline => task.samples.min(MAX_SAMPLES),
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

/// The requested mean length.
fn mean(lengths: Lengths) -> f64 {
    match lengths {
        Lengths::Constant(tokens) => f64::from(tokens),
        Lengths::Normal { mean, .. } | Lengths::Lognormal { mean, .. } => mean,
        Lengths::Uniform { min, max } => f64::midpoint(min.into(), max.into()),
    }
}

/// Refuses options that would change the required load, and flags without effect. Load points, repeats, time and limits
/// of the file belong to the gate and are ignored.
fn refuse_other_load(args: &MlperfArgs, plan: &Plan) -> Result<(), Failure> {
    let flags = &args.run.load;
    if flags.concurrency.is_some() || flags.request_rate.is_some() || flags.num_prompts.is_some() {
        return Err(
            Failure::usage("the scenario sets load and number of queries")
                .hint("use `--target-qps` and `--min-queries` instead"),
        );
    }
    let in_vain = [
        (
            flags.repeat.is_some(),
            "`--repeat` has no effect: a run is measured once",
            "remove it",
        ),
        (
            flags.duration.is_some(),
            "`--duration` has no effect: a run always completes",
            "use `--min-duration` instead",
        ),
        (
            !flags.goodput.is_empty(),
            "`--goodput` has no effect: the task sets the limits",
            "use `--ttft-limit` and `--tpot-limit` instead",
        ),
    ];
    if let Some((_, message, hint)) = in_vain.into_iter().find(|(given, ..)| *given) {
        return Err(Failure::usage(message).hint(hint));
    }
    if !plan.ramp_up.is_zero() {
        return Err(
            Failure::usage("`ramp_up` has no effect: the scenario sets a constant load")
                .hint("remove it, or use `--ramp-up 0s`"),
        );
    }
    if plan.conversation.is_some() {
        return Err(Failure::usage(
            "`conversation` is not supported: a turn waits for the previous one, but every query of a scenario has its own time",
        )
        .hint("remove it, or use another file with `--config`"));
    }
    Ok(())
}

/// The load of a single run, and its minimum number of queries.
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
    // A time limit of the file would cut the run short.
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
    fn the_requested_mean_follows_from_the_distribution() {
        assert!((mean(Lengths::Constant(128)) - 128.0).abs() < 1e-12);
        assert!((mean(Lengths::Uniform { min: 10, max: 30 }) - 20.0).abs() < 1e-12);
    }
}
