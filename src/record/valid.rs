//! A checked result: derives missing metrics and refuses contradictory values.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::columns::Columns;
use super::contradiction;
use super::definition::{self, Packaging};
use super::format::{Column as _, Load, Repeat, RequestCounts, ResultFile, Samples, Scenario};
use super::latencies::Latencies;
use super::same::marks;
use crate::limits;
use crate::metric::Metric;

/// A result with consistent values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The file as read.
    pub file: ResultFile,
    /// Its scenarios with all metrics resolved.
    pub scenarios: Vec<ScenarioRun>,
    /// Index of scenarios by name, for files with thousands of scenarios.
    places: HashMap<String, usize>,
}

/// One load point.
#[derive(Clone, Debug, PartialEq)]
pub struct ScenarioRun {
    /// Its name.
    pub name: String,
    /// The load, if the file contains it.
    pub load: Option<Load>,
    /// Whether a search chose the load, so that another run may have another one.
    pub adaptive: bool,
    /// Its repeats in run order, void ones included.
    pub repeats: Vec<RepeatRun>,
}

/// One repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatRun {
    /// Its id, if the file contains one.
    pub id: Option<String>,
    /// The server start on which it was measured; `None`: a start of its own.
    pub start: Option<String>,
    /// Why it is void.
    pub void: Option<String>,
    /// Metrics from the file and derived ones; all finite and not negative.
    pub metrics: BTreeMap<Metric, f64>,
    /// Reasons for missing metrics.
    pub not_measured: BTreeMap<Metric, String>,
    /// How the requests ended, if known.
    pub requests: Option<RequestCounts>,
    /// Latencies of the successful requests; empty without samples.
    pub latencies: Latencies,
    /// Mean output tokens of the successful requests.
    pub mean_output_tokens: Option<f64>,
    /// How tokens were grouped into chunks.
    pub packaging: Packaging,
    /// Whether the KV cache's capacity is computed as blocks × block size and not reported by the engine; `None` if
    /// unknown.
    pub kv_cache_of_blocks: Option<bool>,
}

/// `kv_cache_from` of an [`super::telemetry::EngineMemory`]: blocks × block size, several times too high where a model has several kinds of layers.
pub const FROM_BLOCKS: &str = "blocks";

impl Run {
    /// Checks a file and reports every contradiction.
    pub(super) fn check(file: ResultFile) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if file.scenarios.is_empty() {
            problems.push("the file has no scenario".to_owned());
        }
        problems.extend(file.name.as_deref().and_then(too_long));
        problems.extend(file.price.and_then(contradiction::of_price));
        let mut places = HashMap::new();
        for (index, scenario) in file.scenarios.iter().enumerate() {
            problems.extend(too_long(&scenario.name));
            if places.insert(scenario.name.clone(), index).is_some() {
                problems.push(format!("two scenarios have the name `{}`", scenario.name));
            }
        }
        // A huge name would fill every message below.
        if !problems.is_empty() {
            return Err(problems);
        }
        let scenarios = file
            .scenarios
            .iter()
            .map(|scenario| check_scenario(scenario, &file.definitions, &mut problems))
            .collect();
        if problems.is_empty() {
            Ok(Self {
                file,
                scenarios,
                places,
            })
        } else {
            Err(problems)
        }
    }

    /// The scenario of that name, as in the file and checked.
    pub fn in_file(&self, name: &str) -> Option<(&Scenario, &ScenarioRun)> {
        let place = *self.places.get(name)?;
        self.file
            .scenarios
            .get(place)
            .zip(self.scenarios.get(place))
    }

    /// The scenario of that name.
    pub fn scenario(&self, name: &str) -> Option<&ScenarioRun> {
        self.scenarios.get(*self.places.get(name)?)
    }
}

impl ScenarioRun {
    /// The repeats that are not void.
    pub fn counting(&self) -> impl Iterator<Item = &RepeatRun> {
        self.repeats.iter().filter(|repeat| repeat.void.is_none())
    }

    /// The values of a metric in the repeats that count, as far as they have one.
    pub(crate) fn values(&self, metric: Metric) -> Vec<f64> {
        let counting = self.counting();
        counting
            .filter_map(|repeat| repeat.metrics.get(&metric).copied())
            .collect()
    }
}

fn check_scenario(
    scenario: &Scenario,
    definitions: &BTreeMap<String, u32>,
    problems: &mut Vec<String>,
) -> ScenarioRun {
    let name = &scenario.name;
    if scenario.repeats.is_empty() {
        problems.push(format!("scenario `{name}` has no repeat"));
    }
    let mut ids = BTreeSet::new();
    for id in scenario
        .repeats
        .iter()
        .filter_map(|repeat| repeat.id.as_ref())
    {
        problems.extend(too_long(id));
        if !ids.insert(id) {
            problems.push(format!(
                "scenario `{name}` has two repeats with the id `{id}`"
            ));
        }
    }
    let repeats = scenario.repeats.iter().enumerate().map(|(index, repeat)| {
        let place = format!("scenario `{name}`, repeat {}", index + 1);
        check_repeat(repeat, definitions, &place, problems)
    });
    let mut repeats: Vec<RepeatRun> = repeats.collect();
    for (copy, original) in copies(&scenario.repeats) {
        repeats[copy].void.get_or_insert_with(|| {
            format!(
                "a copy of repeat {}, so not independent evidence",
                original + 1
            )
        });
    }
    ScenarioRun {
        name: name.clone(),
        load: scenario.load.clone(),
        adaptive: scenario.adaptive,
        repeats,
    }
}

