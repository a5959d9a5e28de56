//! A regression that a person with write permission has accepted.

use super::outcome::{judged_again, undecided_headline};
use crate::report::comparison::{Acceptance, Comparison, Verdict};

/// Longest reason in the headline, in characters; the report shows all of it.
const SHOWN: usize = 100;

/// Accepts the regressions of a comparison: they warn and no longer block. The rows keep their status; undecided and missing
/// rows stay as they are.
#[must_use]
pub(super) fn with_acceptance(comparison: Comparison, acceptance: Acceptance) -> Comparison {
    if !matches!(comparison.verdict, Verdict::Block | Verdict::Report) {
        return comparison;
    }
    let regression = comparison.headline.clone();
    let reason = shown(&acceptance.reason);
    let headline = format!("{regression}; accepted by {}: {reason}", acceptance.by);
    let accepted = judged_again(Comparison {
        accepted: Some(Acceptance {
            regression,
            ..acceptance
        }),
        ..comparison
    });
    Comparison {
        headline: undecided_headline(&accepted).unwrap_or(headline),
        ..accepted
    }
}

/// The comparison as it was judged, before it was accepted.
#[must_use]
pub(super) fn without_acceptance(comparison: Comparison) -> Comparison {
    let Some(acceptance) = comparison.accepted else {
        return comparison;
    };
    judged_again(Comparison {
        headline: acceptance.regression,
        accepted: None,
        ..comparison
    })
}

/// The beginning of a reason, on one line.
fn shown(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    let cut: String = line.chars().take(SHOWN - 1).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run_of;
    use super::super::look::Labels;
    use super::super::reasons::with_analysis;
    use super::super::rule::Policy;
    use super::super::verdict::compare_runs;
    use super::*;
    use crate::record::Run;
    use crate::report::comparison::{Analysis, Status};

    fn run(tpot: [f64; 3], ttft: [f64; 3], memory: f64) -> Run {
        let repeats: Vec<String> = tpot
            .iter()
            .zip(ttft)
            .map(|(tpot, ttft)| {
                format!(
                    r#"{{"metrics": {{"tpot.p95": {tpot}, "throughput": 3000, "ttft.p95": {ttft}, "gpu_memory.peak": {memory}}}}}"#
                )
            })
            .collect();
        run_of(&repeats)
    }

    const QUIET: [f64; 3] = [0.0200, 0.0201, 0.0199];
    const SLOW: [f64; 3] = [0.0220, 0.0221, 0.0219];
    const NOISY: [f64; 3] = [0.012, 0.021, 0.035];

    fn accepted(policy: &Policy, candidate: &Run) -> Comparison {
        let labels = Labels::default();
        let comparison = compare_runs(policy, &run(QUIET, [0.15; 3], 76e9), candidate, labels);
        with_acceptance(
            comparison,
            Acceptance {
                label: "perf-regression-accepted".to_owned(),
                by: "maya".to_owned(),
                reason: "the new tokenizer\nis worth it".to_owned(),
                regression: String::new(),
            },
        )
    }

    fn summary(comparison: &Comparison) -> String {
        format!(
            "{:?}, exit {}: {}",
            comparison.verdict, comparison.exit_code, comparison.headline
        )
    }

    #[test]
    fn an_accepted_block_warns_and_its_row_stays_regressed() {
        let comparison = accepted(&Policy::standard(), &run(SLOW, [0.15; 3], 76e9));
        insta::assert_snapshot!(summary(&comparison), @r"Warn, exit 0: TPOT P95 is 10.0 % slower, 95 % interval +5.1 % to +15.1 %, limit 5.0 %; accepted by maya: the new tokenizer is worth it");
        assert_eq!(comparison.judgements[0].status, Status::Regressed);
        let again = without_acceptance(comparison);
        insta::assert_snapshot!(summary(&again), @"Block, exit 1: TPOT P95 is 10.0 % slower, 95 % interval +5.1 % to +15.1 %, limit 5.0 %");
        assert_eq!(without_acceptance(again.clone()), again);
    }

    #[test]
    fn an_accepted_report_needs_no_analysis_any_more() {
        let comparison = accepted(&Policy::standard(), &run(QUIET, [0.15; 3], 90e9));
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Warn, 0)
        );
        let analysis = Analysis {
            source: "why.md".to_owned(),
            text: "the draft model is worth its memory".to_owned(),
        };
        let analysed = with_analysis(comparison, analysis);
        assert_eq!(
            (analysed.verdict, analysed.accepted.is_some()),
            (Verdict::Warn, true)
        );
    }

    #[test]
    fn an_undecided_metric_beside_the_accepted_regression_stays_undecided() {
        let mut policy = Policy::standard();
        for rule in &mut policy.rules {
            rule.action = super::super::rule::Action::Block;
        }
        let comparison = accepted(&policy, &run(SLOW, [0.1, 0.16, 0.4], 76e9));
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Inconclusive, 3)
        );
        assert!(
            comparison.headline.starts_with("TTFT P95"),
            "{}",
            comparison.headline
        );
    }

    #[test]
    fn nothing_else_becomes_a_pass_by_being_accepted() {
        let undecided = accepted(&Policy::standard(), &run(NOISY, [0.15; 3], 76e9));
        assert_eq!(
            (undecided.verdict, undecided.accepted),
            (Verdict::Inconclusive, None)
        );
        let mut other = run(SLOW, [0.15; 3], 76e9);
        other.file.workload.as_mut().unwrap().digest = Some("sha256:b".to_owned());
        let incomparable = accepted(&Policy::standard(), &other);
        assert_eq!(
            (incomparable.verdict, incomparable.exit_code),
            (Verdict::Incomparable, 4)
        );
        let same = accepted(&Policy::standard(), &run(QUIET, [0.15; 3], 76e9));
        assert_eq!((same.verdict, same.accepted), (Verdict::Pass, None));
    }
}
