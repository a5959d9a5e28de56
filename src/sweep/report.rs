//! `perfgate.sweep/1`: the result of a sweep, from its result file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attainment::{Attained, Limits, attained};
use super::knee::{Bend, knee};
use crate::metric::Metric;
use crate::record::Failures;
use crate::record::format::{Repeat, ResultFile, SWEEP, Scenario};
use crate::stats::{self, Outcome};

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.sweep/1";

/// The figures of a point.
const FIGURES: [Metric; 10] = [
    Metric::THROUGHPUT,
    Metric::QPS,
    Metric::GOODPUT,
    Metric::ERROR_RATE,
    Metric::TTFT_P50,
    Metric::TTFT_P95,
    Metric::TPOT_P50,
    Metric::TPOT_P95,
    Metric::E2E_P50,
    Metric::E2E_P95,
];

/// A server that serves less than this share of the requests of an open loop has fallen behind.
const KEEPS_UP: f64 = 0.9;

/// The result of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    /// `perfgate.sweep/1`.
    pub schema: String,
    /// Name of the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Model name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `concurrency` or `request_rate`.
    pub load: String,
    /// Limits per request, in seconds; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Share of requests that must be inside all limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainment: Option<f64>,
    /// The points, by rising load; requests sent all at once are last.
    pub points: Vec<SweepPoint>,
    /// Load of the knee of throughput over median request latency; absent where the curve has none.
    pub knee: Option<f64>,
    /// The results of the search, one per repeat of the sweep; empty without a search.
    pub capacities: Vec<Capacity>,
    /// Why the sweep ended, in a sentence.
    pub ended: String,
    /// Warnings, in sentences.
    pub warnings: Vec<String>,
}

/// One load point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// Name of its scenario in the result file.
    pub scenario: String,
    /// Requests in flight or per second; absent where all were sent at once.
    pub load: Option<f64>,
    /// Requests per second of the generated arrivals; with few arrivals it may differ clearly from the load. Absent in closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<f64>,
    /// Measurements that count.
    pub repeats: u32,
    /// Metric id → median over them, in base units.
    pub metrics: BTreeMap<String, f64>,
    /// Requests inside the limits; absent without limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<WithinLimits>,
    /// Whether this is the knee.
    pub is_knee: bool,
    /// Whether this is the highest load that met the limits (in the first repeat that found one).
    pub is_capacity: bool,
}

/// The share of requests inside all limits, over all measurements of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WithinLimits {
    /// Requests inside all limits.
    pub good: u32,
    /// All requests, failed ones included.
    pub all: u32,
    /// Lower end of the exact 95 % interval of the share.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Whether the required share is attained: `null` if the interval does not decide.
    pub met: Option<bool>,
}

/// The result of the search of one repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// The highest load that met the limits; `null` if the lowest one did not.
    pub load: Option<f64>,
    /// The lowest load above it that did not; `null` if the highest permitted load met them.
    pub fails_at: Option<f64>,
    /// Number of measurements.
    pub measurements: u32,
}

/// The settings of a sweep, and facts that the result file does not contain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SweepContext {
    /// Whether loads are rates.
    pub rates: bool,
    /// Limits per request, if any.
    pub limits: Option<Limits>,
    /// Share of requests that must be inside them.
    pub attainment: f64,
    /// One per repeat of the sweep.
    pub capacities: Vec<Capacity>,
    /// Why it ended, in a sentence.
    pub ended: String,
    /// Warnings from the measurement, in sentences.
    pub warnings: Vec<String>,
}

impl SweepReport {
    /// The report of a result file whose scenarios are the points of a sweep.
    pub fn of(result: &ResultFile, context: SweepContext) -> Self {
        let (rates, limits) = (context.rates, context.limits);
        let asked = limits.map(|limits| (limits, context.attainment));
        let mut points: Vec<SweepPoint> = result
            .scenarios
            .iter()
            .filter(|scenario| scenario.name != SWEEP)
            .map(|scenario| point(scenario, rates, asked))
            .collect();
        // All at once is more than any rate.
        points.sort_by(|a, b| {
            let load = |point: &SweepPoint| point.load.unwrap_or(f64::INFINITY);
            load(a).total_cmp(&load(b))
        });
        let knee = knee_of(&points);
        let capacity = context.capacities.iter().find_map(|capacity| capacity.load);
        for (index, point) in points.iter_mut().enumerate() {
            point.is_knee = Some(index) == knee;
            point.is_capacity = capacity.is_some() && point.load == capacity;
        }
        let mut warnings = context.warnings;
        warnings.extend(doubts(result));
        warnings.extend(behind(&points, rates));
        warnings.extend(not_monotone(&points));
        let server = result.server.as_ref();
        Self {
            schema: SCHEMA.to_owned(),
            name: result.name.clone(),
            model: server.and_then(|server| server.model.clone()),
            load: if rates { "request_rate" } else { "concurrency" }.to_owned(),
            limits,
            attainment: limits.map(|_| context.attainment),
            knee: knee.and_then(|index| points[index].load),
            points,
            capacities: context.capacities,
            ended: context.ended,
            warnings,
        }
    }
}

