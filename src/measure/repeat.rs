//! One repeat: counts, metrics, samples.

use std::collections::BTreeMap;

use super::steady::steady_throughput;
use super::trace::{RequestOutcome, RequestTrace};
use crate::metric::Metric;
use crate::record::format::{Repeat, RequestCounts, Samples};
use crate::record::{Latencies, Totals};
use crate::stats::number;

/// Facts about a repeat beside its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Measured wall time in seconds.
    pub duration: f64,
    /// Limits in seconds for goodput: TTFT, TPOT, E2E. `None`: goodput is not computed.
    pub slo: Option<[Option<f64>; 3]>,
    /// Metrics measured elsewhere: GPU, server, start-up.
    pub metrics: BTreeMap<Metric, f64>,
    /// Metrics that could not be measured, and why.
    pub not_measured: BTreeMap<Metric, String>,
}

/// The record of one repeat. `traces` are in workload order.
pub fn repeat(traces: &[RequestTrace], observed: Observed) -> Repeat {
    let Observed {
        duration,
        slo,
        metrics: outside,
        mut not_measured,
    } = observed;
    let counts = counts(traces);
    let ok = || traces.iter().filter(|trace| trace.outcome.is_ok());
    let latencies = Latencies {
        ttft: ok().filter_map(RequestTrace::ttft).collect(),
        tpot: ok().filter_map(RequestTrace::tpot).collect(),
        // In an answer that arrived whole, the gaps between packets are not times of tokens.
        itl: ok()
            .filter(|trace| !trace.is_in_one_piece())
            .flat_map(RequestTrace::itl)
            .collect(),
        e2e: ok().map(RequestTrace::e2e).collect(),
        completed: counts.completed,
        failed: counts.failed + counts.truncated,
        in_one_piece: ok().filter(|trace| trace.is_in_one_piece()).count() as u64,
    };

    let mut metrics: BTreeMap<Metric, f64> = outside;
    metrics.extend(latencies.metrics());
    let totals = Totals {
        counts,
        output_tokens: Some(ok().filter_map(|trace| trace.output_tokens).sum()),
        // If one count is missing, the sum is unknown: that of the others would be too small.
        prompt_tokens: ok().map(|trace| trace.prompt_tokens).sum(),
    };
    metrics.extend(totals.metrics(Some(duration)));
    if counts.completed > 0 && duration > 0.0 {
        let steady = steady_throughput(traces, duration);
        metrics.extend(steady.map(|rate| (Metric::THROUGHPUT_STEADY, rate)));
        let goodput = slo.map(|limits| number(within(ok(), limits)) / duration);
        metrics.extend(goodput.map(|rate| (Metric::GOODPUT, rate)));
    }

    not_measured.extend(latencies.not_measured());
    not_measured.retain(|metric, _| !metrics.contains_key(metric));
    Repeat {
        duration: Some(duration),
        requests: Some(counts),
        metrics: metrics
            .into_iter()
            .map(|(metric, value)| (metric.id().to_owned(), Some(value)))
            .collect(),
        not_measured: not_measured
            .into_iter()
            .map(|(metric, why)| (metric.id().to_owned(), why))
            .collect(),
        samples: Some(samples(traces)),
        ..Repeat::default()
    }
}

fn counts(traces: &[RequestTrace]) -> RequestCounts {
    let mut counts = RequestCounts::default();
    for trace in traces {
        match trace.outcome {
            RequestOutcome::Ok => counts.completed += 1,
            RequestOutcome::Failed(_) | RequestOutcome::TimedOut => counts.failed += 1,
            RequestOutcome::Truncated(_) => counts.truncated += 1,
        }
    }
    counts
}

/// Number of requests that met every limit. A single token has no TPOT and meets any limit on it; several tokens in one
/// piece have no TPOT either, but do not meet a limit on it.
fn within<'a>(traces: impl Iterator<Item = &'a RequestTrace>, limits: [Option<f64>; 3]) -> u64 {
    let met = |value: Option<f64>, limit: Option<f64>| {
        limit.is_none_or(|limit| value.is_some_and(|value| value <= limit))
    };
    let good = traces.filter(|trace| {
        let [ttft, tpot, e2e] = limits;
        let tpot = tpot.filter(|_| trace.output_tokens != Some(1));
        met(trace.ttft(), ttft) && met(trace.tpot(), tpot) && met(Some(trace.e2e()), e2e)
    });
    good.count() as u64
}

