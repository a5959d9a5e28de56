//! The part of the noise between repeats that comes from their finite number of requests.

use crate::metric::{Latency, Metric, Statistic};
use crate::record::{RepeatRun, ScenarioRun};
use crate::stats::{self, number};

/// The fewest requests for an estimate.
const FEWEST: usize = 40;

/// Standard deviation of the log of one repeat's value that comes from its requests alone; `None` where the metric is not a
/// latency, there are no samples, or no side has two repeats.
///
/// Each repeat is split into its even and odd requests. A constant difference between the halves comes from their work; a
/// difference that varies from repeat to repeat is noise. Its variance is twice as large for each half as for the whole, so four
/// times as large for the difference.
///
/// It is a part of the noise between repeats, so the estimate is at most `between_repeats`.
pub(crate) fn request_noise(
    metric: Metric,
    sides: &[Option<&ScenarioRun>],
    between_repeats: f64,
) -> Option<f64> {
    let (latency, statistic) = metric.statistic()?;
    let (mut squares, mut degrees) = (0.0, 0.0);
    for scenario in sides.iter().flatten() {
        let differences: Vec<f64> = scenario
            .counting()
            .filter_map(|repeat| between_halves(repeat, latency, statistic))
            .collect();
        let Some(mean) = stats::mean(&differences) else {
            continue;
        };
        squares += differences
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>();
        degrees += number(differences.len() as u64) - 1.0;
    }
    (degrees > 0.0).then(|| (squares / degrees / 4.0).sqrt().min(between_repeats))
}

/// ln(odd half / even half).
fn between_halves(repeat: &RepeatRun, latency: Latency, statistic: Statistic) -> Option<f64> {
    let column = repeat.latencies.column(latency);
    if column.len() < FEWEST {
        return None;
    }
    let half = |first: usize| -> Option<f64> {
        let values: Vec<f64> = column.iter().skip(first).step_by(2).copied().collect();
        let value = match statistic {
            Statistic::Quantile(share) => stats::quantile(&values, share),
            Statistic::Mean => stats::mean(&values),
        };
        value.filter(|value| *value > 0.0)
    };
    Some((half(1)? / half(0)?).ln())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Repeats of requests with random noise on top of a pattern that is the same in all repeats.
    fn scenario(repeats: usize, requests: usize) -> ScenarioRun {
        let mut chance = rand_pcg::Pcg64Mcg::seed_from_u64(7);
        let repeat = || {
            let ttft: Vec<String> = (0..requests)
                .map(|index| {
                    let pattern = if index % 2 == 0 { 5.0 } else { 1.0 };
                    (pattern * (1.0 + 0.1 * chance.random::<f64>())).to_string()
                })
                .collect();
            format!(r#"{{"samples":{{"ttft":[{}]}}}}"#, ttft.join(","))
        };
        let repeats: Vec<String> = std::iter::repeat_with(repeat).take(repeats).collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{}]}}]}}"#,
            repeats.join(",")
        );
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        run.scenarios[0].clone()
    }

    #[test]
    fn a_constant_difference_between_requests_is_not_noise() {
        let metric = Metric::parse("ttft.mean").unwrap();
        let noise = request_noise(metric, &[Some(&scenario(30, 100))], 1.0).unwrap();
        // A uniform share of 0.1 has a deviation of 0.029, a mean of 100 of them a tenth of that.
        assert!((0.0018..0.0042).contains(&noise), "{noise}");
    }

    #[test]
    fn without_samples_or_with_a_single_repeat_there_is_no_estimate() {
        let none = |id: &str, sides: &[Option<&ScenarioRun>]| {
            let metric = Metric::parse(id).unwrap();
            assert_eq!(request_noise(metric, sides, 1.0), None, "{id}");
        };
        none("ttft.p95", &[Some(&scenario(3, 5)), None]);
        none("ttft.p95", &[Some(&scenario(1, 100))]);
        none("throughput", &[Some(&scenario(3, 100))]);
    }
}
