//! The values of one metric in one scenario, on both sides.

use std::collections::HashMap;

use super::memory::cache_figures_differ;
use super::missing::Missing;
use super::packaging::unlike;
use crate::metric::{Better, Metric, Statistic};
use crate::record::ScenarioRun;
use crate::report::comparison::{RepeatValue, Side};
use crate::stats;

/// The fewest successful requests per repeat for a rule on a P95 (two-sided 95 % bounds exist from 72 requests).
const FEWEST_FOR_P95: u64 = 100;

/// The same for a P99 (bounds exist from 368 requests).
const FEWEST_FOR_P99: u64 = 400;

/// A repeat of this weight counts in full.
const FULL_WEIGHT: f64 = 0.995;

/// One side: the logs of the repeats that count, signed so that larger is worse, or the reason why there are none.
#[derive(Clone, Debug, PartialEq)]
pub struct SideValues {
    /// In run order; empty where `missing` is set.
    pub logs: Vec<f64>,
    /// The same with an entry for every repeat, so that repeats *i* of two sides form a pair; `None` is void.
    pub by_repeat: Vec<Option<f64>>,
    /// The server start of every repeat; `None`: a start of its own.
    pub starts: Vec<Option<String>>,
    /// How many of the first repeats were measured beside the pairs.
    pub beside: u32,
    /// Every repeat in run order, for reports.
    pub values: Vec<RepeatValue>,
    /// Why the side cannot be judged.
    pub missing: Option<Missing>,
}

/// Both sides of one metric in one scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The accepted run's side.
    pub baseline: SideValues,
    /// The side under judgement.
    pub candidate: SideValues,
    /// Why the two are not comparable although both have values.
    pub unlike: Option<Missing>,
}

/// The values of `metric` on both sides.
pub fn pair(
    metric: Metric,
    baseline: Option<&ScenarioRun>,
    candidate: Option<&ScenarioRun>,
) -> Pair {
    Pair {
        baseline: SideValues::of(metric, baseline),
        candidate: SideValues::of(metric, candidate),
        unlike: baseline
            .zip(candidate)
            .and_then(|(baseline, candidate)| unlike(metric, baseline, candidate))
            .or_else(|| {
                let differ = metric == Metric::KV_CACHE_TOKENS
                    && cache_figures_differ([baseline, candidate]);
                differ.then(|| Missing::because("one side has the engine's own figure and the other blocks × block size, which are not comparable; measure both sides with the same versions of perfgate and of the engine"))
            }),
    }
}

impl SideValues {
    /// The values of `metric` in one scenario of one run.
    pub fn of(metric: Metric, scenario: Option<&ScenarioRun>) -> Self {
        let repeats = scenario.map_or(&[][..], |scenario| &scenario.repeats);
        let values = repeats.iter().map(|repeat| RepeatValue {
            id: repeat.id.clone(),
            value: repeat.metrics.get(&metric).copied(),
            void: repeat.void.clone(),
            weight: None,
        });
        let logs = match scenario {
            Some(scenario) => logs(metric, scenario),
            None => Err(Missing::because("the run has no such scenario")),
        };
        let (by_repeat, missing) = match logs {
            Ok(by_repeat) => (by_repeat, None),
            Err(missing) => (Vec::new(), Some(missing)),
        };
        Self {
            logs: by_repeat.iter().copied().flatten().collect(),
            by_repeat,
            starts: repeats.iter().map(|repeat| repeat.start.clone()).collect(),
            beside: 0,
            values: values.collect(),
            missing,
        }
    }

    /// All repeats of a candidate: those beside the pairs, and then those in pairs, which decide whether it can be judged.
    #[must_use]
    pub fn after(&self, beside: &Self) -> Self {
        if beside.missing.is_some() || self.missing.is_some() {
            return self.clone();
        }
        let joined = |first: &[f64], then: &[f64]| [first, then].concat();
        Self {
            logs: joined(&beside.logs, &self.logs),
            by_repeat: [&beside.by_repeat[..], &self.by_repeat[..]].concat(),
            starts: [&beside.starts[..], &self.starts[..]].concat(),
            beside: u32::try_from(beside.values.len()).unwrap_or(u32::MAX),
            values: [&beside.values[..], &self.values[..]].concat(),
            missing: None,
        }
    }

