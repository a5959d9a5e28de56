//! From runs and a policy to the comparison.

use super::advice::{Measured, next};
use super::curves::curves;
use super::headline::headline;
use super::history::history;
use super::judge_all::{family, judge_all};
use super::judged::Judged;
use super::look::{Labels, LookAt, ThisLook};
use super::outcome::{Terms, follows};
use super::release::since_release;
use super::rule::Policy;
use super::shown::{distributions, identity, measurements};
use super::warning::{of_memory, unwatched_capacity, warnings};
use crate::compare::{self, ComparableInputs, ComparisonInputs};
use crate::record::Run;
use crate::report::comparison::{Comparison, Decision, LookTaken, SCHEMA, Verdict};
use crate::stats::ErrorLevels;

/// Judges `candidate` against `baseline`: one look at two runs.
pub fn compare_runs(
    policy: &Policy,
    baseline: &Run,
    candidate: &Run,
    labels: Labels<'_>,
) -> Comparison {
    let given = ComparisonInputs {
        stored: Some((baseline, candidate)),
        ..ComparisonInputs::default()
    };
    compare_evidence(policy, &given, labels, ThisLook::ONLY)
}

/// Judges all evidence.
pub fn compare_evidence(
    policy: &Policy,
    given: &ComparisonInputs<'_>,
    labels: Labels<'_>,
    this_look: ThisLook<'_>,
) -> Comparison {
    let usable = compare::usable(given);
    let empty = Run::default();
    let (baseline, candidate) = usable.shown().unwrap_or((&empty, &empty));
    let judged = judge_all(policy, &usable, candidate, this_look);
    let comparability = &usable.comparability;
    let analysed = this_look.analysis.is_some();
    let rows = || judged.iter().map(|judged| &judged.judgement);
    let terms = Terms {
        analysed,
        is_accepted: false,
        budget_ended: false,
        on_inconclusive: policy.noise.on_inconclusive,
    };
    let (verdict, exit) = follows(&comparability.mismatches, rows(), terms);
    let several = candidate.scenarios.len() > 1 || !policy.scenarios.is_empty();
    let measured = measured(policy, given, &usable);
    let Measured { repeats, pairs, .. } = measured;
    let on_inconclusive = terms.on_inconclusive;
    let of_judged = warnings(
        comparability,
        &judged,
        this_look,
        on_inconclusive,
        exit,
        pairs,
    );
    let (stored_baseline, stored_candidate) = given.stored.unwrap_or((baseline, candidate));
    let (baseline_label, candidate_label) = match given.stored {
        Some(_) => (labels.baseline, labels.candidate),
        None => labels.pairs,
    };
    Comparison {
        schema: SCHEMA.to_owned(),
        name: candidate.file.name.clone(),
        verdict,
        exit_code: exit.code(),
        headline: headline(verdict, &judged, &comparability.mismatches, several),
        measurements: measurements(baseline, candidate, &rows().collect::<Vec<_>>()),
        distributions: distributions(baseline, candidate),
        strata: compare::strata(baseline, candidate),
        history: history(rows(), &usable.ledger),
        timelines: compare::timelines(baseline, candidate),
        server_figures: compare::server_figures(baseline, candidate),
        curves: curves(baseline, candidate),
        warnings: of_judged
            .into_iter()
            .chain(of_memory(policy, baseline, candidate))
            .chain(unwatched_capacity(policy, baseline, candidate))
            .chain(given.release.into_iter().flat_map(|release| {
                since_release(policy, release, baseline, candidate, &usable.ledger)
            }))
            .collect(),
        mismatches: comparability.mismatches.clone(),
        changes: comparability.changes.clone(),
        next: next(verdict, &judged, this_look, policy, measured),
        analysis: this_look.analysis.cloned(),
        explanation: this_look.explanation.cloned(),
        accepted: None,
        head: None,
        price: None,
        budget: None,
        baseline: identity(baseline_label, stored_baseline),
        candidate: identity(candidate_label, stored_candidate),
        ab_baseline: given.pairs.map(|(run, _)| identity(labels.pairs.0, run)),
        ab_candidate: given.pairs.map(|(_, run)| identity(labels.pairs.1, run)),
        decision: Decision {
            alpha: this_look.levels.alpha,
            beta: this_look.levels.beta,
            family: measured.family,
            ledger_sessions: judged.iter().filter_map(sessions).max().unwrap_or(0),
            ledger: labels.ledger.map(str::to_owned),
            pairs,
            looks: looks(this_look, verdict, repeats, pairs),
            on_inconclusive: policy.noise.on_inconclusive,
            baseline_ref: None,
            baseline_commit: None,
        },
        judgements: judged.into_iter().map(|judged| judged.judgement).collect(),
    }
}

