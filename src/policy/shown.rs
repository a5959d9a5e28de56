//! The content of the comparison file beside the judgements: figures that every report shows, sketches, identities.

use std::collections::BTreeMap;

use crate::compare::{self, SideValues};
use crate::metric::{ALWAYS_SHOWN, Better, Latency, Metric, Statistic};
use crate::record::format::SWEEP;
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{Distribution, Identity, Judgement, Measurement, Side};
use crate::stats;

/// The figures of each scenario. A figure that a rule judges has the numbers of its row, so that a report does not show two
/// estimates of the same thing.
pub(super) fn measurements(
    baseline: &Run,
    candidate: &Run,
    judged: &[&Judgement],
) -> Vec<Measurement> {
    let memory = compare::MEMORY;
    let metrics: Vec<Metric> = ALWAYS_SHOWN.into_iter().chain(memory).collect();
    let fixed = compare::cache_is_fixed(candidate).or_else(|| compare::cache_is_fixed(baseline));
    let mut rows = Vec::new();
    // The first of two rows of one metric.
    let mut rows_judged: BTreeMap<(&str, Metric), &Judgement> = BTreeMap::new();
    for row in judged {
        let key = (row.scenario.as_str(), row.metric);
        rows_judged.entry(key).or_insert(row);
    }
    let capacities = Metric::all().filter(|metric| metric.is_capacity());
    let capacities: Vec<Metric> = capacities.collect();
    for scenario in &candidate.scenarios {
        let sides = [baseline.scenario(&scenario.name), Some(scenario)];
        // A load point that only one search chose has no counterpart; the curves show it.
        if scenario.adaptive && sides[0].is_none() {
            continue;
        }
        let of_sweep = scenario.name == SWEEP;
        for metric in if of_sweep { &capacities } else { &metrics } {
            // A search has one kind of load, and a result of another tool has no memory figures.
            let is_optional = of_sweep || memory.contains(metric);
            let mut known = sides.into_iter().flatten();
            if is_optional && !known.any(|side| is_known(side, *metric)) {
                continue;
            }
            let row = rows_judged.get(&(scenario.name.as_str(), *metric));
            let [accepted, new] = match row {
                Some(row) => [row.baseline.clone(), row.candidate.clone()],
                None => sides.map(|side| SideValues::of(*metric, side).shown(*metric, None)),
            };
            let is_like = |accepted| compare::unlike(*metric, accepted, scenario).is_none();
            let change = row.and_then(|row| row.change).map(|change| change.value);
            let change = change
                .or_else(|| growth(*metric, &accepted, &new))
                .filter(|_| sides[0].is_none_or(is_like));
            rows.push(Measurement {
                scenario: scenario.name.clone(),
                metric: *metric,
                unit: metric.unit(),
                better: metric.better(),
                baseline: accepted,
                candidate: new,
                change,
                note: compare::what_it_reveals(*metric, fixed).map(str::to_owned),
            });
        }
    }
    rows
}

/// Whether a repeat has the metric, or a reason why not.
fn is_known(side: &ScenarioRun, metric: Metric) -> bool {
    let mut repeats = side.repeats.iter();
    repeats.any(|repeat| {
        repeat.metrics.contains_key(&metric) || repeat.not_measured.contains_key(&metric)
    })
}

/// Relative change for the worse, 0.08 for 8 %.
fn growth(metric: Metric, accepted: &Side, new: &Side) -> Option<f64> {
    let (accepted, new) = accepted.value.zip(new.value)?;
    let growth = new / accepted - 1.0;
    (accepted > 0.0).then_some(match metric.better() {
        Better::Higher => -growth,
        Better::Lower | Better::Neither => growth,
    })
}

pub(super) fn distributions(baseline: &Run, candidate: &Run) -> Vec<Distribution> {
    let mut found = Vec::new();
    for scenario in &candidate.scenarios {
        let Some(accepted) = baseline.scenario(&scenario.name) else {
            continue;
        };
        for (name, latency) in [("ttft", Latency::Ttft), ("tpot", Latency::Tpot)] {
            if !is_unlike(latency, accepted, scenario)
                && let Some(baseline) = sketch(accepted, latency)
                && let Some(candidate) = sketch(scenario, latency)
            {
                found.push(Distribution {
                    scenario: scenario.name.clone(),
                    latency: name.to_owned(),
                    baseline,
                    candidate,
                    shift: compare::shift(accepted, scenario, latency),
                });
            }
        }
    }
    found
}

/// Whether the latencies of the two sides are not comparable.
fn is_unlike(latency: Latency, baseline: &ScenarioRun, candidate: &ScenarioRun) -> bool {
    let metric = Metric::of(latency, Statistic::Mean);
    metric.is_some_and(|metric| compare::unlike(metric, baseline, candidate).is_some())
}

/// 101 quantiles of all requests of the repeats that count.
fn sketch(scenario: &ScenarioRun, latency: Latency) -> Option<Vec<f64>> {
    let mut values: Vec<f64> = scenario
        .counting()
        .flat_map(|repeat| repeat.latencies.column(latency))
        .copied()
        .collect();
    values.sort_by(f64::total_cmp);
    (0..=100)
        .map(|percent| stats::quantile_of_sorted(&values, f64::from(percent) / 100.0))
        .collect()
}

/// The identity of a run, for people.
pub fn identity(file: &str, run: &Run) -> Identity {
    let result = &run.file;
    let source = result.source.as_ref();
    let server = result.server.as_ref();
    let environment = result.environment.as_ref();
    let workload = result.workload.as_ref();
    let (failed, all) = run
        .scenarios
        .iter()
        .map(compare::failed_and_all)
        .fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    let scenarios = run.scenarios.iter();
    let repeats: usize = scenarios.map(|scenario| scenario.repeats.len()).sum();
    let join = |parts: Vec<Option<String>>| {
        let words: Vec<String> = parts.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" · "))
    };
    Identity {
        file: file.to_owned(),
        name: result.name.clone(),
        created: result.created.clone(),
        commit: source.and_then(|source| source.commit.clone()),
        dirty: source.and_then(|source| source.dirty),
        commits_since: None,
        model: server.and_then(|server| server.model.clone()),
        server: server.and_then(|server| {
            let parts = [&server.kind, &server.image, &server.version];
            join(parts.map(Option::clone).into())
        }),
        hardware: environment.and_then(|environment| match environment.gpus.as_deref() {
            Some(gpus) if !gpus.is_empty() => Some(compare::describe_gpus(gpus)),
            Some(_) | None => environment.cpu.clone(),
        }),
        host: environment.and_then(|environment| environment.host.clone()),
        workload: workload.and_then(|workload| {
            let requests = workload
                .num_requests
                .map(|count| format!("{count} requests"));
            let lengths = |side: &Option<String>, what| Some(format!("{} {what}", side.as_ref()?));
            let extra_body = workload.extra_body.iter().flatten();
            join(vec![
                workload.dataset.clone(),
                requests,
                lengths(&workload.input_tokens, "in"),
                lengths(&workload.output_tokens, "out"),
                workload.seed.map(|seed| format!("seed {seed}")),
                listed("headers", workload.headers.iter().flatten()),
                listed("extra body", extra_body.map(|(key, _)| key)),
            ])
        }),
        repeats: u32::try_from(repeats).unwrap_or(u32::MAX),
        starts: result.shared_starts(),
        failed_requests: failed,
        requests: all,
    }
}

/// `headers X-Key, X-Route`; `None` where there are none.
fn listed<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    let names: Vec<&str> = names.map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}
