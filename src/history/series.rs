//! One metric of one scenario over the sessions, with its steps.

use serde::Serialize;

use super::segments::segments;
use crate::compare::{SideValues, orientation};
use crate::metric::{Better, Metric};
use crate::record::Run;
use crate::stats::{self, level_steps};

/// A step within this many sessions of the beginning of a segment belongs to that segment and is shown once.
const SAME_STEP: usize = 1;

/// One metric of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Scenario.
    pub scenario: String,
    /// Metric.
    pub metric: Metric,
    /// The sessions that have a value, oldest first.
    pub points: Vec<Point>,
    /// Its steps, oldest first.
    pub steps: Vec<Step>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Index of the session in the ledger, from 0.
    pub session: usize,
    /// When it was measured.
    pub created: Option<String>,
    /// Its commit.
    pub commit: Option<String>,
    /// Its release, if it is one.
    pub release: Option<String>,
    /// Median of the repeats that count, in the metric's base unit.
    pub value: f64,
    /// The smallest and the largest of them.
    pub range: (f64, f64),
    /// Number of repeats that count.
    pub repeats: usize,
}

/// A change of level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Index of the first point after it.
    pub at: usize,
    /// Between the medians of its sides, as a ratio; positive is worse (for a metric without direction: larger).
    pub change: f64,
    /// Its reason.
    pub reason: StepReason,
}

/// The reason of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepReason {
    /// A segment begins there, with its reason.
    Segment(String),
    /// E-divisive found it, with its p-value.
    Found(f64),
}

/// Every series of the sessions: `metrics` in every scenario that has values for them.
pub fn all_series(sessions: &[Run], metrics: &[Metric]) -> Vec<Series> {
    let mut scenarios: Vec<&str> = Vec::new();
    for scenario in sessions.iter().flat_map(|session| &session.scenarios) {
        if !scenarios.contains(&scenario.name.as_str()) {
            scenarios.push(&scenario.name);
        }
    }
    let all = scenarios.iter().flat_map(|scenario| {
        metrics
            .iter()
            .map(move |metric| of(sessions, scenario, *metric))
    });
    all.filter(|series| !series.points.is_empty()).collect()
}

fn of(sessions: &[Run], scenario: &str, metric: Metric) -> Series {
    let points: Vec<Point> = sessions
        .iter()
        .enumerate()
        .filter_map(|(session, run)| point(session, run, scenario, metric))
        .collect();
    Series {
        scenario: scenario.to_owned(),
        metric,
        steps: steps(sessions, &points, metric),
        points,
    }
}

fn point(session: usize, run: &Run, scenario: &str, metric: Metric) -> Option<Point> {
    let side = SideValues::of(metric, run.scenario(scenario));
    let counting = side.values.iter().filter(|value| value.void.is_none());
    let values: Vec<f64> = counting.filter_map(|value| value.value).collect();
    let source = run.file.source.as_ref();
    Some(Point {
        session,
        created: run.file.created.clone(),
        commit: source.and_then(|source| source.commit.clone()),
        release: run
            .file
            .promotion
            .as_ref()
            .and_then(|promotion| promotion.release.clone()),
        value: stats::median(&values)?,
        range: (
            stats::quantile(&values, 0.0)?,
            stats::quantile(&values, 1.0)?,
        ),
        repeats: values.len(),
    })
}

fn steps(sessions: &[Run], points: &[Point], metric: Metric) -> Vec<Step> {
    // Indices of the points at which segments begin, with the reason.
    let mut starts: Vec<(usize, StepReason)> = segments(sessions)
        .into_iter()
        .filter_map(|start| {
            let at = points.iter().position(|point| point.session >= start.at)?;
            (at > 0).then_some((at, StepReason::Segment(start.why)))
        })
        .collect();
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    for found in level_steps(&values) {
        let is_told = starts
            .iter()
            .any(|(at, _)| at.abs_diff(found.at) <= SAME_STEP);
        if !is_told {
            starts.push((found.at, StepReason::Found(found.p_value)));
        }
    }
    starts.sort_by_key(|(at, _)| *at);
    starts.dedup_by_key(|(at, _)| *at);
    let ends: Vec<usize> = starts
        .iter()
        .map(|(at, _)| *at)
        .skip(1)
        .chain([points.len()])
        .collect();
    let mut from = 0;
    let mut steps = Vec::new();
    for ((at, reason), end) in starts.into_iter().zip(ends) {
        let level = |points: &[Point]| {
            let values: Vec<f64> = points.iter().map(|point| point.value).collect();
            stats::median(&values)
        };
        let change = level(&points[from..at])
            .zip(level(&points[at..end]))
            .map_or(0.0, |(before, after)| worse_by(metric, before, after));
        steps.push(Step { at, change, reason });
        from = at;
    }
    steps
}

/// How much worse `after` is than `before`, as a ratio; 0 if `before` is 0.
pub(crate) fn worse_by(metric: Metric, before: f64, after: f64) -> f64 {
    if before <= 0.0 {
        return 0.0;
    }
    let growth = after / before - 1.0;
    match metric.better() {
        Better::Neither => growth,
        Better::Lower | Better::Higher => orientation(metric) * growth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(tpot: f64, promotion: &str) -> Run {
        let values = [tpot, tpot * 1.004, tpot * 0.997];
        let repeats = values.map(|tpot| format!(r#"{{"metrics":{{"tpot.p95":{tpot}}}}}"#));
        let json = format!(
            r#"{{"schema":"perfgate.result/1","promotion":{promotion},"scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn tpot() -> Metric {
        Metric::parse("tpot.p95").unwrap()
    }

    fn wobble(index: usize) -> f64 {
        [1.0, 1.003, 0.998, 1.001, 0.997][index % 5]
    }

    #[test]
    fn a_step_without_a_reason_is_found_with_its_size() {
        let level = |index| if index < 10 { 0.020 } else { 0.022 };
        let sessions: Vec<Run> = (0..20)
            .map(|index| session(level(index) * wobble(index), "null"))
            .collect();
        let series = all_series(&sessions, &[tpot()]);
        let [step] = series[0].steps.as_slice() else {
            panic!("{:?}", series[0].steps)
        };
        assert_eq!(step.at, 10);
        assert!((step.change - 0.10).abs() < 0.01, "{step:?}");
        assert!(matches!(step.reason, StepReason::Found(_)));
    }

    #[test]
    fn an_accepted_step_is_listed_once_with_its_reason() {
        let accepted =
            r#"{"promoted":"2026-01-01T00:00:00Z","because":"new sampler","new_segment":true}"#;
        let sessions: Vec<Run> = (0..20)
            .map(|index| {
                let level = if index < 10 { 0.020 } else { 0.022 };
                let promotion = if index == 10 { accepted } else { "null" };
                session(level * wobble(index), promotion)
            })
            .collect();
        let series = all_series(&sessions, &[tpot()]);
        assert_eq!(series[0].steps.len(), 1);
        assert_eq!(
            series[0].steps[0].reason,
            StepReason::Segment("accepted: new sampler".to_owned())
        );
    }

    #[test]
    fn a_metric_without_values_has_no_series() {
        let throughput = Metric::parse("throughput").unwrap();
        assert!(all_series(&[session(0.02, "null")], &[throughput]).is_empty());
        assert!(all_series(&[], &[tpot()]).is_empty());
    }
}