impl SweepPoint {
    /// The value of a metric at this point, if any.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(metric.id()).copied()
    }
}

/// Index of the knee; requests sent all at once are not a point of the curve.
fn knee_of(points: &[SweepPoint]) -> Option<usize> {
    let curve: Vec<(usize, Bend)> = points
        .iter()
        .enumerate()
        .filter_map(|(index, point)| {
            let bend = Bend {
                load: point.load?,
                latency: point.metric(Metric::E2E_P50)?,
                throughput: point.metric(Metric::THROUGHPUT)?,
            };
            Some((index, bend))
        })
        .collect();
    let bends: Vec<Bend> = curve.iter().map(|(_, bend)| *bend).collect();
    knee(&bends).map(|place| curve[place].0)
}

fn point(scenario: &Scenario, rates: bool, asked: Option<(Limits, f64)>) -> SweepPoint {
    let counting: Vec<&Repeat> = scenario
        .repeats
        .iter()
        .filter(|repeat| repeat.void.is_none())
        .collect();
    let metrics = FIGURES.into_iter().filter_map(|metric| {
        // If one repeat lacks a value (failed requests are the slowest), the point lacks it: a median of the others would be biased.
        let values: Option<Vec<f64>> = counting
            .iter()
            .map(|repeat| repeat.metric(metric))
            .collect();
        Some((metric.id().to_owned(), stats::median(&values?)?))
    });
    let load = scenario.load.as_ref().and_then(|load| {
        if rates {
            load.request_rate
        } else {
            load.concurrency.map(stats::number)
        }
    });
    let offered = counting
        .iter()
        .filter_map(|repeat| repeat.telemetry.offered_rate);
    let offered = stats::median(&offered.collect::<Vec<f64>>());
    SweepPoint {
        scenario: scenario.name.clone(),
        load,
        offered,
        repeats: u32::try_from(counting.len()).unwrap_or(u32::MAX),
        metrics: metrics.collect(),
        within: asked.map(|(limits, attainment)| {
            within(attained(scenario.repeats.iter(), &limits), attainment)
        }),
        is_knee: false,
        is_capacity: false,
    }
}

fn within(attained: Attained, attainment: f64) -> WithinLimits {
    let (low, high) = attained.interval();
    let met = match attained.outcome(attainment) {
        Outcome::Pass => Some(true),
        Outcome::Fail => Some(false),
        Outcome::Undecided => None,
    };
    WithinLimits {
        good: attained.good,
        all: attained.all,
        low,
        high,
        met,
    }
}

/// Warnings about the points: failed requests, measurements that do not count, and other findings.
fn doubts(result: &ResultFile) -> Vec<String> {
    let points = result
        .scenarios
        .iter()
        .filter(|scenario| scenario.name != SWEEP);
    points
        .flat_map(|scenario| {
            let counting = scenario
                .repeats
                .iter()
                .filter(|repeat| repeat.void.is_none());
            let failed = Failures::of(counting).in_words();
            let void = scenario.repeats.iter().filter_map(|repeat| {
                let reason = repeat.void.as_ref()?;
                Some(format!("a measurement does not count: {reason}"))
            });
            let seen = scenario.repeats.iter().flat_map(Repeat::warnings);
            let mut found: Vec<String> = failed.into_iter().chain(void).collect();
            for warning in seen {
                if !found.iter().any(|known| known == warning) {
                    found.push(warning.to_owned());
                }
            }
            found
                .into_iter()
                .map(|found| format!("{}: {found}", scenario.name))
        })
        .collect()
}

/// Rates at which the server served clearly less.
fn behind(points: &[SweepPoint], rates: bool) -> Vec<String> {
    let found = points.iter().filter(|_| rates).filter_map(|point| {
        let (offered, served) = (point.offered.or(point.load)?, point.metric(Metric::QPS)?);
        (served < KEEPS_UP * offered).then(|| {
            format!(
                "{}: the server fell behind and served {served:.2} of {offered:.2} requests/s; its latencies grow with the length of the measurement",
                point.scenario
            )
        })
    });
    found.collect()
}

