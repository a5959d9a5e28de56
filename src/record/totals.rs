//! Sums over the requests of a repeat and their rates, shared by measuring and checking.

use super::format::RequestCounts;
use crate::metric::Metric;
use crate::stats::number;

/// Sums over the requests of a repeat; tokens of the successful ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How the requests ended.
    pub counts: RequestCounts,
    /// Output tokens, if known.
    pub output_tokens: Option<u64>,
    /// Prompt tokens, if known.
    pub prompt_tokens: Option<u64>,
}

impl Totals {
    /// `qps`, `throughput`, `total_throughput` and `error_rate`, as far as known. Without a complete answer the rates are
    /// missing: zero would look like a measurement.
    pub fn metrics(self, duration: Option<f64>) -> impl Iterator<Item = (Metric, f64)> {
        let completed = self.counts.completed;
        let duration = duration.filter(|duration| *duration > 0.0 && completed > 0);
        let rate = |amount: Option<u64>| Some(number(amount?) / duration?);
        let tokens = self.output_tokens.zip(self.prompt_tokens);
        let (bad, all) = (self.counts.unsuccessful(), self.counts.all());
        let found = [
            (Metric::QPS, rate(Some(completed))),
            (Metric::THROUGHPUT, rate(self.output_tokens)),
            (
                Metric::TOTAL_THROUGHPUT,
                rate(tokens.and_then(|(output, prompt)| output.checked_add(prompt))),
            ),
            (
                Metric::ERROR_RATE,
                (all > 0).then(|| number(bad) / number(all)),
            ),
        ];
        found
            .into_iter()
            .filter_map(|(metric, value)| Some((metric, value?)))
    }
}