/// How much was measured.
fn measured(
    policy: &Policy,
    given: &ComparisonInputs<'_>,
    usable: &ComparableInputs<'_>,
) -> Measured {
    // Repeats against the stored baseline, whether or not it is comparable, and those beside the pairs without one.
    let beside = given.stored.map(|(_, candidate)| candidate);
    let repeats = beside.or(given.beside);
    Measured {
        repeats: repeats.map_or(0, Run::counting_repeats),
        pairs: usable.pairs.map_or(0, |(baseline, candidate)| {
            candidate.counting_pairs(baseline)
        }),
        family: (usable.shown()).map_or(0, |(_, candidate)| family(policy, candidate)),
    }
}

/// The previous looks and this one; empty for a single look.
fn looks(this_look: ThisLook<'_>, verdict: Verdict, repeats: u32, pairs: u32) -> Vec<LookTaken> {
    let before = this_look.before.map(|before| &before.decision.looks);
    let (pairs, shares) = match this_look.at {
        LookAt::All => return Vec::new(),
        // Nothing new was seen.
        LookAt::Spent
            if let Some(before) = before
                && verdict != Verdict::Inconclusive =>
        {
            return before.clone();
        }
        LookAt::Repeats(look) => {
            let (alpha, beta) = (look.share, look.share);
            (pairs, ErrorLevels { alpha, beta })
        }
        LookAt::Pairs(pairs, schedule) => (pairs, schedule.shares(pairs)),
        LookAt::Beyond(pairs) => (pairs, ErrorLevels::NONE),
        LookAt::Spent => (pairs, ErrorLevels::NONE),
    };
    let mut looks = before.cloned().unwrap_or_default();
    looks.push(LookTaken {
        repeats,
        pairs,
        alpha: shares.alpha,
        beta: shares.beta,
        verdict,
    });
    looks
}

