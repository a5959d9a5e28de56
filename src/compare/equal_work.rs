//! Whether both sides did the same work: the same number of requests, lengths of prompts and answers, and tokens per chunk.

use super::comparability::Comparability;
use super::packaging::tokens_per_chunk_that_differ;
use super::strata::counting;
use crate::code::Code;
use crate::record::format::{Repeat, RequestCounts, Samples};
use crate::record::{Run, ScenarioRun};
use crate::stats::{self, number};

/// Largest relative difference of the lengths of prompts and answers. Both sides request the same lengths, so the expected
/// difference is zero; the tolerance is for servers that stop at an end-of-text token, and for prompts that begin with another
/// salt.
const LENGTH_ROOM: f64 = 0.02;

/// Tokens by which prompts of any length may differ: the beginning of the text, and the chat template.
const FEW_TOKENS: f64 = 4.0;

/// Largest ratio of the numbers of requests. Percentiles of unequal numbers of requests have unequal precision, and ramp-up and
/// drain take another share of the time; beyond this ratio the work is different.
const REQUEST_COUNT_ROOM: f64 = 0.10;

impl Comparability {
    /// Checks one scenario of both runs.
    pub(super) fn equal_work(&mut self, name: &str, baseline: &Run, candidate: &Run) {
        let (Some(accepted), Some(new)) = (baseline.scenario(name), candidate.scenario(name))
        else {
            return;
        };
        let (before, after) = (counting(baseline, name), counting(candidate, name));
        self.prompt_lengths(name, &before, &after);
        if let [Some(accepted), Some(new)] = [accepted, new].map(mean_output_tokens)
            && (accepted - new).abs() > LENGTH_ROOM * accepted.max(new)
        {
            let what = format!("mean output length in `{name}`");
            self.unequal(&what, accepted, new);
        }
        self.request_counts(accepted, new);
        if let Some([baseline, candidate]) = tokens_per_chunk_that_differ(accepted, new) {
            self.warn(
                Code::UnlikeChunks,
                format!("scenario `{name}`: chunks carry {baseline:.1} tokens in the baseline and {candidate:.1} in the candidate, so ITL is not compared, and TPOT only where both servers report the tokens of the first chunk"),
            );
        }
    }

    fn prompt_lengths(
        &mut self,
        name: &str,
        before: &[(usize, &Repeat)],
        after: &[(usize, &Repeat)],
    ) {
        let is_other = |difference: f64, accepted: f64, new: f64| {
            difference > (LENGTH_ROOM * accepted.max(new)).max(FEW_TOKENS)
        };
        let mean = |side: &[(usize, &Repeat)]| {
            let samples = side
                .iter()
                .filter_map(|(_, repeat)| repeat.samples.as_ref());
            let tokens = samples.flat_map(prompts).map(|(_, tokens)| tokens);
            stats::mean(&tokens.collect::<Vec<f64>>())
        };
        let (Some(accepted), Some(new)) = (mean(before), mean(after)) else {
            return;
        };
        if is_other((accepted - new).abs(), accepted, new) {
            let what = format!("mean prompt length in `{name}`, as the server counts it");
            self.unequal(&what, accepted, new);
            return;
        }
        // Request i of both runs has the same prompt: a server may truncate a few without changing the mean.
        let both = before.iter().zip(after);
        let both = both.filter_map(|((_, before), (_, after))| {
            before.samples.as_ref().zip(after.samples.as_ref())
        });
        let apart: Vec<f64> = both
            .flat_map(|(before, after)| apart(before, after))
            .collect();
        if let Some(apart) = stats::mean(&apart)
            && is_other(apart, accepted, new)
        {
            self.mismatch(
                format!("prompt length of each request in `{name}`, as the server counts it"),
                [
                    Some(format!("{accepted:.1} tokens on average")),
                    Some(format!("{apart:.1} tokens more or less")),
                ],
            );
        }
    }

    fn request_counts(&mut self, baseline: &ScenarioRun, candidate: &ScenarioRun) {
        let [Some(accepted), Some(new)] = [baseline, candidate].map(requests_per_repeat) else {
            return;
        };
        let (fewest, most) = (accepted.0.min(new.0), accepted.1.max(new.1));
        if number(most - fewest) <= REQUEST_COUNT_ROOM * number(most) {
            return;
        }
        // With a fixed duration, or a load that a search chose, the number depends on the server.
        let follows = |side: &ScenarioRun| {
            let duration = side.load.as_ref().and_then(|load| load.duration);
            side.adaptive || duration.is_some()
        };
        let name = &candidate.name;
        let [accepted, new] = [accepted, new].map(range);
        if follows(baseline) || follows(candidate) {
            self.warn(
                Code::UnequalRequestCounts,
                format!("scenario `{name}`: {accepted} requests per repeat in the baseline, {new} in the candidate"),
            );
        } else {
            let what = format!("requests per repeat in `{name}`");
            self.mismatch(what, [Some(accepted), Some(new)]);
        }
    }

    fn unequal(&mut self, what: &str, accepted: f64, new: f64) {
        self.mismatch(
            what,
            [accepted, new].map(|mean| Some(format!("{mean:.1} tokens"))),
        );
    }
}

