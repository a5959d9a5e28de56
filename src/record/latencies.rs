//! Columns of latencies and their statistics.

use crate::metric::{LATENCIES, Latency, Metric, STATISTICS, Statistic};
use crate::stats::{self, number};

/// A time per token below this, in seconds, is the transfer time of buffered tokens: at 1 Gbit/s a packet of several
/// tokens takes 12 µs, and models generate fewer than 50,000 tokens/s per request.
pub const FASTEST_TOKEN: f64 = 20e-6;

/// Largest share, without a warning, of token chunks that arrive together with another and of answers in one piece. TPOT
/// excludes the latter, so above this share it excludes too many answers for a comparison.
pub const MAX_PACKED: f64 = 0.10;

/// The latencies of the successful requests, in seconds, and the number of other requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latencies {
    /// Time to first token, one per request.
    pub ttft: Vec<f64>,
    /// Time per output token, one per request with a visible gap between tokens.
    pub tpot: Vec<f64>,
    /// All gaps of all requests.
    pub itl: Vec<f64>,
    /// Whole request, one per request.
    pub e2e: Vec<f64>,
    /// Requests with a complete answer.
    pub completed: u64,
    /// Requests that failed, timed out or were cut short: each counts as slower than all others.
    pub failed: u64,
    /// Answers of several tokens without a visible gap.
    pub in_one_piece: u64,
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

    /// Every latency metric of the columns: means of the successful requests, and quantiles in which each failed request
    /// counts as the slowest.
    pub fn metrics(&self) -> Vec<(Metric, f64)> {
        self.statistics(|latency| self.beyond(latency))
    }

    /// The metrics with quantiles of only the successful requests: definition 1 of the latency metrics.
    pub fn metrics_of_successes(&self) -> Vec<(Metric, f64)> {
        self.statistics(|_| 0)
    }

    /// Quantiles at `shares`, failed requests included; `None` if one falls among them or there is no value.
    pub fn quantiles<'a>(
        &self,
        latency: Latency,
        shares: &'a [f64],
    ) -> impl Iterator<Item = Option<f64>> + use<'a> {
        let sorted = self.sorted(latency);
        let beyond = self.beyond(latency);
        let at = move |share: &f64| stats::quantile_among(&sorted, beyond, *share);
        shares.iter().map(at)
    }

    /// Reasons for missing latency metrics.
    pub fn not_measured(&self) -> Vec<(Metric, String)> {
        let known = self.metrics();
        // A file may have TPOT without a column of gaps.
        let nothing_seen = self.in_one_piece > 0 && self.tpot.is_empty() && self.itl.is_empty();
        let reason = |metric: &Metric| {
            let (latency, _) = metric.statistic()?;
            let is_known = known.iter().any(|(known, _)| known == metric);
            if is_known {
                None
            } else if !self.column(latency).is_empty() {
                Some(format!(
                    "{} of {} requests failed or were cut short; the percentile falls among them",
                    self.failed,
                    self.failed + self.completed
                ))
            } else if nothing_seen && matches!(latency, Latency::Tpot | Latency::Itl) {
                Some(ONE_PIECE.to_owned())
            } else {
                None
            }
        };
        Metric::all()
            .filter_map(|metric| Some((metric, reason(&metric)?)))
            .collect()
    }

    fn statistics(&self, beyond: impl Fn(Latency) -> u64) -> Vec<(Metric, f64)> {
        let mut found = Vec::new();
        for (_, latency) in LATENCIES {
            let sorted = self.sorted(latency);
            let beyond = beyond(latency);
            found.extend(STATISTICS.iter().filter_map(|(_, statistic)| {
                let value = match statistic {
                    Statistic::Mean => stats::mean(&sorted),
                    Statistic::Quantile(share) => stats::quantile_among(&sorted, beyond, *share),
                };
                Metric::of(latency, *statistic).zip(value)
            }));
        }
        found
    }

    fn sorted(&self, latency: Latency) -> Vec<f64> {
        let mut sorted = self.column(latency).to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    /// The number of values that the failed requests count for. A request has many gaps, so a failed request counts for the
    /// mean number of gaps.
    fn beyond(&self, latency: Latency) -> u64 {
        match latency {
            Latency::Ttft | Latency::Tpot | Latency::E2e => self.failed,
            Latency::Itl if self.completed == 0 => self.failed,
            Latency::Itl => {
                let per_request = number(self.itl.len() as u64) / number(self.completed);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number of gaps"
                )]
                let gaps = (number(self.failed) * per_request).ceil() as u64;
                gaps
            }
        }
    }
}

/// Why there is neither TPOT nor ITL.
const ONE_PIECE: &str = "every answer came in one piece, without measurable gaps between tokens; check whether a proxy buffers the stream";

#[cfg(test)]
mod tests {
    use super::*;

    fn value(latencies: &Latencies, id: &str) -> Option<f64> {
        let mut metrics = latencies.metrics().into_iter();
        metrics
            .find(|(metric, _)| metric.id() == id)
            .map(|(_, value)| value)
    }

    #[test]
    fn an_empty_column_gives_no_metric_instead_of_zero() {
        let latencies = Latencies {
            ttft: vec![0.1, 0.3],
            ..Latencies::default()
        };
        let ids: Vec<&str> = latencies
            .metrics()
            .iter()
            .map(|(metric, _)| metric.id())
            .collect();
        assert_eq!(
            ids,
            ["ttft.mean", "ttft.p50", "ttft.p90", "ttft.p95", "ttft.p99"]
        );
    }

    #[test]
    fn failed_requests_are_the_slowest_in_percentiles_and_excluded_from_means() {
        let latencies = Latencies {
            ttft: vec![0.1; 95],
            completed: 95,
            failed: 5,
            ..Latencies::default()
        };
        assert_eq!(value(&latencies, "ttft.p90"), Some(0.1));
        assert_eq!(value(&latencies, "ttft.p95"), None);
        assert!((value(&latencies, "ttft.mean").unwrap() - 0.1).abs() < 1e-12);
        let reasons: Vec<String> = latencies
            .not_measured()
            .into_iter()
            .map(|(metric, why)| format!("{metric}: {why}"))
            .collect();
        insta::assert_snapshot!(reasons.join("\n"), @r"
        ttft.p95: 5 of 100 requests failed or were cut short; the percentile falls among them
        ttft.p99: 5 of 100 requests failed or were cut short; the percentile falls among them
        ");
    }

    #[test]
    fn a_failed_request_counts_for_the_mean_number_of_gaps() {
        let latencies = |failed| Latencies {
            itl: vec![0.01; 980],
            completed: 98,
            failed,
            ..Latencies::default()
        };
        assert_eq!(value(&latencies(2), "itl.p95"), Some(0.01));
        assert_eq!(value(&latencies(2), "itl.p99"), None);
        assert_eq!(value(&latencies(0), "itl.p99"), Some(0.01));
    }

    #[test]
    fn answers_in_one_piece_have_no_tpot_and_itl_with_a_reason() {
        let latencies = Latencies {
            ttft: vec![0.1; 3],
            completed: 3,
            in_one_piece: 3,
            ..Latencies::default()
        };
        let missing = latencies.not_measured();
        assert_eq!(missing.len(), 10);
        assert!(missing.iter().all(|(_, why)| why.contains("in one piece")));
    }
}
