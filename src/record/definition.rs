//! Versions of the metric definitions, and whether two versions give the same value for a repeat.

use std::collections::BTreeMap;

use super::format::{Repeat, RequestCounts};
use super::latencies::MAX_PACKED;
use crate::metric::{Latency, Metric, Statistic};
use crate::stats::number;

/// Largest relative difference between `metrics` and the values from the columns.
const AGREEMENT: f64 = 1e-3;

/// Share of failed requests among those beyond a percentile up to which they move it by less than its noise.
const FAILED_OF_TAIL: f64 = 0.1;

pub(super) fn agree(given: f64, derived: f64) -> bool {
    (given - derived).abs() <= AGREEMENT * given.abs().max(derived.abs())
}

/// The version of a metric's definition in a file.
pub(super) fn version(metric: Metric, definitions: &BTreeMap<String, u32>) -> u32 {
    let family = metric.id().split('.').next().unwrap_or_default();
    definitions.get(family).copied().unwrap_or(1)
}

/// Percentiles of `metrics` that exclude failed requests, with the reason why they are unusable without samples.
/// Definition 1 excludes failed requests, which gives the same value if almost none failed.
pub(super) fn among_failed(
    metrics: &BTreeMap<Metric, f64>,
    requests: Option<RequestCounts>,
    definitions: &BTreeMap<String, u32>,
) -> Vec<(Metric, String)> {
    let Some(requests) = requests else {
        return Vec::new();
    };
    let (failed, all) = (requests.unsuccessful(), requests.all());
    let share = number(failed) / number(all.max(1));
    let reason = |metric: &Metric| {
        let Some((_, Statistic::Quantile(quantile))) = metric.statistic() else {
            return None;
        };
        let tail = 1.0 - quantile;
        let counted = format!("{failed} of {all} requests failed or were cut short");
        if share > tail {
            Some(format!("{counted}; the percentile falls among them"))
        } else if share > FAILED_OF_TAIL * tail && version(*metric, definitions) < 2 {
            Some(format!(
                "{counted}; the percentile excludes them (definition 1), and the file has no samples to include them"
            ))
        } else {
            None
        }
    };
    metrics
        .keys()
        .filter_map(|metric| Some((*metric, reason(metric)?)))
        .collect()
}

/// What the chunks of an answer show about the times of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Gaps between tokens.
    Gaps,
    /// Several tokens at once.
    OnePiece,
    /// One token, or unknown.
    Nothing,
}

/// Tokens and chunks of the successful requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packed {
    pub(super) has_columns: bool,
    tokens: u64,
    chunks: u64,
    /// Requests with a TPOT whose first chunk has an unknown number of tokens.
    unknown_first: u64,
    answers: u64,
    /// Requests with several tokens in one piece.
    in_one_piece: u64,
}

impl Packed {
    pub(super) fn add(
        &mut self,
        output: Option<u64>,
        chunks: Option<u64>,
        first: Option<u64>,
        seen: Seen,
    ) {
        if let (Some(output), Some(chunks)) = (output, chunks) {
            self.tokens = self.tokens.saturating_add(output);
            self.chunks = self.chunks.saturating_add(chunks);
        }
        self.unknown_first += u64::from(seen == Seen::Gaps && first.is_none());
        self.answers += 1;
        self.in_one_piece += u64::from(seen == Seen::OnePiece);
    }

    /// Whether TPOT covers nearly all answers, and the tokens of each first chunk are known.
    fn is_told(&self) -> bool {
        self.unknown_first == 0 && number(self.in_one_piece) <= MAX_PACKED * number(self.answers)
    }
}

/// How tokens were grouped into chunks in a repeat; TPOT and ITL depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Packaging {
    /// Output tokens per chunk of text; `None` if the file does not contain them.
    pub tokens_per_chunk: Option<f64>,
    /// Whether each TPOT divides by the tokens after the first chunk and almost every answer has one, so that TPOT does not
    /// depend on the grouping.
    pub is_told: bool,
    /// Version of the definition of TPOT.
    pub tpot: u32,
    /// Version of the definition of ITL.
    pub itl: u32,
}

impl Packaging {
    pub(super) fn of(
        repeat: &Repeat,
        packed: Option<Packed>,
        definitions: &BTreeMap<String, u32>,
    ) -> Self {
        let of_columns = packed.filter(|packed| packed.has_columns);
        let from_columns =
            of_columns.and_then(|packed| per_chunk(number(packed.tokens), number(packed.chunks)));
        Self {
            tokens_per_chunk: from_columns.or_else(|| of_telemetry(repeat)),
            is_told: of_columns.is_some_and(|packed| packed.is_told()),
            tpot: version(Metric::TPOT_MEAN, definitions).max(if of_columns.is_some() {
                2
            } else {
                1
            }),
            itl: version(Metric::ITL_MEAN, definitions),
        }
    }

    /// The version of the definition of TPOT or ITL.
    pub fn version(self, latency: Latency) -> u32 {
        match latency {
            Latency::Itl => self.itl,
            Latency::Ttft | Latency::Tpot | Latency::E2e => self.tpot,
        }
    }
}

fn per_chunk(tokens: f64, chunks: f64) -> Option<f64> {
    (chunks > 0.0).then(|| tokens / chunks)
}

/// From the load generator's counts over all requests, if none failed.
fn of_telemetry(repeat: &Repeat) -> Option<f64> {
    let requests = repeat.requests?;
    if requests.unsuccessful() > 0 {
        return None;
    }
    let client = repeat.telemetry.client.as_ref()?;
    let merged = number(client.merged_late?) + number(client.merged_by_server?);
    let outputs = repeat.samples.as_ref()?.output_tokens.as_ref()?;
    let tokens = outputs
        .iter()
        .flatten()
        .fold(0_u64, |sum, tokens| sum.saturating_add(*tokens));
    per_chunk(number(tokens), number(client.token_chunks?) - merged)
}

