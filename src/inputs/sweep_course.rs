//! Loads, limits and number of requests of a sweep, from flags and file.

use std::time::Duration;

use crate::cli::sweep::{FindArg, SweepArgs};
use crate::config::{LoadPoint, Plan, Slo};
use crate::failure::Failure;
use crate::sweep::{Grain, Limits, Search};

/// Number of requests of each load point: enough to reach and measure the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Minimum number.
    pub(crate) least: usize,
    /// Minimum number per request in flight.
    pub(crate) per_slot: usize,
    /// At least as many as arrive in this time.
    pub(crate) duration: Duration,
    /// Whether it must last this time, whatever the random arrivals.
    pub(crate) is_surely: bool,
    /// Warm-up requests before each measurement; `None` derives the number from the load.
    pub(crate) warmup: Option<usize>,
}

/// Default first concurrency of a search.
const DEFAULT_START: f64 = 16.0;

/// Default highest load.
fn default_max_load(rates: bool) -> f64 {
    if rates { 1e4 } else { 1024.0 }
}

/// Maximum number of streams of one machine.
const MAX_STREAMS: f64 = 65_535.0;

/// Lowest rate: a request in a hundred seconds.
const LOWEST_RATE: f64 = 0.01;

pub(crate) fn limits(slo: Slo) -> Option<Limits> {
    let Slo { ttft, tpot, e2e } = slo;
    let limits = Limits { ttft, tpot, e2e };
    (limits != Limits::default()).then_some(limits)
}

/// The loads to measure.
pub(crate) struct Course {
    /// The shape of arrivals if loads are rates.
    pub(crate) rates: Option<f64>,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Grid(Vec<LoadPoint>),
    Grow {
        start: f64,
        most: f64,
    },
    /// `start` is unknown if it depends on a first measurement.
    Find {
        search: Search,
        start: Option<f64>,
        grid: Vec<LoadPoint>,
    },
}

/// A trace sets the arrival times, but a sweep varies them.
fn refuse_trace(plan: &Plan) -> Result<(), Failure> {
    if matches!(plan.loads.first(), Some(LoadPoint::Trace { .. })) {
        let hint = "set `--concurrency` or `--request-rate` to send its prompts at those loads";
        return Err(Failure::usage(
            "a sweep chooses the load, but a trace is sent at its own times",
        )
        .hint(hint));
    }
    Ok(())
}

/// The course from the flags, else from the file.
pub(crate) fn course(
    args: &SweepArgs,
    plan: &Plan,
    limits: Option<Limits>,
) -> Result<Course, Failure> {
    refuse_trace(plan)?;
    let load = &args.run.load;
    let on_flags = load.concurrency.is_some() || load.request_rate.is_some();
    let in_plan = plan.loads.first().and_then(|first| match first {
        LoadPoint::Rate { burstiness, .. } => Some(*burstiness),
        LoadPoint::Concurrency(_) | LoadPoint::Trace { .. } => None,
    });
    let wants_rates = match args.course.find {
        Some(FindArg::Concurrency) => false,
        Some(FindArg::RequestRate) => true,
        None => in_plan.is_some(),
    };
    if args.course.find.is_some() && on_flags && wants_rates != in_plan.is_some() {
        return Err(
            Failure::usage("`--find` and the load flags use different kinds of load")
                .hint("a search first measures the given loads; use loads of its kind"),
        );
    }
    let rates = wants_rates.then(|| in_plan.unwrap_or(1.0));
    let most = args
        .course
        .max_load
        .unwrap_or(default_max_load(wants_rates));
    // Loads of the other kind in the file do not apply.
    let same_kind = wants_rates == in_plan.is_some();
    let middle = plan
        .loads
        .get(plan.loads.len() / 2)
        .filter(|_| same_kind)
        .map(|load| load.number());
    let start = args.course.start;
    if !wants_rates {
        whole_numbers(start, most)?;
    }
    if start.is_some_and(|start| start > most) {
        return Err(
            Failure::usage("`--start` is above the maximum load").hint("raise `--max-load`")
        );
    }
    if args.course.find.is_none() {
        let kind = if on_flags || plan.loads.len() > 1 {
            Kind::Grid(plan.loads.clone())
        } else {
            Kind::Grow {
                start: start.unwrap_or(1.0).min(most),
                most,
            }
        };
        return Ok(Course { rates, kind });
    }
    if limits.is_none() {
        return Err(Failure::usage("a search needs limits, but no `slo` is set")
            .hint("use `--goodput ttft:200ms tpot:50ms`, or set an `slo` in perfgate.yaml"));
    }
    let known = if wants_rates { start } else { start.or(middle) };
    let grid = plan.loads.iter().filter(|_| on_flags).copied();
    let grid: Vec<LoadPoint> = grid.collect();
    let search = Search {
        grain: if wants_rates {
            Grain::Real
        } else {
            Grain::Whole
        },
        start: known.unwrap_or(DEFAULT_START),
        least: if wants_rates { LOWEST_RATE } else { 1.0 },
        most,
        precision: args.course.precision,
        most_visits: args.course.max_visits,
    };
    // Without any hint, the first rate is measured.
    let hinted = known.is_some() || grid.iter().any(|load| load.number().is_finite());
    let start = (!wants_rates || hinted).then_some(search.start);
    Ok(Course {
        rates,
        kind: Kind::Find {
            search,
            start,
            grid,
        },
    })
}

/// Requests in flight are whole.
fn whole_numbers(start: Option<f64>, most: f64) -> Result<(), Failure> {
    for (flag, load) in [("--start", start), ("--max-load", Some(most))] {
        let possible = |load: f64| (1.0..=MAX_STREAMS).contains(&load) && load.fract() == 0.0;
        if load.is_some_and(|load| !possible(load)) {
            return Err(Failure::usage(format!(
                "`{flag}` must be a whole number of requests in flight from 1 to {MAX_STREAMS}"
            )));
        }
    }
    Ok(())
}

/// Number of requests of each point. The plan's own numbers become values independent of the load, so that two
/// sweeps of the same workload have equal digests.
pub(crate) fn sizes(args: &SweepArgs, plan: &mut Plan) -> Sizes {
    let usual = plan.warmup_requests == Plan::default_warmup(&plan.loads, plan.num_requests);
    let warmup = (!usual).then_some(plan.warmup_requests);
    plan.warmup_requests = warmup.unwrap_or(0);
    Sizes {
        least: plan.num_requests,
        per_slot: args.course.requests_per_slot,
        duration: args.course.min_duration,
        is_surely: false,
        warmup,
    }
}