/// Repeats that are copies of an earlier one in the list, with the earlier one.
fn copies(repeats: &[Repeat]) -> Vec<(usize, usize)> {
    let mut originals = HashMap::new();
    let mut found = Vec::new();
    for (index, repeat) in repeats.iter().enumerate() {
        let marks = marks(repeat);
        match marks.iter().find_map(|mark| originals.get(mark)) {
            Some(original) => found.push((index, *original)),
            None => originals.extend(marks.into_iter().map(|mark| (mark, index))),
        }
    }
    found
}

/// The problem with a name that is too long for reports.
fn too_long(name: &str) -> Option<String> {
    (name.len() > limits::NAME).then(|| {
        format!(
            "a name has {} bytes; the limit is {}",
            name.len(),
            limits::NAME
        )
    })
}

fn check_repeat(
    repeat: &Repeat,
    definitions: &BTreeMap<String, u32>,
    place: &str,
    problems: &mut Vec<String>,
) -> RepeatRun {
    if repeat.metrics.is_empty() && repeat.samples.is_none() {
        problems.push(format!("{place} has neither metrics nor samples"));
    }
    if let Some(start) = &repeat.start {
        problems.extend(too_long(start));
        if start.is_empty() {
            problems.push(format!(
                "{place}: `start` is empty; leave it out if the server start is unknown"
            ));
        }
    }
    let wrong = contradiction::of_repeat(repeat);
    // Impossible values are not added up.
    let is_possible = wrong.is_empty();
    problems.extend(wrong.into_iter().map(|wrong| format!("{place}: {wrong}")));
    let mut metrics: BTreeMap<Metric, f64> = repeat.known_metrics().collect();
    let columns = repeat.samples.as_ref().and_then(|samples| {
        check_lengths(samples, place, problems);
        is_possible.then(|| Columns::of(samples))
    });
    let mut not_measured = known(&repeat.not_measured);
    if let Some(columns) = &columns {
        for (metric, derived) in columns.metrics(repeat.duration) {
            let given = metrics.insert(metric, derived);
            if let Some(given) = given
                && !definition::agree(given, derived)
                && !columns.agreed_before(metric, given, definitions)
            {
                problems.push(format!(
                    "{place}: `{metric}` is {given} in `metrics`, but the samples give {derived:.6}"
                ));
            }
        }
        for (metric, reason) in columns.latencies.not_measured() {
            if let Some(given) = metrics.remove(&metric)
                && !columns.agreed_before(metric, given, definitions)
            {
                problems.push(format!(
                    "{place}: `{metric}` is {given} in `metrics`, but the samples have no value: {reason}"
                ));
            }
            not_measured.insert(metric, reason);
        }
    }
    let requests = repeat
        .requests
        .filter(|_| is_possible)
        .or(columns.as_ref().map(|columns| columns.totals.counts));
    for (metric, reason) in definition::among_failed(&metrics, requests, definitions) {
        let has_samples = columns.as_ref().is_some_and(|columns| columns.give(metric));
        if !has_samples {
            metrics.remove(&metric);
            not_measured.insert(metric, reason);
        }
    }
    RepeatRun {
        id: repeat.id.clone(),
        start: repeat.start.clone(),
        void: repeat.void.clone(),
        metrics,
        not_measured,
        requests,
        mean_output_tokens: columns.as_ref().and_then(Columns::mean_output_tokens),
        packaging: Packaging::of(
            repeat,
            columns.as_ref().map(|columns| columns.packed),
            definitions,
        ),
        latencies: columns.map(|columns| columns.latencies).unwrap_or_default(),
        kv_cache_of_blocks: repeat
            .telemetry
            .engine_memory
            .as_ref()
            .and_then(|memory| Some(memory.kv_cache_from.as_ref()? == FROM_BLOCKS)),
    }
}

fn known(not_measured: &BTreeMap<String, String>) -> BTreeMap<Metric, String> {
    let known = not_measured
        .iter()
        .filter_map(|(id, why)| Some((Metric::parse(id).ok()?, why.clone())));
    known.collect()
}

