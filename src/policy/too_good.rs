//! A candidate that is implausibly fast: undecided until the author gives a reason.

use super::judged::Estimates;
use crate::code::Code;
use crate::metric::{Better, Metric};
use crate::report::comparison::{Judgement, Status, Warning};

/// A candidate that is more than this many times as fast is more often a mistake than an improvement: a wrong unit, shortened
/// or cached answers, another model, a client that counts differently.
const PLAUSIBLE: f64 = 1.5;

/// The end of the headline.
const CHECK: &str = "; check before believing";

/// How many times as fast the candidate is, where that is implausible.
pub(super) fn times_faster(metric: Metric, estimates: &Estimates) -> Option<f64> {
    let times = (-estimates.todays().delta).exp();
    (metric.is_of_speed() && times > PLAUSIBLE).then_some(times)
}

/// The judgement, undecided until the author gives a reason.
pub(super) fn doubted(judgement: Judgement, times: f64) -> Judgement {
    let reason = format!(
        "check before believing: it is {} as fast as the baseline. Rule out shortened or cached answers, another model and a wrong unit; if it is real, write the reason in a file for `--analysis`, or under `perfgate analysis` in the pull request's text",
        super::sentence::times(times)
    );
    Judgement {
        if_believed: Some(judgement.status),
        status: Status::Inconclusive,
        reason,
        ..judgement
    }
}

/// Accepts an implausible speed-up for which the author gave a reason.
pub(super) fn believe(row: &mut Judgement) {
    if let Some(status) = row.if_believed.take() {
        row.status = status;
        row.reason = String::from("far better than the baseline; the author gave a reason");
    }
}

/// The warning of an implausible row.
pub(super) fn warning(row: &Judgement) -> Option<Warning> {
    row.if_believed?;
    let message = format!("{} at {}: {}", row.metric, row.scenario, row.reason);
    Some(Warning::new(Code::CheckBeforeBelieving, message))
}

pub(super) fn is_about(warning: &Warning) -> bool {
    warning.is(Code::CheckBeforeBelieving)
}

/// The headline of an implausible row.
pub(super) fn headline(row: &Judgement, place: &str, times: f64) -> String {
    format!(
        "{}{place} is {} as fast as the baseline's{CHECK}",
        row.metric.label(),
        super::sentence::times(times)
    )
}

/// The headline without the request to check.
pub(super) fn as_a_fact(headline: &str) -> &str {
    headline.strip_suffix(CHECK).unwrap_or(headline)
}

/// How many times as fast the candidate is, by the row's estimate.
pub(super) fn times_of(row: &Judgement) -> Option<f64> {
    row.if_believed?;
    let change = row.change?.value;
    Some(match row.better {
        Better::Higher => 1.0 - change,
        Better::Lower | Better::Neither => 1.0 / (1.0 + change),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run_of;
    use super::super::rule::{OnInconclusive, Policy};
    use super::super::{Labels, compare_runs, only_a_reason_is_missing, with_analysis};
    use super::*;
    use crate::record::Run;
    use crate::report::comparison::{Analysis, Comparison, Verdict};

    fn run(tpot: f64, ttft: f64, throughput: f64) -> Run {
        let repeats: Vec<String> = [1.0, 1.004, 0.996]
            .iter()
            .map(|noise| {
                format!(
                    r#"{{"metrics": {{"tpot.p95": {}, "throughput": {}, "ttft.p95": {}, "gpu_memory.peak": 76e9}}}}"#,
                    tpot * noise,
                    throughput / noise,
                    ttft * noise
                )
            })
            .collect();
        run_of(&repeats)
    }

    fn judged(policy: &Policy, tpot: f64, ttft: f64, throughput: f64) -> Comparison {
        let baseline = run(0.02, 0.15, 3000.0);
        let candidate = run(tpot, ttft, throughput);
        compare_runs(policy, &baseline, &candidate, Labels::default())
    }

    #[test]
    fn more_than_one_and_a_half_times_as_fast_is_undecided_under_every_policy() {
        for on_inconclusive in [
            OnInconclusive::Auto,
            OnInconclusive::Pass,
            OnInconclusive::Fail,
        ] {
            let mut policy = Policy::standard();
            policy.noise.on_inconclusive = on_inconclusive;
            // By time per token, by throughput, and by the first token, whose rule only warns.
            for (tpot, ttft, throughput) in [
                (0.00002, 0.15, 3000.0),
                (0.02, 0.15, 4600.0),
                (0.02, 0.09, 3000.0),
            ] {
                let comparison = judged(&policy, tpot, ttft, throughput);
                assert_eq!(
                    (comparison.verdict, comparison.exit_code),
                    (Verdict::Inconclusive, 3),
                    "{on_inconclusive:?} {tpot} {ttft} {throughput}"
                );
                assert!(
                    comparison
                        .warnings
                        .iter()
                        .any(|warning| warning.is(Code::CheckBeforeBelieving))
                );
                assert!(only_a_reason_is_missing(&comparison));
            }
        }
    }

    #[test]
    fn a_plausible_improvement_passes() {
        let comparison = judged(&Policy::standard(), 0.0136, 0.101, 4400.0);
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Pass, 0)
        );
        assert_eq!(comparison.judgements[0].status, Status::Improved);
    }

    #[test]
    fn with_a_reason_it_passes() {
        let comparison = judged(&Policy::standard(), 0.01, 0.15, 3000.0);
        insta::assert_snapshot!(comparison.headline, @"TPOT P95 is 2.0 times as fast as the baseline's; check before believing");
        let analysis = Analysis {
            source: "why.md".to_owned(),
            text: "speculative decoding with a draft model".to_owned(),
        };
        let comparison = with_analysis(comparison, analysis);
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Pass, 0)
        );
        assert_eq!(comparison.judgements[0].status, Status::Improved);
        assert!(comparison.warnings.is_empty(), "{:?}", comparison.warnings);
    }

    #[test]
    fn a_regression_beside_it_still_blocks() {
        let comparison = judged(&Policy::standard(), 0.023, 0.05, 3000.0);
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Block, 1)
        );
    }
}
