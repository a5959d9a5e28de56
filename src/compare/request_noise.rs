//! How much of the noise between repeats comes from their having finitely many requests.

use crate::metric::{Metric, Statistic};
use crate::record::{RepeatRun, ScenarioRun};
use crate::stats::{self, number};

/// Requests below which nothing is said.
const FEWEST: usize = 20;

/// Standard deviation of the log of one repeat's value from its requests alone; `None` where the metric is no latency or
/// there are no samples. Requests of one server influence each other, so this is a share and not a law.
///
/// A percentile: half the distance between the order statistics one binomial standard deviation to either side. A mean:
/// its standard error.
pub(crate) fn request_noise(metric: Metric, sides: &[Option<&ScenarioRun>]) -> Option<f64> {
    let repeats = sides
        .iter()
        .flatten()
        .flat_map(|scenario| scenario.counting());
    let variances: Vec<f64> = repeats
        .filter_map(|repeat| of_repeat(metric, repeat))
        .map(|deviation| deviation.powi(2))
        .collect();
    stats::mean(&variances).map(f64::sqrt)
}

fn of_repeat(metric: Metric, repeat: &RepeatRun) -> Option<f64> {
    let (latency, statistic) = metric.statistic()?;
    let mut sorted = repeat.latencies.column(latency).to_vec();
    if sorted.len() < FEWEST {
        return None;
    }
    sorted.sort_by(f64::total_cmp);
    let count = number(sorted.len() as u64);
    match statistic {
        Statistic::Quantile(share) => {
            let reach = (share * (1.0 - share) / count).sqrt();
            let at = |share: f64| stats::quantile_of_sorted(&sorted, share);
            let (low, high) = at(share - reach).zip(at(share + reach))?;
            (low > 0.0).then(|| (high / low).ln() / 2.0)
        }
        Statistic::Mean => {
            let mean = stats::mean(&sorted)?;
            let squares: f64 = sorted.iter().map(|value| (value - mean).powi(2)).sum();
            (mean > 0.0).then(|| (squares / (count - 1.0) / count).sqrt() / mean)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(requests: usize) -> ScenarioRun {
        // A ramp: the same quantiles whatever the number of requests.
        let ttft: Vec<String> = (0..requests)
            .map(|index| format!("{}", 1.0 + number(index as u64) / number(requests as u64)))
            .collect();
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{{"samples":{{"ttft":[{}]}}}}]}}]}}"#,
            ttft.join(",")
        );
        let run = crate::record::parse("a.json", json.as_bytes()).unwrap();
        run.scenarios[0].clone()
    }

    #[test]
    fn four_times_the_requests_halve_it() {
        let noise = |id: &str, requests| {
            request_noise(Metric::parse(id).unwrap(), &[Some(&scenario(requests))]).unwrap()
        };
        for id in ["ttft.p50", "ttft.p95", "ttft.mean"] {
            let ratio = noise(id, 100) / noise(id, 400);
            assert!((ratio - 2.0).abs() < 0.1, "{id}: {ratio}");
        }
    }

    #[test]
    fn without_samples_nothing_is_said() {
        let few = scenario(5);
        assert_eq!(
            request_noise(Metric::parse("ttft.p95").unwrap(), &[Some(&few), None]),
            None
        );
        assert_eq!(
            request_noise(Metric::parse("throughput").unwrap(), &[Some(&few)]),
            None
        );
    }
}
