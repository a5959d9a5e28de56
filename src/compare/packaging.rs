//! Whether TPOT and ITL of two runs are comparable: they depend on the tokens per chunk and on the version of their definition.

use super::missing::Missing;
use crate::metric::{Latency, Metric};
use crate::record::ScenarioRun;
use crate::stats;

/// Tokens per chunk may differ by this share: a server that is slightly late merges a few outputs.
const ROOM: f64 = 0.10;

/// Why the values of two sides are not comparable; `None` where they are, or where it is unknown.
pub(crate) fn unlike(
    metric: Metric,
    baseline: &ScenarioRun,
    candidate: &ScenarioRun,
) -> Option<Missing> {
    let latency = match metric.statistic()?.0 {
        latency @ (Latency::Tpot | Latency::Itl) => latency,
        Latency::Ttft | Latency::E2e => return None,
    };
    let sides = [baseline, candidate];
    let [accepted, new] = sides.map(tokens_per_chunk);
    let [accepted_version, new_version] = sides.map(|side| version(side, latency));
    if accepted_version != new_version {
        let older = if accepted_version < new_version {
            accepted
        } else {
            new
        };
        // With one token in each chunk all definitions give the same value.
        if older.is_none_or(|tokens| tokens > 1.0 + ROOM) {
            return Some(Missing::Because(format!(
                "the baseline uses definition {accepted_version} of this metric and the candidate definition {new_version}; accept a new baseline (`perfgate baseline update`)"
            )));
        }
    }
    if latency == Latency::Tpot && sides.into_iter().all(has_token_counts) {
        return None;
    }
    let [accepted, new] = tokens_per_chunk_that_differ(baseline, candidate)?;
    Some(Missing::Because(format!(
        "chunks carry {accepted:.1} tokens in the baseline and {new:.1} in the candidate, so the times between chunks are not comparable; a server that is short of CPU puts more tokens into a chunk: measure again with less other load on the CPU, or for TPOT let vLLM report the tokens of each chunk on both sides (`extra_body: {{stream_options: {{continuous_usage_stats: true}}}}`)"
    )))
}

/// Mean tokens per chunk of both sides, where they differ.
pub(super) fn tokens_per_chunk_that_differ(
    baseline: &ScenarioRun,
    candidate: &ScenarioRun,
) -> Option<[f64; 2]> {
    let (accepted, new) = (tokens_per_chunk(baseline)?, tokens_per_chunk(candidate)?);
    ((accepted - new).abs() > ROOM * accepted.max(new)).then_some([accepted, new])
}

fn tokens_per_chunk(scenario: &ScenarioRun) -> Option<f64> {
    let known = scenario
        .counting()
        .filter_map(|repeat| repeat.packaging.tokens_per_chunk);
    stats::mean(&known.collect::<Vec<f64>>())
}

fn has_token_counts(scenario: &ScenarioRun) -> bool {
    scenario.counting().all(|repeat| repeat.packaging.is_told)
}