fn sessions(judged: &Judged) -> Option<u32> {
    judged.estimates.map(|estimates| estimates.noise.sessions)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run_of;
    use super::super::rule::{Limits, OnInconclusive, Rule};
    use super::*;
    use crate::report::comparison::{NextAction, Status};
    use crate::stats::StoredLook;

    const LABELS: Labels<'_> = Labels {
        baseline: "baseline.json",
        candidate: "candidate.json",
        pairs: ("", ""),
        ledger: None,
    };

    /// One scenario with one repeat per entry of `tpot`, all four gated metrics moving by the same factors.
    fn run(tpot: &[f64]) -> Run {
        let repeats: Vec<String> = tpot
            .iter()
            .map(|tpot| repeat(&[("tpot.p95", *tpot)]))
            .collect();
        run_of(&repeats)
    }

    fn repeat(changed: &[(&str, f64)]) -> String {
        let standard = [
            ("tpot.p95", 0.02),
            ("throughput", 3000.0),
            ("ttft.p95", 0.15),
            ("gpu_memory.peak", 76e9),
        ];
        let metrics: Vec<String> = standard
            .iter()
            .map(|(id, value)| {
                let value = changed
                    .iter()
                    .find(|(other, _)| other == id)
                    .map_or(*value, |(_, value)| *value);
                format!("\"{id}\": {value}")
            })
            .collect();
        format!("{{\"metrics\": {{{}}}}}", metrics.join(", "))
    }

    fn judged(baseline: &Run, candidate: &Run) -> Comparison {
        compare_runs(&Policy::standard(), baseline, candidate, LABELS)
    }

    fn summary(comparison: &Comparison) -> String {
        format!(
            "{:?}, exit {}: {}",
            comparison.verdict, comparison.exit_code, comparison.headline
        )
    }

    const QUIET: [f64; 3] = [0.0200, 0.0201, 0.0199];

    #[test]
    fn a_run_against_itself_passes() {
        let run = run(&QUIET);
        let comparison = judged(&run, &run);
        insta::assert_snapshot!(summary(&comparison), @"Pass, exit 0: every change is below its limit: TPOT P95 0.0 %, throughput 0.0 % (plus is worse); a regression above 3.6 % is ruled out");
        assert!(comparison.warnings.is_empty(), "{:?}", comparison.warnings);
    }

    #[test]
    fn a_clear_regression_blocks() {
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &run(&[0.0220, 0.0221, 0.0219]))), @"Block, exit 1: TPOT P95 is 10.0 % slower, 95 % interval +5.1 % to +15.1 %, limit 5.0 %");
    }

    #[test]
    fn an_improvement_passes_and_is_called_one() {
        let comparison = judged(&run(&QUIET), &run(&[0.0180, 0.0181, 0.0179]));
        assert_eq!(comparison.judgements[0].status, Status::Improved);
        assert_eq!(comparison.verdict, Verdict::Pass);
        assert!(comparison.judgements[0].change.unwrap().value < -0.09);
    }

    #[test]
    fn a_loss_of_throughput_is_worse_by_its_share() {
        let candidate = run_of(&vec![repeat(&[("throughput", 2700.0)]); 3]);
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &candidate)), @"Block, exit 1: throughput is 10.0 % lower, 95 % interval +5.9 % to +13.9 %, limit 5.0 %");
    }

    #[test]
    fn noise_leaves_it_open_and_auto_decides_by_the_estimate() {
        let noisy = [0.017, 0.020, 0.024];
        let below = judged(&run(&noisy), &run(&noisy));
        insta::assert_snapshot!(summary(&below), @"Inconclusive, exit 0: TPOT P95 is 0.7 % slower, 95 % interval −40.4 % to +70.1 %, limit 5.0 %");
        assert_eq!(below.warnings[0].code(), "passed-undecided");
        assert_ne!(below.next.action, NextAction::None);
        let above = judged(&run(&noisy), &run(&[0.019, 0.022, 0.026]));
        insta::assert_snapshot!(summary(&above), @"Inconclusive, exit 3: TPOT P95 is 10.8 % slower, 95 % interval −32.9 % to +82.9 %, limit 5.0 %");
    }

    #[test]
    fn policy_may_let_the_undecided_pass_or_fail() {
        let noisy = run(&[0.017, 0.020, 0.024]);
        let mut policy = Policy::standard();
        for (on_inconclusive, exit) in [(OnInconclusive::Pass, 0), (OnInconclusive::Fail, 3)] {
            policy.noise.on_inconclusive = on_inconclusive;
            assert_eq!(
                compare_runs(&policy, &noisy, &noisy, LABELS).exit_code,
                exit
            );
        }
    }

    #[test]
    fn a_missing_metric_never_passes() {
        let candidate = run_of(&vec![
                r#"{"metrics": {"tpot.p95": 0.02, "throughput": 3000, "ttft.p95": 0.15}}"#
                    .to_owned();
                3
            ]);
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &candidate)), @"Incomparable, exit 4: peak GPU memory: not measured by the candidate (repeat 1)");
        let candidate = run_of(&vec![r#"{"metrics": {"ttft.p95": 0.15}}"#.to_owned(); 3]);
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &candidate)), @"Incomparable, exit 4: TPOT P95, throughput, peak GPU memory: not measured by the candidate (repeat 1)");
    }

    #[test]
    fn growing_memory_asks_for_a_report_and_a_slower_first_token_only_warns() {
        let memory = run_of(&vec![repeat(&[("gpu_memory.peak", 90e9)]); 3]);
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &memory)), @"Report, exit 1: peak GPU memory is 18.4 % higher, 95 % interval +18.4 % to +18.4 %, limit 10.0 %");
        let first_token = run_of(&vec![repeat(&[("ttft.p95", 0.19)]); 3]);
        let comparison = judged(&run(&QUIET), &first_token);
        insta::assert_snapshot!(summary(&comparison), @"Warn, exit 0: TTFT P95 is 26.7 % slower, 95 % interval +21.2 % to +32.4 %, limit 10.0 %");
        assert_eq!(comparison.warnings[0].code(), "explanation-wanted");
    }

    #[test]
    fn failing_requests_never_pass_whatever_the_latencies_are() {
        let failing = |failed: u32| {
            let counts = format!(
                r#"{{"requests": {{"completed": {}, "failed": {failed}}},"#,
                1000 - failed
            );
            let mut file = run_of(&vec![repeat(&[]).replacen('{', &counts, 1); 3]).file;
            file.definitions = [("ttft".to_owned(), 2), ("tpot".to_owned(), 2)].into();
            let json = serde_json::to_vec(&file).unwrap();
            crate::record::parse("b.json", &json).unwrap()
        };
        let compared = |failed: u32| summary(&judged(&failing(0), &failing(failed)));
        insta::assert_snapshot!(compared(30), @"Block, exit 1: error rate: 3.0 % of the candidate's requests failed, limit 1.0 %; means and rates leave failed requests out");
        // The P95 is one of the failed requests, so the other requests do not have it.
        let summary = compared(100);
        assert!(
            summary.starts_with("Incomparable, exit 4") && summary.contains("falls among them"),
            "{summary}"
        );
    }

    #[test]
    fn another_workload_is_not_compared_whatever_the_numbers_are() {
        let mut other = run(&QUIET);
        other.file.workload.as_mut().unwrap().digest = Some("sha256:b".to_owned());
        insta::assert_snapshot!(summary(&judged(&run(&QUIET), &other)), @"Incomparable, exit 4: workload digest: sha256:a in the baseline, sha256:b in the candidate");
    }

    #[test]
    fn one_repeat_a_side_cannot_pass_a_tight_limit_silently() {
        let comparison = judged(&run(&[0.02]), &run(&[0.02]));
        assert_eq!(comparison.verdict, Verdict::Inconclusive);
        assert_eq!(comparison.next.action, NextAction::MoreRepeats);
    }

    #[test]
    fn a_budget_is_judged_by_the_candidate_alone() {
        let rule = |max| Rule {
            limits: Limits {
                max: Some(max),
                ..Limits::default()
            },
            ..Policy::standard().rules[0].clone()
        };
        for (max, status) in [
            (0.04, Status::Pass),
            (0.01, Status::Regressed),
            (0.0201, Status::Inconclusive),
        ] {
            let policy = Policy {
                rules: vec![rule(max)],
                ..Policy::standard()
            };
            let comparison = compare_runs(&policy, &run(&QUIET), &run(&QUIET), LABELS);
            assert_eq!(comparison.judgements[0].status, status, "{max}");
        }
    }

    #[test]
    fn rules_for_a_scenario_that_was_not_measured_do_not_pass() {
        let mut policy = Policy::standard();
        policy
            .scenarios
            .insert("concurency=64".to_owned(), vec![policy.rules[0].clone()]);
        let comparison = compare_runs(&policy, &run(&QUIET), &run(&QUIET), LABELS);
        assert_eq!(comparison.verdict, Verdict::Incomparable);
        assert!(
            comparison.headline.contains("concurency=64"),
            "{}",
            comparison.headline
        );
    }

    #[test]
    fn the_headline_names_the_exceeded_budget_and_not_the_unchanged_metric() {
        let mut rule = Policy::standard().rules[0].clone();
        rule.limits.max = Some(0.01);
        let policy = Policy {
            rules: vec![rule],
            ..Policy::standard()
        };
        let comparison = compare_runs(&policy, &run(&QUIET), &run(&QUIET), LABELS);
        insta::assert_snapshot!(summary(&comparison), @"Block, exit 1: TPOT P95: outside its budget by 100 %");
    }

    #[test]
    fn a_budget_that_looks_broken_is_not_let_through_by_a_change_that_does_not() {
        let noisy = run(&[0.017, 0.020, 0.024]);
        let mut rule = Policy::standard().rules[0].clone();
        rule.limits.max = Some(0.019);
        let policy = Policy {
            rules: vec![rule],
            ..Policy::standard()
        };
        let comparison = compare_runs(&policy, &noisy, &noisy, LABELS);
        assert_eq!(
            (comparison.verdict, comparison.exit_code),
            (Verdict::Inconclusive, 3)
        );
    }

    const ALL_OF_IT: LookAt<'_> = LookAt::Repeats(StoredLook { at: 3, share: 1.0 });

    #[test]
    fn a_decision_stays_until_new_evidence_decides_otherwise() {
        let baseline = run(&QUIET);
        let at_look = |candidate: &Run, before: Option<&Comparison>, at| {
            let given = ComparisonInputs {
                stored: Some((&baseline, candidate)),
                ..ComparisonInputs::default()
            };
            let this_look = ThisLook {
                at,
                before,
                ..ThisLook::ONLY
            };
            compare_evidence(&Policy::standard(), &given, LABELS, this_look)
        };
        let slower = run(&[0.0230, 0.0231, 0.0229]);
        let blocked = at_look(&slower, None, ALL_OF_IT);
        assert_eq!(blocked.verdict, Verdict::Block);
        let spent = at_look(&slower, Some(&blocked), LookAt::Spent);
        assert_eq!((spent.verdict, spent.exit_code), (Verdict::Block, 1));
        assert!(
            spent.judgements[0]
                .reason
                .ends_with("decided at an earlier interim look")
        );
        // Nothing new was seen.
        assert_eq!(spent.decision.looks.len(), 1);
        assert_eq!(
            at_look(&slower, None, LookAt::Spent).verdict,
            Verdict::Inconclusive
        );

        let passed = at_look(&baseline, Some(&blocked), ALL_OF_IT);
        assert_eq!(passed.verdict, Verdict::Pass);
    }

    #[test]
    fn a_comparison_is_read_back_as_written() {
        let comparison = judged(&run(&QUIET), &run(&[0.022; 3]));
        let json = serde_json::to_string(&comparison).unwrap();
        assert_eq!(
            serde_json::from_str::<Comparison>(&json).unwrap(),
            comparison
        );
    }

    #[test]
    fn when_all_looks_are_spent_only_the_base_version_can_follow() {
        let noisy = run(&[0.017, 0.020, 0.024]);
        let next = |has_pairs: bool, at: LookAt<'_>| {
            let sides = Some((&noisy, &noisy));
            let given = ComparisonInputs {
                stored: sides.filter(|_| !has_pairs),
                pairs: sides.filter(|_| has_pairs),
                ..ComparisonInputs::default()
            };
            let this_look = ThisLook {
                at,
                ..ThisLook::ONLY
            };
            let comparison = compare_evidence(&Policy::standard(), &given, LABELS, this_look);
            assert_eq!(comparison.verdict, Verdict::Inconclusive);
            comparison.next.action
        };
        assert_eq!(next(false, LookAt::Spent), NextAction::Ab);
        assert_eq!(next(true, LookAt::Beyond(3)), NextAction::Ab);
        assert_eq!(next(true, LookAt::Spent), NextAction::None);
    }
}
