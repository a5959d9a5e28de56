//! The plan: problems for which `gate` and `bench` stop before a server starts, unexpected hardware, and rules that no run
//! of the plan can be judged by.

use std::collections::BTreeSet;

use super::check::{Check, Group, Level};
use super::needs::Needs;
use crate::cli::bench::RunArgs;
use crate::cli::compare::PolicyArgs;
use crate::compare::fewest_requests;
use crate::config::{Plan, ServerPlan};
use crate::environment;
use crate::event::Events;
use crate::failure::Failure;
use crate::inputs::{feasible, plan, policy};
use crate::launch;
use crate::policy::FEWEST_REPEATS;
use crate::policy::rule::{Action, Policy, Rule};
use crate::record::format::{Environment, ResultFile};
use crate::runner::{expectations, repeat_context};
use crate::telemetry::gpu::Survey;
use crate::text::count::count;

/// Group of a machine without a plan: empty.
pub(crate) fn checks(
    plan: Option<&Plan>,
    survey: &Survey,
    environment: &environment::Environment,
    events: &Events,
) -> Group {
    let mut checks = Vec::new();
    if let Some(plan) = plan {
        checks.extend(of_failure("server", repeat_context::server_of(plan)));
        checks.extend(of_failure("load", load(plan, events)));
        match policy::policy_for(&PolicyArgs::default()) {
            Ok(policy) => checks.extend(rules(plan, &policy, survey)),
            Err(failure) => checks.extend(of_failure::<()>("thresholds", Err(failure))),
        }
        checks.extend(mounts(plan, environment));
        checks.extend(expected(plan, survey));
    }
    Group {
        name: "plan",
        checks,
    }
}

/// `None` without an error.
fn of_failure<T>(name: &'static str, held: Result<T, Failure>) -> Option<Check> {
    let failure = held.err()?;
    let hints = Some(failure.hints.join("; ")).filter(|hints| !hints.is_empty());
    Some(Check {
        remedy: hints,
        ..Check::new(name, Level::Failure, failure.reason())
    })
}

/// As a gate without flags resolves it.
fn load(plan: &Plan, events: &Events) -> Result<(), Failure> {
    let plan = plan::overlaid(Some(plan.clone()), &RunArgs::default(), None, events)?;
    feasible::check_requests(&plan, events)
}

/// Rules that this plan cannot meet, whatever the results.
fn rules(plan: &Plan, policy: &Policy, survey: &Survey) -> Vec<Check> {
    // A rule that only warns does not block a merge if its metric is missing.
    let all: Vec<&Rule> = policy
        .rules
        .iter()
        .filter(|rule| !rule.metric.is_capacity())
        .chain(policy.scenarios.values().flatten())
        .filter(|rule| rule.action != Action::Warn)
        .collect();
    let ids = |which: &dyn Fn(&Rule) -> bool| {
        let found = all.iter().filter(|rule| which(rule));
        let found: BTreeSet<&str> = found.map(|rule| rule.metric.id()).collect();
        Vec::from_iter(found).join(", ")
    };
    let mut checks = Vec::new();
    let needs = |rule: &Rule| fewest_requests(rule.metric);
    let sent = u64::try_from(plan.num_requests).unwrap_or(u64::MAX);
    let few = ids(&|rule| needs(rule).is_some_and(|needed| sent < needed));
    if let Some(most) = all.iter().filter_map(|rule| needs(rule)).max()
        && !few.is_empty()
    {
        let finding = format!(
            "{few} cannot be judged with {} per repeat",
            count(sent, "request")
        );
        checks.push(
            Check::new("rules", Level::Failure, finding).with_remedy(format!(
                "raise num_requests to at least {most}, or remove the rule from thresholds.yaml"
            )),
        );
    }
    let of_gpus = ids(&|rule| rule.metric.is_of_gpu());
    // If the plan needs GPUs, another check reports that there is none.
    let is_here = matches!(
        plan.server,
        Some(ServerPlan::Docker(_) | ServerPlan::Process(_))
    );
    if is_here && survey.gpus.is_empty() && !Needs::of(plan).gpu && !of_gpus.is_empty() {
        let finding = format!("no GPU was found, so {of_gpus} cannot be judged");
        checks.push(
            Check::new("rules", Level::Failure, finding).with_remedy(
                "remove the rule from thresholds.yaml (the standard rules, which apply without that file, include it)",
            ),
        );
    }
    if usize::try_from(plan.repeat).is_ok_and(|repeats| repeats < FEWEST_REPEATS) {
        checks.push(Check::warning(
            "repeats",
            format!(
                "a baseline needs {FEWEST_REPEATS} repeats, but a run has {}",
                plan.repeat
            ),
            format!("repeat: {FEWEST_REPEATS} in perfgate.yaml"),
        ));
    }
    checks
}

/// Folders of this machine that the container mounts.
fn mounts(plan: &Plan, environment: &environment::Environment) -> Option<Check> {
    let Some(ServerPlan::Docker(docker)) = &plan.server else {
        return None;
    };
    let cache = match launch::mounted(docker, environment) {
        Ok(cache) => cache?,
        Err(error) => {
            let check = Check::new("mounted folders", Level::Failure, error.to_string());
            return Some(check.with_remedy(error.hints().join("; ")));
        }
    };
    let found = format!("{} (hf_cache)", cache.display());
    Some(if cache.is_dir() {
        Check::good("model cache", found)
    } else {
        let found = format!(
            "{found} does not exist yet: the first start creates it and downloads the model"
        );
        Check::new("model cache", Level::Note, found)
    })
}

/// Compares the GPUs of this machine with `hardware`, if the server runs here.
fn expected(plan: &Plan, survey: &Survey) -> Vec<Check> {
    if matches!(
        plan.server,
        Some(ServerPlan::Url(_) | ServerPlan::Simulator(_))
    ) {
        return Vec::new();
    }
    let gpus = survey.gpus.iter().map(|gpu| gpu.facts.described());
    let first = survey.gpus.first().map(|gpu| &gpu.facts);
    let here = ResultFile {
        environment: Some(Environment {
            gpus: Some(gpus.collect()),
            driver: first.and_then(|facts| facts.driver.clone()),
            cuda: first.and_then(|facts| facts.cuda.clone()),
            ..Environment::default()
        }),
        ..ResultFile::default()
    };
    let level = if plan.expectations.strict {
        Level::Failure
    } else {
        Level::Warning
    };
    expectations::mismatches(plan, &here)
        .into_iter()
        .map(|mismatch| {
            Check::new("hardware", level, mismatch)
                .with_remedy("run on the hardware that `hardware` names, or fix `hardware`")
        })
        .collect()
}