    /// The repeats that count, with the names of their starts.
    fn measured(&self) -> impl Iterator<Item = (f64, Option<&str>)> {
        let starts = self.starts.iter().map(Option::as_deref);
        let all = self.by_repeat.iter().zip(starts);
        all.filter_map(|(log, start)| Some(((*log)?, start)))
    }

    /// The number of server starts of the repeats that count.
    pub fn starts(&self) -> u32 {
        let [repeats] = numbered([self.measured().collect()]);
        u32::try_from(stats::by_start(&repeats).len()).unwrap_or(u32::MAX)
    }

    /// The repeats that count, with numbers of their starts.
    pub fn repeats(&self) -> Vec<(f64, u32)> {
        let [repeats] = numbered([self.measured().collect()]);
        repeats
    }

    /// The side in the comparison file. `location` is the estimate on the log scale with the scale of its robust weights;
    /// without it, the value is the median of the repeats that count.
    pub fn shown(&self, metric: Metric, location: Option<(f64, f64)>) -> Side {
        let counting = || self.values.iter().filter(|value| value.void.is_none());
        let sign = orientation(metric);
        let value = location.map_or_else(
            || {
                stats::median(
                    &counting()
                        .filter_map(|value| value.value)
                        .collect::<Vec<f64>>(),
                )
            },
            |(location, _)| Some((sign * location).exp()),
        );
        let weighed = self.values.iter().map(|value| {
            let counts = value.value.filter(|_| value.void.is_none());
            let weight = counts.zip(location).map(|(value, (location, scale))| {
                stats::huber_weight(sign * value.ln() - location, scale)
            });
            RepeatValue {
                // Only unusual weights are recorded.
                weight: weight.filter(|weight| *weight < FULL_WEIGHT),
                ..value.clone()
            }
        });
        let repeats = u32::try_from(counting().count()).unwrap_or(u32::MAX);
        Side {
            value,
            repeats,
            // Only repeats that share a server differ in number from their starts.
            starts: Some(self.starts()).filter(|starts| (1..repeats).contains(starts)),
            beside: self.beside,
            values: weighed.collect(),
            not_measured: self
                .missing
                .as_ref()
                .filter(|_| value.is_none())
                .map(Missing::to_string),
        }
    }
}

/// +1 where larger values are worse, −1 where smaller values are worse.
pub(crate) fn orientation(metric: Metric) -> f64 {
    match metric.better() {
        Better::Lower | Better::Neither => 1.0,
        Better::Higher => -1.0,
    }
}

/// Today's starts with the base version at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternating {
    /// Pairs (baseline, candidate) in which both repeats count; pairs that share a start are one.
    pub pairs: Vec<(f64, f64)>,
    /// The candidate's starts beside the pairs.
    pub beside: Vec<f64>,
}

/// The pairs of two sides, and the candidate's starts `beside` them.
pub fn alternating(
    baseline: &SideValues,
    candidate: &SideValues,
    beside: &SideValues,
) -> Alternating {
    let halves = |side: &SideValues| -> Vec<(Option<f64>, Option<String>)> {
        let all = side.by_repeat.iter().copied();
        all.zip(side.starts.iter().cloned()).collect()
    };
    let (bases, candidates) = (halves(baseline), halves(candidate));
    let both = bases.iter().zip(&candidates);
    let (bases, candidates): (Vec<_>, Vec<_>) = both
        .filter_map(|((base, base_start), (new, new_start))| {
            Some((
                (((*base)?), base_start.as_deref()),
                ((*new)?, new_start.as_deref()),
            ))
        })
        .unzip();
    let [bases] = numbered([bases]);
    let [candidates, beside] = numbered([candidates, beside.measured().collect()]);
    let (pairs, beside) = stats::merge_pairs(&bases, &candidates, &beside);
    Alternating { pairs, beside }
}

/// Repeats with numbers instead of the names of their starts, which several lists of one version may share; a repeat without a
/// name has a start of its own.
fn numbered<const LISTS: usize>(
    lists: [Vec<(f64, Option<&str>)>; LISTS],
) -> [Vec<(f64, u32)>; LISTS] {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut next = 0;
    let mut fresh = || {
        next += 1;
        next
    };
    lists.map(|list| {
        let number = |(value, start): (f64, Option<&str>)| {
            let number = match start {
                Some(name) => *known.entry(name.to_owned()).or_insert_with(&mut fresh),
                None => fresh(),
            };
            (value, number)
        };
        list.into_iter().map(number).collect()
    })
}

