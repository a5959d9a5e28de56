//! The columns of a repeat's samples, and the metrics derived from them.

use std::collections::BTreeMap;

use super::definition::{self, Packed, Seen};
use super::format::{Column as _, Ending, Samples};
use super::latencies::{FASTEST_TOKEN, Latencies};
use super::totals::Totals;
use crate::metric::Metric;
use crate::stats::number;

/// The columns of the requests with status `ok`, and the number of other requests.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) latencies: Latencies,
    pub(super) totals: Totals,
    pub(super) packed: Packed,
    /// TPOT by definition 1: 0 for answers in one piece.
    tpot_before: Vec<f64>,
}

impl Columns {
    pub(super) fn of(samples: &Samples) -> Self {
        let lengths = [
            samples.status.length(),
            samples.ttft.length(),
            samples.tpot.length(),
            samples.e2e.length(),
            samples.output_tokens.length(),
        ];
        let mut columns = Self::default();
        for index in 0..lengths.into_iter().flatten().max().unwrap_or(0) {
            columns.request(samples, index);
        }
        let counts = columns.totals.counts;
        columns.latencies.completed = counts.completed;
        columns.latencies.failed = counts.unsuccessful();
        columns.packed.has_columns =
            samples.first_chunk_tokens.is_some() && samples.chunks.is_some();
        columns
    }

    fn request(&mut self, samples: &Samples, index: usize) {
        let totals = &mut self.totals;
        let [ttft, tpot, e2e] =
            [&samples.ttft, &samples.tpot, &samples.e2e].map(|column| column.entry(index));
        let output = samples.output_tokens.entry(index);
        let ending = samples.ending(index);
        totals.counts.add(ending);
        if ending != Ending::Completed {
            return;
        }
        self.latencies.ttft.extend(ttft);
        self.latencies.e2e.extend(e2e);
        let first = samples.first_chunk_tokens.entry(index);
        let later = output.map(|output| output.saturating_sub(first.unwrap_or(1)));
        // A missing column is derived from the others; a null in an existing column is a request without such a value.
        let tpot = if samples.tpot.is_some() {
            tpot
        } else {
            derived_tpot(ttft, e2e, later)
        };
        self.tpot_before.extend(tpot);
        // Tokens that arrived together have an unknown gap, not a gap of zero.
        let seen = tpot.filter(|tpot| *tpot > FASTEST_TOKEN);
        self.latencies.tpot.extend(seen);
        let is_single = output.is_none_or(|output| output < 2);
        let seen = if seen.is_some() {
            Seen::Gaps
        } else if tpot.is_some() || !is_single {
            self.latencies.in_one_piece += 1;
            Seen::OnePiece
        } else {
            Seen::Nothing
        };
        let gaps = samples
            .itl
            .as_ref()
            .and_then(|column| column.get(index)?.as_ref());
        let gaps = gaps.into_iter().flatten().copied();
        self.latencies.itl.extend(gaps.filter(|gap| *gap > 0.0));
        let chunks = samples.chunks.entry(index);
        self.packed.add(output, chunks, first, seen);
        if samples.output_tokens.is_some() {
            totals.output_tokens = Some(totals.output_tokens.unwrap_or(0) + output.unwrap_or(0));
        }
        if let Some(prompt) = samples.prompt_tokens.entry(index) {
            totals.prompt_tokens = Some(totals.prompt_tokens.unwrap_or(0) + prompt);
        }
    }

    pub(super) fn metrics(&self, duration: Option<f64>) -> impl Iterator<Item = (Metric, f64)> {
        let latencies = self.latencies.metrics().into_iter();
        latencies.chain(self.totals.metrics(duration))
    }

    /// Whether the columns have the data that a metric is computed from.
    pub(super) fn give(&self, metric: Metric) -> bool {
        let latency = metric.statistic().map(|(latency, _)| latency);
        latency.is_some_and(|latency| !self.latencies.column(latency).is_empty())
    }

    /// Whether `given` agrees with the columns by definition 1, if the file names no other definition.
    pub(super) fn agreed_before(
        &self,
        metric: Metric,
        given: f64,
        definitions: &BTreeMap<String, u32>,
    ) -> bool {
        if definition::version(metric, definitions) > 1 {
            return false;
        }
        let before = Latencies {
            tpot: self.tpot_before.clone(),
            ..self.latencies.clone()
        };
        let derived = before.metrics_of_successes().into_iter();
        derived
            .filter(|(derived, _)| *derived == metric)
            .any(|(_, derived)| definition::agree(given, derived))
    }

    pub(super) fn mean_output_tokens(&self) -> Option<f64> {
        let completed = self.totals.counts.completed;
        (completed > 0).then_some(number(self.totals.output_tokens?) / number(completed))
    }
}

fn derived_tpot(ttft: Option<f64>, e2e: Option<f64>, later: Option<u64>) -> Option<f64> {
    let later = later.filter(|later| *later > 0)?;
    Some((e2e? - ttft?) / number(later))
}