#[cfg(test)]
mod tests {
    use super::super::{RepeatRun, parse};
    use super::*;

    fn read(top: &str, repeat: &str) -> Result<RepeatRun, String> {
        let json = format!(
            r#"{{"schema":"perfgate.result/1",{top}"scenarios":[{{"name":"c","repeats":[{repeat}]}}]}}"#
        );
        let run = parse("a.json", json.as_bytes()).map_err(|error| error.to_string())?;
        Ok(run.scenarios[0].repeats[0].clone())
    }

    fn metric(id: &str) -> Metric {
        Metric::parse(id).unwrap()
    }

    const NEW: &str = r#""definitions":{"ttft":2,"tpot":2,"itl":2,"e2e":2},"#;

    /// 99 requests of 0.1 s to 0.298 s, and one that failed.
    fn with_a_failure(metrics: &str) -> String {
        let times: Vec<String> = (0..99_u32)
            .map(|place| (0.1 + f64::from(place) * 0.002).to_string())
            .collect();
        let status = vec![r#""ok""#; 99].join(",");
        format!(
            r#"{{"metrics":{{{metrics}}},"samples":{{"status":[{status},"timed out"],"ttft":[{},null]}}}}"#,
            times.join(",")
        )
    }

    #[test]
    fn an_older_file_is_recomputed_and_a_newer_one_must_agree() {
        // numpy.percentile of the 99 alone gives 0.2862; with the failed one as infinite it is 0.2881.
        let older = read("", &with_a_failure(r#""ttft.p95": 0.2862"#)).unwrap();
        assert!((older.metrics[&metric("ttft.p95")] - 0.2881).abs() < 1e-9);
        assert!(!older.metrics.contains_key(&metric("ttft.p99")));
        assert!(older.not_measured[&metric("ttft.p99")].contains("falls among them"));
        let error = read(NEW, &with_a_failure(r#""ttft.p95": 0.2862"#)).unwrap_err();
        assert!(
            error.contains("`ttft.p95` is 0.2862 in `metrics`"),
            "{error}"
        );
        assert!(read(NEW, &with_a_failure(r#""ttft.p95": 0.2881"#)).is_ok());
        // By definition 2 this P99 is unknown.
        let error = read(NEW, &with_a_failure(r#""ttft.p99": 0.29404"#)).unwrap_err();
        assert!(error.contains("the samples have no value"), "{error}");
        assert!(read("", &with_a_failure(r#""ttft.p99": 0.29404"#)).is_ok());
    }

    #[test]
    fn without_samples_a_percentile_counts_if_almost_none_failed() {
        let counted = |top: &str, id: &str, failed: u32| {
            let completed = 1000 - failed;
            let repeat = format!(
                r#"{{"metrics":{{"{id}":0.1}},"requests":{{"completed":{completed},"failed":{failed}}}}}"#
            );
            read(top, &repeat)
                .unwrap()
                .metrics
                .contains_key(&metric(id))
        };
        assert!(counted("", "ttft.p99", 0));
        assert!(counted("", "ttft.p99", 1));
        assert!(!counted("", "ttft.p99", 9));
        assert!(counted("", "ttft.p50", 9));
        assert!(counted(NEW, "ttft.p99", 9));
        assert!(!counted(NEW, "ttft.p99", 11));
        assert!(counted("", "ttft.mean", 400));
    }

    #[test]
    fn a_tpot_of_zero_is_unknown() {
        let in_one_piece = r#"{"metrics":{"tpot.p50":0},"samples":{"ttft":[0.1,0.1],"tpot":[0,0],"e2e":[0.1,0.1],"output_tokens":[16,16]}}"#;
        let repeat = read("", in_one_piece).unwrap();
        assert!(!repeat.metrics.contains_key(&metric("tpot.p50")));
        assert!(repeat.not_measured[&metric("tpot.p50")].contains("in one piece"));
        // One of three: the others have a TPOT.
        let mixed = r#"{"samples":{"ttft":[0.1,0.1,0.1],"tpot":[0.01,0,0.01],"e2e":[0.2,0.1,0.2],"output_tokens":[11,11,11]}}"#;
        let repeat = read("", mixed).unwrap();
        assert!((repeat.metrics[&metric("tpot.p50")] - 0.01).abs() < 1e-12);
        assert_eq!(repeat.latencies.in_one_piece, 1);
    }

    #[test]
    fn packaging_is_read_from_the_columns_or_from_the_clients_counts() {
        let columns = r#"{"samples":{"ttft":[0.1],"e2e":[0.3],"output_tokens":[17],"chunks":[4],"first_chunk_tokens":[9]}}"#;
        let repeat = read("", columns).unwrap();
        assert!((repeat.metrics[&metric("tpot.p50")] - 0.2 / 8.0).abs() < 1e-12);
        assert_eq!(repeat.packaging.tokens_per_chunk, Some(4.25));
        assert!(repeat.packaging.is_told);
        assert_eq!((repeat.packaging.tpot, repeat.packaging.itl), (2, 1));
        let counted = r#"{"requests":{"completed":1},"samples":{"ttft":[0.1],"e2e":[0.3],"output_tokens":[16]},
            "telemetry":{"client":{"token_chunks":16,"merged_late":0,"merged_by_server":8}}}"#;
        let repeat = read("", counted).unwrap();
        assert_eq!(repeat.packaging.tokens_per_chunk, Some(2.0));
        assert!(!repeat.packaging.is_told);
        assert_eq!(repeat.packaging.tpot, 1);
    }
}