/// Loads that attain clearly less than a higher load: the intervals do not overlap.
fn not_monotone(points: &[SweepPoint]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, lower) in points.iter().enumerate() {
        let (Some(low), Some(_)) = (&lower.within, lower.load) else {
            continue;
        };
        let better = points[index + 1..].iter().find(|higher| {
            higher.load.is_some() && higher.within.is_some_and(|within| within.low > low.high)
        });
        if let Some(better) = better {
            found.push(format!(
                "not monotone: fewer requests are inside the limits at {} than at the higher load {}; something other than the load changed",
                lower.scenario, better.scenario
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::{Load, RequestCounts, Samples};

    /// A point with 200 requests, of which `slow` took longer than the limit.
    fn scenario(concurrency: u64, throughput: f64, e2e: f64, slow: usize) -> Scenario {
        let ttft = (0..200).map(|index| Some(if index < slow { 9.0 } else { 0.1 }));
        let metrics = [("throughput", throughput), ("e2e.p50", e2e)];
        Scenario {
            name: format!("concurrency={concurrency}"),
            load: Some(Load {
                concurrency: Some(concurrency),
                ..Load::default()
            }),
            repeats: vec![Repeat {
                metrics: metrics
                    .map(|(id, value)| (id.to_owned(), Some(value)))
                    .into(),
                samples: Some(Samples {
                    status: Some(vec![Some("ok".to_owned()); 200]),
                    ttft: Some(ttft.collect()),
                    ..Samples::default()
                }),
                ..Repeat::default()
            }],
            ..Scenario::default()
        }
    }

    #[test]
    fn failed_requests_void_measurements_and_what_was_seen_are_warnings() {
        let mut failing = scenario(8, 100.0, 0.5, 0);
        let repeat = &mut failing.repeats[0];
        repeat.requests = Some(RequestCounts {
            completed: 20,
            failed: 180,
            truncated: 0,
        });
        let statuses = (0..200).map(|index| {
            if index < 180 {
                "failed: HTTP 429"
            } else {
                "ok"
            }
        });
        repeat.samples = Some(Samples {
            status: Some(statuses.map(|status| Some(status.to_owned())).collect()),
            ..Samples::default()
        });
        let seen = "the server counts other tokens".to_owned();
        repeat.telemetry.warnings.push(seen);
        let void = Repeat {
            void: Some("the load generator was the bottleneck".to_owned()),
            ..Repeat::default()
        };
        failing.repeats.push(void);
        let result = ResultFile {
            scenarios: vec![scenario(1, 100.0, 0.5, 0), failing],
            ..ResultFile::default()
        };
        assert_eq!(
            doubts(&result),
            [
                "concurrency=8: 180 of 200 requests (90 %) failed; the most frequent reason: failed: HTTP 429 (180 times)",
                "concurrency=8: a measurement does not count: the load generator was the bottleneck",
                "concurrency=8: the server counts other tokens",
            ]
        );
    }

    fn context() -> SweepContext {
        SweepContext {
            limits: Some(Limits {
                ttft: Some(0.2),
                ..Limits::default()
            }),
            attainment: 0.95,
            capacities: vec![Capacity {
                load: Some(16.0),
                fails_at: Some(32.0),
                measurements: 4,
            }],
            ..SweepContext::default()
        }
    }

    #[test]
    fn points_are_sorted_by_load_with_knee_and_capacity() {
        let result = ResultFile {
            scenarios: vec![
                scenario(16, 950.0, 1.1, 0),
                scenario(1, 100.0, 1.0, 0),
                scenario(64, 1000.0, 6.0, 200),
                scenario(32, 990.0, 3.0, 120),
            ],
            ..ResultFile::default()
        };
        let report = SweepReport::of(&result, context());
        let loads: Vec<Option<f64>> = report.points.iter().map(|point| point.load).collect();
        assert_eq!(loads, [1.0, 16.0, 32.0, 64.0].map(Some));
        assert_eq!(report.knee, Some(16.0));
        assert!(report.points[1].is_capacity && report.points[1].is_knee);
        let met: Vec<Option<bool>> = report
            .points
            .iter()
            .map(|point| point.within.unwrap().met)
            .collect();
        assert_eq!(met, [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!(report.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_load_that_attains_clearly_less_than_a_higher_one_is_a_warning() {
        let scenarios = vec![scenario(8, 900.0, 1.0, 60), scenario(16, 950.0, 1.1, 0)];
        let result = ResultFile {
            scenarios,
            ..ResultFile::default()
        };
        insta::assert_snapshot!(SweepReport::of(&result, context()).warnings.join("\n"), @"not monotone: fewer requests are inside the limits at concurrency=8 than at the higher load concurrency=16; something other than the load changed");
    }

    #[test]
    fn a_rate_that_the_server_does_not_keep_up_with_is_a_warning() {
        let mut point = scenario(1, 900.0, 1.0, 0);
        point.name = "request_rate=10".to_owned();
        point.load = Some(Load {
            request_rate: Some(10.0),
            ..Load::default()
        });
        point.repeats[0].metrics.insert("qps".to_owned(), Some(7.0));
        let report = |point: &Scenario| {
            let result = ResultFile {
                scenarios: vec![point.clone()],
                ..ResultFile::default()
            };
            let rates = SweepContext {
                rates: true,
                ..context()
            };
            SweepReport::of(&result, rates)
        };
        // By chance, few more arrivals were generated than the server served.
        point.repeats[0].telemetry.offered_rate = Some(7.2);
        assert_eq!(report(&point).warnings, Vec::<String>::new());
        point.repeats[0].telemetry.offered_rate = None;
        let report = report(&point);
        insta::assert_snapshot!(report.warnings.join("\n"), @"request_rate=10: the server fell behind and served 7.00 of 10.00 requests/s; its latencies grow with the length of the measurement");
    }
}
