//! Whether a run is valid, with every reason why it is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::early_stopping::{over_latency_allowed, queries_needed};
use super::task::Limits;
use crate::record::format::{Repeat, Samples};
use crate::stats::number;

/// Largest relative difference of the mean output length from the requested one: shorter answers would look faster.
pub const LENGTH_ROOM: f64 = 0.10;

/// A scenario of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Poisson arrivals, limits on both latencies.
    Server,
    /// Like Server, with the limits of interactive use.
    Interactive,
    /// Everything at once, tokens per second.
    Offline,
}

/// The requirements of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requirements {
    /// Limits at the percentile; absent for Offline.
    pub limits: Option<Limits>,
    /// The percentile of the queries, 0.99.
    pub percentile: f64,
    /// Shortest measured time in seconds.
    pub min_duration: f64,
    /// Fewest queries.
    pub min_queries: u64,
    /// Requested mean output tokens.
    pub output_tokens: f64,
}

/// The measured values of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// Measured time in seconds.
    pub duration: f64,
    /// Queries that were sent.
    pub queries: u64,
    /// Queries that failed or were cut short.
    pub failed: u64,
    /// Queries whose first token came after the limit; failed ones are among them.
    pub over_ttft: u64,
    /// Queries whose later tokens took longer than the limit; failed ones are among them.
    pub over_tpot: u64,
    /// Mean output tokens of the answers; absent without one.
    pub output_tokens: Option<f64>,
}

/// Why a run is invalid, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Not every query was answered in full.
    Failed(String),
    /// Too many queries were over a limit to claim the percentile.
    Latency(String),
    /// The run was too short or too small, or its answers had other lengths: the same at every load.
    OfRun(String),
}

impl Reason {
    /// In words.
    pub fn text(&self) -> &str {
        match self {
            Self::Failed(text) | Self::Latency(text) | Self::OfRun(text) => text,
        }
    }

    /// Whether another load could change it: a search continues after such a reason and stops after any other.
    pub fn is_of_load(&self) -> bool {
        match self {
            Self::Failed(_) | Self::Latency(_) => true,
            Self::OfRun(_) => false,
        }
    }
}

impl Seen {
    /// The values of a repeat. A failed or truncated query counts as over both limits, so that failing is never faster. An answer
    /// in one chunk does not reveal its TPOT and counts as over that limit; an answer of a single token has no TPOT and is inside any
    /// limit on it.
    pub fn of(repeat: &Repeat, limits: Option<Limits>) -> Self {
        let Some(samples) = &repeat.samples else {
            return Self::default();
        };
        let all = samples.status.as_ref().map_or(0, Vec::len);
        let is_ok = |index: &usize| samples.is_ok(*index);
        let over = |limit: Option<f64>, meets: fn(&Samples, usize, f64) -> bool| {
            let over = |index: &usize| {
                !is_ok(index) || limit.is_some_and(|limit| !meets(samples, *index, limit))
            };
            (0..all).filter(over).count() as u64
        };
        let lengths: Vec<u64> = (0..all)
            .filter(is_ok)
            .filter_map(|index| {
                samples
                    .output_tokens
                    .as_ref()?
                    .get(index)
                    .copied()
                    .flatten()
            })
            .collect();
        let answers = lengths.len() as u64;
        let tokens: u64 = lengths.iter().sum();
        Self {
            duration: repeat.duration.unwrap_or(0.0),
            queries: all as u64,
            failed: (0..all).filter(|index| !is_ok(index)).count() as u64,
            over_ttft: over(limits.map(|limits| limits.ttft), Samples::meets_ttft),
            over_tpot: over(limits.map(|limits| limits.tpot), Samples::meets_tpot),
            output_tokens: (answers > 0).then(|| number(tokens) / number(answers)),
        }
    }
}

/// Every reason why the run is invalid; none: it is valid.
pub fn reasons(required: &Requirements, seen: &Seen) -> Vec<Reason> {
    let Requirements {
        min_duration,
        min_queries,
        output_tokens: asked,
        ..
    } = *required;
    let Seen {
        duration,
        queries,
        failed,
        ..
    } = *seen;
    let mut reasons = Vec::new();
    // A difference of a millisecond is not a reason.
    if duration < min_duration - 1e-3 {
        reasons.push(Reason::OfRun(format!(
            "measured for {duration:.1} s, at least {min_duration} s are required"
        )));
    }
    if queries < min_queries {
        reasons.push(Reason::OfRun(format!(
            "{queries} queries, at least {min_queries} are required"
        )));
    }
    if failed > 0 {
        reasons.push(Reason::Failed(format!(
            "{failed} of {queries} queries failed or were cut short, and all must be complete"
        )));
    }
    if let Some(limits) = required.limits {
        let latencies = [
            ("TTFT", limits.ttft, seen.over_ttft, ""),
            ("TPOT", limits.tpot, seen.over_tpot, " or came in one chunk"),
        ];
        for (latency, limit, over, in_one_chunk) in latencies {
            let needed = queries_needed(required.percentile, over);
            if queries < needed {
                let what = format!(
                    "{latency}: {over} of {queries} queries were over {} ms{in_one_chunk}",
                    limit * 1e3
                );
                reasons.push(too_many_over(&what, required.percentile, queries, needed));
            }
        }
    }
    let is_alike = |got: f64| (got - asked).abs() <= LENGTH_ROOM * asked;
    match seen.output_tokens {
        Some(got) if is_alike(got) => {}
        Some(got) => reasons.push(Reason::OfRun(format!(
            "answers had {got:.1} tokens on average instead of the requested {asked:.1}; they may differ by {} %",
            LENGTH_ROOM * 100.0
        ))),
        None => reasons.push(Reason::OfRun(format!(
            "no answer had tokens, {asked:.1} were requested"
        ))),
    }
    reasons
}