fn logs(metric: Metric, scenario: &ScenarioRun) -> Result<Vec<Option<f64>>, Missing> {
    let mut logs = Vec::new();
    for (index, repeat) in scenario.repeats.iter().enumerate() {
        if repeat.void.is_some() {
            logs.push(None);
            continue;
        }
        let Some(value) = repeat.metrics.get(&metric) else {
            let reason = repeat.not_measured.get(&metric);
            return Err(Missing::Because(reason.map_or_else(
                || format!("not measured (repeat {})", index + 1),
                |reason| format!("not measured: {reason}"),
            )));
        };
        // A percentile is accepted where the file does not record the number of requests.
        if let Some(needed) = fewest_requests(metric)
            && let Some(counts) = repeat.requests.filter(|counts| counts.completed < needed)
        {
            return Err(Missing::Because(format!(
                "a repeat has {} successful requests and this percentile needs {needed}; raise `num_requests`",
                counts.completed
            )));
        }
        if *value <= 0.0 {
            return Err(Missing::Zero);
        }
        logs.push(Some(orientation(metric) * value.ln()));
    }
    if logs.iter().all(Option::is_none) {
        Err(Missing::because("no repeat counts: all are void"))
    } else {
        Ok(logs)
    }
}

/// The fewest successful requests per repeat for judging the metric, if it is a high percentile.
pub fn fewest_requests(metric: Metric) -> Option<u64> {
    match metric.statistic()? {
        (_, Statistic::Quantile(share)) if share >= 0.99 => Some(FEWEST_FOR_P99),
        (_, Statistic::Quantile(share)) if share >= 0.95 => Some(FEWEST_FOR_P95),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(id: &str, repeats: &str) -> SideValues {
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{repeats}]}}]}}"#
        );
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        SideValues::of(Metric::parse(id).unwrap(), run.scenario("c"))
    }

    #[test]
    fn void_repeats_are_shown_and_not_judged() {
        let side = side(
            "tpot.p95",
            r#"{"metrics": {"tpot.p95": 1}}, {"metrics": {"tpot.p95": 9}, "void": "throttled"}"#,
        );
        assert_eq!(side.logs, [0.0]);
        let shown = side.shown(Metric::parse("tpot.p95").unwrap(), None);
        assert_eq!(
            (shown.value, shown.repeats, shown.values.len()),
            (Some(1.0), 1, 2)
        );
    }

    #[test]
    fn every_way_of_having_no_value_is_missing_with_its_reason() {
        let missing = |id: &str, repeats: &str| side(id, repeats).missing.unwrap().to_string();
        let reasons = [
            missing("qps", r#"{"metrics": {"qps": 1}, "void": "x"}"#),
            missing(
                "qps",
                r#"{"metrics": {"qps": 1}}, {"metrics": {"tpot.p95": 1}}"#,
            ),
            missing(
                "gpu_memory.peak",
                r#"{"metrics": {"qps": 1}, "not_measured": {"gpu_memory.peak": "no GPU was found"}}"#,
            ),
            missing("throughput", r#"{"metrics": {"throughput": 0}}"#),
            missing(
                "tpot.p95",
                r#"{"metrics": {"tpot.p95": 1}, "requests": {"completed": 99}}"#,
            ),
            missing(
                "tpot.p99",
                r#"{"metrics": {"tpot.p99": 1}, "requests": {"completed": 399}}"#,
            ),
        ];
        insta::assert_snapshot!(reasons.join("\n"), @r"
        no repeat counts: all are void
        not measured (repeat 2)
        not measured: no GPU was found
        a value of zero has no relative change; give the rule a `max` or `min` instead
        a repeat has 99 successful requests and this percentile needs 100; raise `num_requests`
        a repeat has 399 successful requests and this percentile needs 400; raise `num_requests`
        ");
    }

    #[test]
    fn a_metric_that_is_better_when_higher_changes_its_sign() {
        let side = side("throughput", r#"{"metrics": {"throughput": 2.0}}"#);
        assert!((side.logs[0] + 2.0_f64.ln()).abs() < 1e-12);
        let shown = side.shown(
            Metric::parse("throughput").unwrap(),
            Some((side.logs[0], 0.02)),
        );
        assert!((shown.value.unwrap() - 2.0).abs() < 1e-12);
    }
}