/// The oldest version among the repeats that count.
fn version(scenario: &ScenarioRun, latency: Latency) -> u32 {
    let versions = scenario
        .counting()
        .map(|repeat| repeat.packaging.version(latency));
    versions.min().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 answers of 16 tokens in `chunks` chunks; `first`: tokens of the first chunk.
    fn run(definitions: &str, chunks: u32, first: &str) -> crate::record::Run {
        let column = |value: &str| vec![value; 20].join(",");
        let columns = if chunks > 0 {
            format!(
                r#","chunks":[{}],"first_chunk_tokens":[{}]"#,
                column(&chunks.to_string()),
                column(first)
            )
        } else {
            String::new()
        };
        let json = format!(
            r#"{{"schema":"perfgate.result/1",{definitions}"scenarios":[{{"name":"c","repeats":[{{"samples":{{"ttft":[{}],
                "e2e":[{}],"output_tokens":[{}]{columns}}}}}]}}]}}"#,
            column("0.1"),
            column("0.3"),
            column("16")
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn reason(id: &str, baseline: &crate::record::Run, candidate: &crate::record::Run) -> String {
        let metric = Metric::parse(id).unwrap();
        let found = unlike(metric, &baseline.scenarios[0], &candidate.scenarios[0]);
        found.map(|missing| missing.to_string()).unwrap_or_default()
    }

    const NEW: &str = r#""definitions":{"tpot":2,"itl":2},"#;

    #[test]
    fn tpot_with_other_tokens_per_chunk_is_compared_only_where_the_first_chunk_has_a_count() {
        let (eight, one) = (run(NEW, 2, "8"), run(NEW, 16, "1"));
        assert_eq!(reason("tpot.p95", &eight, &one), "");
        insta::assert_snapshot!(reason("itl.p95", &eight, &one), @"chunks carry 8.0 tokens in the baseline and 1.0 in the candidate, so the times between chunks are not comparable; a server that is short of CPU puts more tokens into a chunk: measure again with less other load on the CPU, or for TPOT let vLLM report the tokens of each chunk on both sides (`extra_body: {stream_options: {continuous_usage_stats: true}}`)");
        let unknown = run(NEW, 2, "null");
        assert!(reason("tpot.p95", &unknown, &one).contains("8.0 tokens in the baseline"));
        assert!(reason("tpot.p95", &one, &unknown).contains("1.0 tokens in the baseline"));
        assert_eq!(reason("tpot.p95", &unknown, &unknown), "");
        assert_eq!(reason("ttft.p95", &unknown, &one), "");
    }

    #[test]
    fn a_run_with_some_answers_in_one_chunk_is_not_compared_with_one_that_streamed() {
        let streamed = run(NEW, 16, "1");
        let part = |in_one_piece: usize| {
            let column = |buffered: &str, streamed: &str| {
                let all = (0..20).map(|i| if i < in_one_piece { buffered } else { streamed });
                all.collect::<Vec<&str>>().join(",")
            };
            let json = format!(
                r#"{{"schema":"perfgate.result/1",{NEW}"scenarios":[{{"name":"c","repeats":[{{"samples":{{"ttft":[{}],
                    "tpot":[{}],"e2e":[{}],"output_tokens":[{}],"chunks":[{}],"first_chunk_tokens":[{}]}}}}]}}]}}"#,
                column("0.3", "0.1"),
                column("null", "0.0133333333"),
                column("0.3", "0.3"),
                column("16", "16"),
                column("1", "16"),
                column("null", "1")
            );
            crate::record::parse("a.json", json.as_bytes()).unwrap()
        };
        assert!(reason("tpot.p95", &streamed, &part(10)).contains("1.9 in the candidate"));
        assert!(reason("tpot.p50", &part(10), &streamed).contains("1.9 tokens in the baseline"));
        assert_eq!(reason("tpot.p95", &part(10), &part(10)), "");
        assert_eq!(reason("tpot.p95", &streamed, &part(1)), "");
        assert_eq!(reason("ttft.p95", &streamed, &part(10)), "");
    }

    #[test]
    fn unlike_definitions_are_not_compared_unless_each_chunk_carried_one_token() {
        let (older, newer) = (run("", 0, ""), run(NEW, 16, "1"));
        insta::assert_snapshot!(reason("tpot.p95", &older, &newer), @"the baseline uses definition 1 of this metric and the candidate definition 2; accept a new baseline (`perfgate baseline update`)");
        assert_eq!(reason("tpot.p95", &older, &older), "");
        assert_eq!(reason("e2e.p95", &older, &newer), "");
        let mut counted = older.clone();
        counted.scenarios[0].repeats[0].packaging.tokens_per_chunk = Some(1.01);
        assert_eq!(reason("tpot.p95", &counted, &newer), "");
    }
}