fn samples(traces: &[RequestTrace]) -> Samples {
    let time = |value: fn(&RequestTrace) -> Option<f64>| {
        column(traces, |trace| {
            let value = value(trace).filter(|_| trace.outcome.is_ok());
            value.map(microseconds)
        })
    };
    Samples {
        status: Some(column(traces, |trace| Some(trace.outcome.to_string()))),
        start: Some(column(traces, |trace| Some(microseconds(trace.due)))),
        ttft: Some(time(RequestTrace::ttft)),
        tpot: Some(time(RequestTrace::tpot)),
        e2e: Some(time(|trace| Some(trace.e2e()))),
        prompt_tokens: Some(column(traces, |trace| trace.prompt_tokens)),
        output_tokens: Some(column(traces, |trace| trace.output_tokens)),
        first_chunk_tokens: Some(column(traces, |trace| trace.first_chunk_tokens)),
        chunks: Some(column(traces, |trace| Some(trace.pieces()))),
        itl: None,
    }
}

fn column<T>(
    traces: &[RequestTrace],
    value: impl Fn(&RequestTrace) -> Option<T>,
) -> Vec<Option<T>> {
    traces.iter().map(value).collect()
}

/// A tenth of a microsecond is below the client's precision, and halves the size of the file.
fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e7).round() / 1e7
}

#[cfg(test)]
mod tests {
    use super::super::trace::ok_trace;
    use super::*;

    fn value(repeat: &Repeat, id: &str) -> Option<f64> {
        repeat.metrics.get(id).copied().flatten()
    }

    #[test]
    fn failed_and_truncated_requests_are_counted_and_left_out_of_latencies() {
        let failed = RequestTrace {
            outcome: RequestOutcome::Failed("HTTP 500".to_owned()),
            ..ok_trace(1, 0.0, 9.0, 9.0, 3)
        };
        let short = RequestTrace {
            outcome: RequestOutcome::Truncated("no [DONE]".to_owned()),
            ..ok_trace(2, 0.0, 9.0, 9.0, 3)
        };
        let traces = [ok_trace(0, 0.0, 0.1, 0.01, 11), failed, short];
        let repeat = repeat(
            &traces,
            Observed {
                duration: 2.0,
                ..Observed::default()
            },
        );
        assert_eq!(
            repeat.requests,
            Some(RequestCounts {
                completed: 1,
                failed: 1,
                truncated: 1
            })
        );
        assert_eq!(value(&repeat, "qps"), Some(0.5));
        assert_eq!(value(&repeat, "throughput"), Some(5.5));
        assert_eq!(value(&repeat, "ttft.mean"), Some(0.1));
        assert_eq!(value(&repeat, "ttft.p99"), None);
        insta::assert_snapshot!(repeat.not_measured["ttft.p99"], @"2 of 3 requests failed or were cut short; the percentile falls among them");
        assert!((value(&repeat, "error_rate").unwrap() - 2.0 / 3.0).abs() < 1e-12);
        let samples = repeat.samples.unwrap();
        assert_eq!(samples.ttft.unwrap(), [Some(0.1), None, None]);
        assert_eq!(
            samples.status.unwrap()[1].as_deref(),
            Some("failed: HTTP 500")
        );
    }

    #[test]
    fn a_repeat_without_an_answer_has_only_an_error_rate() {
        let dead = RequestTrace {
            outcome: RequestOutcome::TimedOut,
            ..ok_trace(0, 0.0, 0.1, 0.1, 2)
        };
        let repeat = repeat(
            &[dead],
            Observed {
                duration: 2.0,
                ..Observed::default()
            },
        );
        let ids: Vec<&String> = repeat.metrics.keys().collect();
        assert_eq!(ids, ["error_rate"]);
    }

    #[test]
    fn goodput_counts_the_requests_that_met_every_limit() {
        let traces = [
            ok_trace(0, 0.0, 0.1, 0.01, 11),
            ok_trace(1, 0.0, 0.3, 0.01, 11),
            ok_trace(2, 0.0, 0.1, 0.09, 11),
        ];
        let observed = Observed {
            duration: 1.0,
            slo: Some([Some(0.2), Some(0.05), None]),
            ..Observed::default()
        };
        assert_eq!(value(&repeat(&traces, observed), "goodput"), Some(1.0));
    }

    #[test]
    fn answers_in_one_piece_meet_no_limit_of_tpot_and_single_tokens_meet_any() {
        let traces = [
            ok_trace(0, 0.0, 0.1, 0.0, 11),
            ok_trace(1, 0.0, 0.1, 0.0, 1),
        ];
        let observed = Observed {
            duration: 1.0,
            slo: Some([None, Some(0.05), None]),
            ..Observed::default()
        };
        let repeat = repeat(&traces, observed);
        assert_eq!(value(&repeat, "goodput"), Some(1.0));
        assert_eq!(value(&repeat, "tpot.p50"), None);
        assert!(repeat.not_measured["tpot.p50"].contains("in one piece"));
        assert_eq!(repeat.samples.unwrap().tpot.unwrap(), [None, None]);
    }
}