/// The reason if too many queries are over a limit; with too few queries for any claim, another load does not help.
fn too_many_over(what: &str, percentile: f64, queries: u64, needed: u64) -> Reason {
    let claim = format!(
        "{what}; to claim P{} with 99 % confidence,",
        percentile * 100.0
    );
    match over_latency_allowed(percentile, queries) {
        Some(allowed) => Reason::Latency(format!(
            "{claim} at most {allowed} may be (or send {needed} queries)"
        )),
        None => Reason::OfRun(format!("{claim} send {needed} queries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: Requirements = Requirements {
        limits: Some(Limits {
            ttft: 2.0,
            tpot: 0.2,
        }),
        percentile: 0.99,
        min_duration: 600.0,
        min_queries: 459,
        output_tokens: 100.0,
    };

    const GOOD: Seen = Seen {
        duration: 601.0,
        queries: 900,
        failed: 0,
        over_ttft: 2,
        over_tpot: 0,
        output_tokens: Some(95.0),
    };

    fn reasons_of(seen: &Seen) -> String {
        let reasons = reasons(&REQUIRED, seen);
        let lines: Vec<&str> = reasons.iter().map(Reason::text).collect();
        lines.join("\n")
    }

    #[test]
    fn a_run_that_meets_all_requirements_is_valid() {
        assert_eq!(reasons_of(&GOOD), "");
    }

    #[test]
    fn an_invalid_run_has_every_reason() {
        let seen = Seen {
            duration: 30.0,
            queries: 400,
            failed: 1,
            over_ttft: 7,
            over_tpot: 0,
            output_tokens: Some(80.0),
        };
        insta::assert_snapshot!(reasons_of(&seen), @r"
        measured for 30.0 s, at least 600 s are required
        400 queries, at least 459 are required
        1 of 400 queries failed or were cut short, and all must be complete
        TTFT: 7 of 400 queries were over 2000 ms; to claim P99 with 99 % confidence, send 1596 queries
        TPOT: 0 of 400 queries were over 200 ms or came in one chunk; to claim P99 with 99 % confidence, send 459 queries
        answers had 80.0 tokens on average instead of the requested 100.0; they may differ by 10 %
        ");
        let seen = Seen {
            over_ttft: 3,
            ..GOOD
        };
        insta::assert_snapshot!(reasons_of(&seen), @"TTFT: 3 of 900 queries were over 2000 ms; to claim P99 with 99 % confidence, at most 2 may be (or send 1001 queries)");
    }

    #[test]
    fn a_percentile_of_one_in_a_hundred_over_the_limit_is_not_yet_a_claim() {
        let at = |over_tpot| Seen {
            queries: 2000,
            over_tpot,
            ..GOOD
        };
        // 20 of 2000 are the P99 itself; 9 are few enough for the claim.
        assert!(
            reasons_of(&at(20)).contains("at most 9 may be"),
            "{}",
            reasons_of(&at(20))
        );
        assert_eq!(reasons_of(&at(9)), "");
    }

    #[test]
    fn failed_queries_are_over_both_limits_and_single_tokens_have_no_tpot() {
        let status = ["ok", "failed: HTTP 500", "ok"].map(|text| Some(text.to_owned()));
        let repeat = Repeat {
            duration: Some(3.0),
            samples: Some(Samples {
                status: Some(status.to_vec()),
                ttft: Some(vec![Some(2.5), None, Some(2.0)]),
                tpot: Some(vec![Some(0.1), None, None]),
                output_tokens: Some(vec![Some(10), Some(3), Some(1)]),
                ..Samples::default()
            }),
            ..Repeat::default()
        };
        let mut in_one_piece = repeat.clone();
        if let Some(samples) = &mut in_one_piece.samples {
            samples.output_tokens = Some(vec![Some(10), Some(3), Some(9)]);
        }
        assert_eq!(Seen::of(&in_one_piece, REQUIRED.limits).over_tpot, 2);
        let seen = Seen::of(&repeat, REQUIRED.limits);
        assert_eq!((seen.queries, seen.failed), (3, 1));
        assert_eq!((seen.over_ttft, seen.over_tpot), (2, 1));
        assert_eq!(seen.output_tokens, Some(5.5));
        assert_eq!(Seen::of(&Repeat::default(), None), Seen::default());
    }
}
