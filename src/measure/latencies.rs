//! Columns of latencies and their statistics.

use crate::metric::{Latency, Metric, STATISTICS, Statistic};
use crate::stats;

/// The latencies of the requests that count, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    /// Time to first token, one per request.
    pub ttft: Vec<f64>,
    /// Time per output token, one per request with at least two tokens.
    pub tpot: Vec<f64>,
    /// All gaps of all requests.
    pub itl: Vec<f64>,
    /// Whole request, one per request.
    pub e2e: Vec<f64>,
}

impl Latencies {
    /// One column.
    pub fn column(&self, latency: Latency) -> &[f64] {
        match latency {
            Latency::Ttft => &self.ttft,
            Latency::Tpot => &self.tpot,
            Latency::Itl => &self.itl,
            Latency::E2e => &self.e2e,
        }
    }

    /// Every latency metric that the columns give.
    pub fn metrics(&self) -> impl Iterator<Item = (Metric, f64)> {
        [Latency::Ttft, Latency::Tpot, Latency::Itl, Latency::E2e]
            .into_iter()
            .flat_map(|latency| {
                let mut sorted = self.column(latency).to_vec();
                sorted.sort_by(f64::total_cmp);
                STATISTICS.iter().filter_map(move |(_, statistic)| {
                    let value = match statistic {
                        Statistic::Mean => stats::mean(&sorted),
                        Statistic::Quantile(share) => stats::quantile_of_sorted(&sorted, *share),
                    };
                    Metric::of(latency, *statistic).zip(value)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_column_gives_no_metric_instead_of_zero() {
        let latencies = Latencies {
            ttft: vec![0.1, 0.3],
            ..Latencies::default()
        };
        let ids: Vec<&str> = latencies.metrics().map(|(metric, _)| metric.id()).collect();
        assert_eq!(
            ids,
            ["ttft.mean", "ttft.p50", "ttft.p90", "ttft.p95", "ttft.p99"]
        );
    }
}
