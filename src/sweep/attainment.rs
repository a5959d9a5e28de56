//! The share of requests inside the SLO, with its confidence interval.

use serde::{Deserialize, Serialize};

use crate::record::format::{Repeat, Samples};
use crate::stats::{Outcome, rate_interval};

/// Two-sided confidence of the interval of an attained share.
pub const CONFIDENCE: f64 = 0.95;

/// Limits per request, in seconds; a request that meets all of them is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Limits {
    /// Time to first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// Time per output token after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<f64>,
    /// Whole request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<f64>,
}

/// The number of requests inside all limits, and of all requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attained {
    /// Complete answers inside every limit.
    pub good: u32,
    /// All requests that were sent, failed and truncated ones included.
    pub all: u32,
}

impl Attained {
    /// The exact interval of the share (Clopper and Pearson) for independent requests. Requests of one queue are not independent, so
    /// it is somewhat too narrow.
    pub fn interval(self) -> (f64, f64) {
        rate_interval(self.good, self.all, CONFIDENCE)
    }

    /// Whether the target share is attained: decided if the whole interval is on one side of it.
    pub fn outcome(self, target: f64) -> Outcome {
        let (low, high) = self.interval();
        if self.all > 0 && low >= target {
            Outcome::Pass
        } else if self.all > 0 && high < target {
            Outcome::Fail
        } else {
            Outcome::Undecided
        }
    }

    /// The fewest requests, all of them good, that prove the target share.
    pub fn fewest(target: f64) -> u32 {
        // low = tail^(1/n) where all n are good.
        let tail = (1.0 - CONFIDENCE) / 2.0;
        let count = (tail.ln() / target.clamp(0.0, 1.0 - 1e-9).ln()).ceil();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates"
        )]
        let count = count.max(1.0) as u32;
        count
    }
}

/// Over all repeats that count. A failed or truncated request is not good, nor is one that lacks a value with a limit; but an
/// answer of a single token has no TPOT and meets any limit on it, as for `goodput`.
pub fn attained<'a>(repeats: impl IntoIterator<Item = &'a Repeat>, limits: &Limits) -> Attained {
    let counting = repeats.into_iter().filter(|repeat| repeat.void.is_none());
    counting.fold(Attained::default(), |sum, repeat| {
        let Attained { good, all } = of_repeat(repeat, limits);
        Attained {
            good: sum.good + good,
            all: sum.all + all,
        }
    })
}

fn of_repeat(repeat: &Repeat, limits: &Limits) -> Attained {
    let Some(samples) = &repeat.samples else {
        return Attained::default();
    };
    let all = samples.status.as_ref().map_or(0, Vec::len);
    let met = |index: usize, limit: Option<f64>, meets: fn(&Samples, usize, f64) -> bool| {
        limit.is_none_or(|limit| meets(samples, index, limit))
    };
    let good = (0..all).filter(|index| {
        samples.is_ok(*index)
            && met(*index, limits.ttft, Samples::meets_ttft)
            && met(*index, limits.tpot, Samples::meets_tpot)
            && met(*index, limits.e2e, Samples::meets_e2e)
    });
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Attained {
        good: count(good.count()),
        all: count(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeat(requests: &[(&str, f64, f64)]) -> Repeat {
        Repeat {
            samples: Some(Samples {
                status: Some(
                    requests
                        .iter()
                        .map(|request| Some(request.0.to_owned()))
                        .collect(),
                ),
                ttft: Some(requests.iter().map(|request| Some(request.1)).collect()),
                tpot: Some(requests.iter().map(|request| Some(request.2)).collect()),
                ..Samples::default()
            }),
            ..Repeat::default()
        }
    }

    const LIMITS: Limits = Limits {
        ttft: Some(0.2),
        tpot: Some(0.05),
        e2e: None,
    };

    #[test]
    fn a_request_is_good_if_it_is_complete_and_inside_every_limit() {
        let one = repeat(&[
            ("ok", 0.2, 0.05),
            ("ok", 0.3, 0.01),
            ("ok", 0.1, 0.06),
            ("failed: HTTP 500", 0.1, 0.01),
        ]);
        assert_eq!(
            attained([&one, &one], &LIMITS),
            Attained { good: 2, all: 8 }
        );
        let void = Repeat {
            void: Some("the client was late".to_owned()),
            ..one
        };
        assert_eq!(attained([&void], &LIMITS), Attained::default());
    }

    #[test]
    fn a_missing_value_meets_no_limit_and_a_single_token_has_no_tpot() {
        let mut one = repeat(&[("ok", 0.1, 0.01), ("ok", 0.1, 0.0), ("ok", 0.1, 0.01)]);
        if let Some(samples) = &mut one.samples {
            samples.tpot = Some(vec![None, Some(0.0), None]);
            samples.output_tokens = Some(vec![Some(64), Some(64), Some(1)]);
        }
        assert_eq!(attained([&one], &LIMITS), Attained { good: 1, all: 3 });
    }

    #[test]
    fn the_outcome_is_undecided_while_the_interval_contains_the_target() {
        let answer = |good, all, target| Attained { good, all }.outcome(target);
        assert_eq!(answer(200, 200, 0.95), Outcome::Pass);
        assert_eq!(answer(196, 200, 0.95), Outcome::Undecided);
        assert_eq!(answer(170, 200, 0.95), Outcome::Fail);
        // 100 good requests do not prove a share of 99 %.
        assert_eq!(answer(100, 100, 0.99), Outcome::Undecided);
        assert_eq!(answer(0, 0, 0.95), Outcome::Undecided);
    }

    #[test]
    fn the_fewest_good_requests_that_decide() {
        for target in [0.9, 0.95, 0.99] {
            let fewest = Attained::fewest(target);
            let answer = |all| Attained { good: all, all }.outcome(target);
            assert_eq!(
                (answer(fewest - 1), answer(fewest)),
                (Outcome::Undecided, Outcome::Pass),
                "{target}"
            );
        }
        assert_eq!(Attained::fewest(0.95), 72);
    }
}
