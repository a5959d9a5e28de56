//! Throughput against latency over the load points of both runs, for the chart of a comparison.

use crate::metric::Metric;
use crate::record::format::{Load, SWEEP};
use crate::record::{Run, ScenarioRun};
use crate::report::comparison::{CurvePoint, CurveSide, LoadCurve};
use crate::stats::{self, number};
use crate::sweep::{Bend, knee};

/// The fewest points of a curve.
const FEWEST: usize = 2;

/// A kind of load, and the capacity that a search over it finds.
type Kind = (&'static str, fn(&Load) -> Option<f64>, Metric);

const KINDS: [Kind; 2] = [
    (
        "concurrency",
        |load| load.concurrency.map(number),
        Metric::CAPACITY_CONCURRENCY,
    ),
    (
        "request_rate",
        |load| load.request_rate,
        Metric::CAPACITY_REQUEST_RATE,
    ),
];

/// One curve per kind of load for which both runs have several points.
pub(super) fn curves(baseline: &Run, candidate: &Run) -> Vec<LoadCurve> {
    let found = KINDS.into_iter().map(|kind| LoadCurve {
        load: kind.0.to_owned(),
        baseline: side(baseline, kind),
        candidate: side(candidate, kind),
    });
    let has_both = |curve: &LoadCurve| {
        let fewest = curve
            .baseline
            .points
            .len()
            .min(curve.candidate.points.len());
        fewest >= FEWEST
    };
    found.filter(has_both).collect()
}

fn side(run: &Run, (_, load, searched): Kind) -> CurveSide {
    let point = |scenario: &ScenarioRun| {
        let point = CurvePoint {
            load: load(scenario.load.as_ref()?)?,
            throughput: median(scenario, Metric::THROUGHPUT)?,
            ttft: median(scenario, Metric::TTFT_P95),
            tpot: median(scenario, Metric::TPOT_P95),
        };
        Some((point, median(scenario, Metric::E2E_P50)))
    };
    let mut points: Vec<(CurvePoint, Option<f64>)> =
        run.scenarios.iter().filter_map(point).collect();
    points.sort_by(|(a, _), (b, _)| a.load.total_cmp(&b.load));
    let bend = |(point, e2e): &(CurvePoint, Option<f64>)| {
        Some(Bend {
            load: point.load,
            latency: (*e2e)?,
            throughput: point.throughput,
        })
    };
    let bends: Option<Vec<Bend>> = points.iter().map(bend).collect();
    let knee = bends.and_then(|bends| knee(&bends));
    let sweep = run.scenario(SWEEP);
    CurveSide {
        knee: knee.map(|place| points[place].0.load),
        points: points.into_iter().map(|(point, _)| point).collect(),
        capacity: sweep.and_then(|sweep| median(sweep, searched)),
    }
}

/// Over the repeats that count; `None` where no repeat has a value.
fn median(scenario: &ScenarioRun, metric: Metric) -> Option<f64> {
    stats::median(&scenario.values(metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(loads: &[u32]) -> Run {
        let scenarios: Vec<String> = loads
            .iter()
            .map(|load| {
                format!(
                    r#"{{"name":"concurrency={load}","load":{{"concurrency":{load}}},"repeats":[{{"metrics":
                        {{"throughput":{}, "ttft.p95":0.1, "e2e.p50":{}}}}}]}}"#,
                    100 * load.min(&20),
                    load.max(&20)
                )
            })
            .collect();
        let sweep = r#"{"name":"sweep","repeats":[{"metrics":{"capacity.concurrency":16}}]}"#;
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{},{sweep}]}}"#,
            scenarios.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn both_runs_have_a_curve_with_knee_and_capacity_by_rising_load() {
        let curves = curves(&run(&[16, 4, 20, 64]), &run(&[4, 16]));
        let loads: Vec<f64> = curves[0]
            .baseline
            .points
            .iter()
            .map(|point| point.load)
            .collect();
        assert_eq!(loads, [4.0, 16.0, 20.0, 64.0]);
        assert_eq!(curves[0].candidate.knee, None);
        assert_eq!(curves[0].candidate.capacity, Some(16.0));
    }

    #[test]
    fn a_single_load_point_has_no_curve() {
        assert_eq!(curves(&run(&[4, 16]), &run(&[4])), []);
    }
}