fn check_lengths(samples: &Samples, place: &str, problems: &mut Vec<String>) {
    let lengths = [
        ("status", samples.status.length()),
        ("start", samples.start.length()),
        ("ttft", samples.ttft.length()),
        ("tpot", samples.tpot.length()),
        ("e2e", samples.e2e.length()),
        ("prompt_tokens", samples.prompt_tokens.length()),
        ("output_tokens", samples.output_tokens.length()),
        ("first_chunk_tokens", samples.first_chunk_tokens.length()),
        ("chunks", samples.chunks.length()),
        ("itl", samples.itl.length()),
    ];
    let given: Vec<(&str, usize)> = lengths
        .into_iter()
        .filter_map(|(name, length)| Some((name, length?)))
        .collect();
    if let Some(((first, expected), rest)) = given.split_first() {
        for (name, length) in rest {
            if length != expected {
                problems.push(format!(
                    "{place}: column `{name}` has {length} entries, `{first}` has {expected}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    fn check(repeat: &str) -> Result<RepeatRun, String> {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{repeat}]}}]}}"#
        );
        let run = parse("a.json", json.as_bytes()).map_err(|error| error.to_string())?;
        Ok(run.scenarios[0].repeats[0].clone())
    }

    fn metric(repeat: &RepeatRun, id: &str) -> f64 {
        repeat.metrics[&Metric::parse(id).unwrap()]
    }

    #[test]
    fn metrics_are_derived_from_the_samples_of_ok_requests() {
        let repeat = check(
            r#"{"duration": 4, "samples": {"status": ["ok", "ok", "failed: HTTP 500"], "ttft": [0.1, 0.3, null],
                "e2e": [1.1, 2.3, null], "output_tokens": [11, 21, null], "prompt_tokens": [5, 5, null]}}"#,
        )
        .unwrap();
        // The failed request is the slowest of three.
        assert!((metric(&repeat, "ttft.p50") - 0.3).abs() < 1e-12);
        assert!((metric(&repeat, "ttft.mean") - 0.2).abs() < 1e-12);
        assert!((metric(&repeat, "tpot.p50") - 0.1).abs() < 1e-12);
        assert!((metric(&repeat, "throughput") - 8.0).abs() < 1e-12);
        assert!((metric(&repeat, "total_throughput") - 10.5).abs() < 1e-12);
        assert!((metric(&repeat, "error_rate") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            repeat.requests,
            Some(RequestCounts {
                completed: 2,
                failed: 1,
                truncated: 0
            })
        );
        assert_eq!(repeat.mean_output_tokens, Some(16.0));
    }

    #[test]
    fn metrics_that_contradict_the_samples_are_refused() {
        let error = check(r#"{"metrics": {"ttft.p50": 0.1}, "samples": {"ttft": [0.2, 0.2]}}"#)
            .unwrap_err();
        insta::assert_snapshot!(error, @r"
        `a.json` has contradictory values:
          - scenario `c`, repeat 1: `ttft.p50` is 0.1 in `metrics`, but the samples give 0.200000
        ");
        assert!(
            check(r#"{"metrics": {"ttft.p50": 0.20001}, "samples": {"ttft": [0.2, 0.2]}}"#).is_ok()
        );
    }

    #[test]
    fn every_contradiction_is_reported_at_once() {
        let error = check(
            r#"{"duration": 0, "metrics": {"qps": -1}, "samples": {"ttft": [0.2, 0.2], "e2e": [1.0]}},
               {"id": "x", "metrics": {"qps": 1}}, {"id": "x", "metrics": {"qps": 1}}, {"metrics": {}}"#,
        )
        .unwrap_err();
        insta::assert_snapshot!(error, @r"
        `a.json` has contradictory values:
          - scenario `c` has two repeats with the id `x`
          - scenario `c`, repeat 1: the duration must be above zero and at most 1000000000 s; it is 0
          - scenario `c`, repeat 1: `qps` is -1, which is impossible for this metric
          - scenario `c`, repeat 1: `duration` is 0 s, but its answers take 1.000 s
          - scenario `c`, repeat 1: column `e2e` has 1 entries, `ttft` has 2
          - scenario `c`, repeat 4 has neither metrics nor samples
        ");
    }

    #[test]
    fn the_server_start_of_a_repeat_has_a_name_of_reasonable_length() {
        let start = |name: &str| {
            let repeat = check(&format!(
                r#"{{"start": "{name}", "metrics": {{"qps": 1}}}}"#
            ));
            repeat.map(|repeat| repeat.start)
        };
        assert_eq!(start("a-1"), Ok(Some("a-1".to_owned())));
        assert_eq!(check(r#"{"metrics": {"qps": 1}}"#).unwrap().start, None);
        let error = start("").unwrap_err();
        assert!(
            error.contains("scenario `c`, repeat 1: `start` is empty"),
            "{error}"
        );
        let error = start(&"x".repeat(limits::NAME + 1)).unwrap_err();
        assert!(
            error.contains("a name has 1025 bytes; the limit is 1024"),
            "{error}"
        );
    }

    #[test]
    fn a_null_metric_is_missing_and_not_zero() {
        let repeat = check(
            r#"{"metrics": {"gpu_memory.peak": null, "qps": 2}, "not_measured": {"gpu_memory.peak": "no GPU was found"}}"#,
        )
        .unwrap();
        assert_eq!(repeat.metrics.len(), 1);
        assert_eq!(
            repeat.not_measured.values().next().unwrap(),
            "no GPU was found"
        );
    }
}