/// Index and prompt tokens of the successful requests.
fn prompts(samples: &Samples) -> impl Iterator<Item = (usize, f64)> {
    let known = samples.prompt_tokens.iter().flatten().enumerate();
    known.filter_map(|(place, tokens)| {
        let counts = samples.status.is_none() || samples.is_ok(place);
        Some((place, number((*tokens).filter(|_| counts)?)))
    })
}

/// Difference in prompt tokens of each request.
fn apart(before: &Samples, after: &Samples) -> Vec<f64> {
    let mut other = prompts(after).peekable();
    let differences = prompts(before).filter_map(|(place, tokens)| {
        while other.next_if(|(at, _)| *at < place).is_some() {}
        let (_, same) = other.next_if(|(at, _)| *at == place)?;
        Some((tokens - same).abs())
    });
    differences.collect()
}

fn mean_output_tokens(scenario: &ScenarioRun) -> Option<f64> {
    let means: Vec<f64> = scenario
        .counting()
        .filter_map(|repeat| repeat.mean_output_tokens)
        .collect();
    stats::mean(&means)
}

/// The fewest and the most requests per repeat, over the repeats that count.
fn requests_per_repeat(scenario: &ScenarioRun) -> Option<(u64, u64)> {
    let counts = scenario.counting().filter_map(|repeat| repeat.requests);
    let all: Vec<u64> = counts.map(RequestCounts::all).collect();
    Some((*all.iter().min()?, *all.iter().max()?))
}

fn range((fewest, most): (u64, u64)) -> String {
    if fewest == most {
        most.to_string()
    } else {
        format!("{fewest} to {most}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::comparability;
    use super::*;

    /// Prompt and output tokens, and chunks, of each request of one repeat.
    fn run(load: &str, requests: &[(u32, u32, u32)]) -> Run {
        let column = |of: fn(&(u32, u32, u32)) -> u32| {
            let values: Vec<String> = requests
                .iter()
                .map(|request| of(request).to_string())
                .collect();
            values.join(",")
        };
        let times = vec!["0.1"; requests.len()].join(",");
        let ends = vec!["1"; requests.len()].join(",");
        let ones = vec!["1"; requests.len()].join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","load":{load},"repeats":[{{"samples":
                {{"ttft":[{times}],"e2e":[{ends}],"prompt_tokens":[{}],"output_tokens":[{}],
                  "chunks":[{}],"first_chunk_tokens":[{ones}]}}}}]}}]}}"#,
            column(|request| request.0),
            column(|request| request.1),
            column(|request| request.2)
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn unequal(baseline: &Run, candidate: &Run) -> Vec<String> {
        let found = comparability(baseline, candidate).mismatches;
        found
            .into_iter()
            .map(|difference| difference.what)
            .collect()
    }

    const CLOSED: &str = r#"{"concurrency":4}"#;

    #[test]
    fn prompts_of_another_length_do_not_compare_whichever_side_is_shorter() {
        let whole = run(CLOSED, &[(400, 16, 16); 20]);
        let cut = run(CLOSED, &[(100, 16, 16); 20]);
        let found = ["mean prompt length in `c`, as the server counts it"];
        assert_eq!(unequal(&whole, &cut), found);
        assert_eq!(unequal(&cut, &whole), found);
        // Some tokenizers add a token for the beginning of the text.
        assert_eq!(unequal(&whole, &run(CLOSED, &[(401, 16, 16); 20])), [""; 0]);
        assert_eq!(
            unequal(
                &run(CLOSED, &[(12, 16, 16); 20]),
                &run(CLOSED, &[(13, 16, 16); 20])
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_few_prompts_that_are_cut_do_not_hide_behind_the_mean() {
        let [mut one, mut other] = [[(400, 16, 16); 20]; 2];
        for place in 0..4 {
            one[place].0 = 200;
            other[place + 4].0 = 200;
        }
        assert_eq!(
            unequal(&run(CLOSED, &one), &run(CLOSED, &other)),
            ["prompt length of each request in `c`, as the server counts it"]
        );
    }

    #[test]
    fn another_number_of_requests_does_not_compare_unless_the_time_was_given() {
        let many = [(40, 16, 16); 100];
        let found = unequal(&run(CLOSED, &many), &run(CLOSED, &many[..50]));
        assert_eq!(found, ["requests per repeat in `c`"]);
        let timed = r#"{"concurrency":4,"duration":60}"#;
        let found = comparability(&run(timed, &many), &run(timed, &many[..50]));
        assert!(found.mismatches.is_empty());
        let mut warnings = found.warnings.iter();
        assert!(warnings.any(|warning| warning.is(Code::UnequalRequestCounts)));
    }

    #[test]
    fn another_number_of_tokens_per_chunk_is_a_warning() {
        let found = comparability(
            &run(CLOSED, &[(40, 16, 2); 9]),
            &run(CLOSED, &[(40, 16, 16); 9]),
        );
        let mut found = found.warnings.into_iter().map(|found| found.message);
        let line = found.find(|line| line.contains("chunk")).unwrap();
        insta::assert_snapshot!(line, @"scenario `c`: chunks carry 8.0 tokens in the baseline and 1.0 in the candidate, so ITL is not compared, and TPOT only where both servers report the tokens of the first chunk");
    }
}
