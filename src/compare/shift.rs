//! The shift function: how much slower the candidate is at each quantile of the requests.
//!
//! Requests of one repeat share its server and are not replicates, so each quantile is computed per repeat, and the repeats
//! give the band.

use crate::metric::Latency;
use crate::record::ScenarioRun;
use crate::report::comparison::ShiftPoint;
use crate::stats;

/// The quantiles, as shares.
const SHARES: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Confidence of the band at each quantile.
const CONFIDENCE: f64 = 0.95;

/// Candidate − baseline at every quantile; empty where a side has no samples.
pub(crate) fn shift(
    baseline: &ScenarioRun,
    candidate: &ScenarioRun,
    latency: Latency,
) -> Vec<ShiftPoint> {
    let (baseline, candidate) = (quantiles(baseline, latency), quantiles(candidate, latency));
    let point = |(place, share): (usize, f64)| {
        // If a quantile is among the failed requests of one repeat, the side has no value.
        let at = |side: &[[Option<f64>; SHARES.len()]]| -> Vec<f64> {
            let values: Option<Vec<f64>> = side.iter().map(|repeat| repeat[place]).collect();
            values.unwrap_or_default()
        };
        let found = stats::difference_of_means(&at(&baseline), &at(&candidate), CONFIDENCE)?;
        Some(ShiftPoint {
            share,
            change: found.value,
            low: found.interval.map(|(low, _)| low),
            high: found.interval.map(|(_, high)| high),
        })
    };
    SHARES.into_iter().enumerate().filter_map(point).collect()
}

/// The quantiles of each repeat that counts and has samples.
fn quantiles(scenario: &ScenarioRun, latency: Latency) -> Vec<[Option<f64>; SHARES.len()]> {
    let of_repeat = |repeat: &crate::record::RepeatRun| {
        let mut found = [None; SHARES.len()];
        let quantiles = repeat.latencies.quantiles(latency, &SHARES);
        for (place, value) in found.iter_mut().zip(quantiles) {
            *place = value;
        }
        (!repeat.latencies.column(latency).is_empty()).then_some(found)
    };
    scenario.counting().filter_map(of_repeat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeats of 100 requests that take 1 to 100 ms; the slowest tenth takes `factor` times as long.
    fn run(factors: &[f64]) -> crate::record::Run {
        let repeat = |factor: &f64| {
            let ttft: Vec<String> = (1..=100_u32)
                .map(|place| {
                    let slow = if place > 90 { *factor } else { 1.0 };
                    (f64::from(place) * 1e-3 * slow).to_string()
                })
                .collect();
            format!(r#"{{"samples":{{"ttft":[{}]}}}}"#, ttft.join(","))
        };
        let repeats: Vec<String> = factors.iter().map(repeat).collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn of(baseline: &[f64], candidate: &[f64]) -> Vec<ShiftPoint> {
        let (baseline, candidate) = (run(baseline), run(candidate));
        shift(
            baseline.scenario("c").unwrap(),
            candidate.scenario("c").unwrap(),
            Latency::Ttft,
        )
    }

    #[test]
    fn a_slower_tail_shifts_the_high_quantiles_alone() {
        let points = of(&[1.0, 1.001, 1.002], &[1.5, 1.501, 1.502]);
        let at = |place: usize| points[place];
        assert_eq!(points.len(), SHARES.len());
        assert!(at(4).change.abs() < 1e-12, "{:?}", at(4));
        let p99 = at(10);
        assert!((p99.change - 0.0495).abs() < 1e-3, "{p99:?}");
        assert!(p99.low.unwrap() > 0.0 && p99.high.unwrap() > p99.low.unwrap());
    }

    #[test]
    fn a_single_repeat_has_no_band_and_a_side_without_samples_no_point() {
        let points = of(&[1.0], &[1.5, 1.6]);
        assert!(points.iter().all(|point| point.low.is_none()) && !points.is_empty());
        let bare = r#"{"schema":"perfgate.result/1","scenarios":[{"name":"c","repeats":[{"metrics":{"qps":1}}]}]}"#;
        let bare = crate::record::parse("a.json", bare.as_bytes()).unwrap();
        let bare = bare.scenario("c").unwrap();
        assert_eq!(
            shift(bare, run(&[1.0]).scenario("c").unwrap(), Latency::Ttft),
            []
        );
    }
}
