//! Every rule in every scenario: shares α, limits false warnings, and keeps earlier decisions.

use super::errors::too_many_errors;
use super::judge::{judge, p_value};
use super::judged::{Hosts, Judged, LookTerms, ScenarioEvidence};
use super::look::{BETA, LookAt, ThisLook};
use super::rule::{Action, Limits, Policy, Rule};
use crate::compare::ComparableInputs;
use crate::record::Run;
use crate::record::format::SWEEP;
use crate::report::comparison::{Comparison, Judgement, Status};
use crate::stats::{ErrorLevels, discovery_level};

/// Largest accepted share of false warnings among all warnings.
const FALSE_DISCOVERIES: f64 = 0.10;

/// Number of rules × scenarios that may block; they share α.
pub(crate) fn family(policy: &Policy, candidate: &Run) -> u32 {
    let rules = candidate
        .scenarios
        .iter()
        .flat_map(|scenario| policy.rules_for(&scenario.name));
    u32::try_from(rules.filter(may_block).count()).unwrap_or(u32::MAX)
}

pub(super) fn may_block(rule: &Rule) -> bool {
    match rule.action {
        Action::Block | Action::Report => true,
        Action::Warn => false,
    }
}

pub(super) fn judge_all(
    policy: &Policy,
    usable: &ComparableInputs<'_>,
    candidate: &Run,
    this_look: ThisLook<'_>,
) -> Vec<Judged> {
    let shared = LookTerms::of(this_look, family(policy, candidate));
    let hosts = hosts(usable, candidate);
    let of_scenario = |name| of_scenario(usable, hosts, name);
    let mut judged = Vec::new();
    // A scenario in the policy that the run lacks is misspelt or was dropped: its rules are missing, which does not pass.
    for (name, rules) in &policy.scenarios {
        if candidate.scenario(name).is_none() {
            let evidence = of_scenario(name);
            judged.extend(rules.iter().map(|rule| judge(rule, &evidence, shared)));
        }
    }
    // A rule for a sweep in a run without a sweep, or for load points in a run without any, is missing too.
    let none_here = |rule: &&Rule| {
        let mut scenarios = candidate.scenarios.iter();
        !candidate.scenarios.is_empty() && !scenarios.any(|scenario| rule.holds_in(&scenario.name))
    };
    let evidence = of_scenario(SWEEP);
    let missing = policy.rules.iter().filter(none_here);
    judged.extend(missing.map(|rule| judge(rule, &evidence, shared)));
    // A warning spends no α and never asks for more evidence: it is judged on all evidence at every look.
    let levels = ErrorLevels {
        alpha: warning_level(policy, candidate, of_scenario, shared),
        beta: BETA,
    };
    let warnings = LookTerms::once(levels, shared.has_reason);
    for scenario in &candidate.scenarios {
        let evidence = of_scenario(&scenario.name);
        let rules = rules_here(policy, &evidence);
        for rule in &rules {
            let terms = if may_block(rule) { shared } else { warnings };
            judged.push(judge(rule, &evidence, terms));
        }
        // A search also measures loads at which the server fails.
        let went_too_far = scenario.adaptive && evidence.shown().0.is_none();
        if !went_too_far {
            judged.extend(too_many_errors(&evidence, shared));
        }
    }
    if let Some(before) = this_look.before {
        for judged in &mut judged {
            keep_decision(judged, before);
        }
    }
    if matches!(this_look.at, LookAt::Spent) {
        let blocking = judged.iter_mut();
        for judged in blocking.filter(|judged| judged.judgement.rule.action != Action::Warn) {
            explain_spent(&mut judged.judgement, this_look.before);
        }
    }
    judged
}

/// The machines of the stored baseline and of today.
fn hosts<'a>(usable: &'a ComparableInputs<'a>, candidate: &'a Run) -> Hosts<'a> {
    let baseline = usable.stored.map_or(candidate, |(baseline, _)| baseline);
    Hosts::of(baseline, candidate)
}

fn of_scenario<'a>(
    usable: &'a ComparableInputs<'a>,
    hosts: Hosts<'a>,
    name: &'a str,
) -> ScenarioEvidence<'a> {
    let sides = |runs: (&'a Run, &'a Run)| (runs.0.scenario(name), runs.1.scenario(name));
    ScenarioEvidence {
        name,
        stored: usable.stored.map(sides),
        pairs: usable.pairs.map(sides),
        beside: usable.beside.and_then(|run| run.scenario(name)),
        ledger: &usable.ledger,
        hosts,
    }
}

/// The rules of a scenario. A load point that the baseline lacks is reported as new, and only its budgets are judged. A
/// capacity that the baseline lacks is missing.
fn rules_here(policy: &Policy, evidence: &ScenarioEvidence<'_>) -> Vec<Rule> {
    let mut rules = policy.rules_for(evidence.name);
    if evidence.shown().0.is_none() && evidence.name != SWEEP {
        for rule in &mut rules {
            rule.limits.regression = None;
        }
    }
    // A search also measures loads that exceed every budget; only a rule for that scenario applies.
    let chosen = evidence.shown().1.is_some_and(|scenario| scenario.adaptive);
    if chosen && !policy.scenarios.contains_key(evidence.name) {
        for rule in &mut rules {
            (rule.limits.max, rule.limits.min) = (None, None);
        }
    }
    if chosen || evidence.shown().0.is_none() {
        rules.retain(|rule| rule.limits != Limits::default());
    }
    rules
}

/// The level at which all warnings of all scenarios are judged, so that few of them are false.
fn warning_level<'a>(
    policy: &Policy,
    candidate: &'a Run,
    of_scenario: impl Fn(&'a str) -> ScenarioEvidence<'a>,
    terms: LookTerms,
) -> f64 {
    let mut p_values = Vec::new();
    for scenario in &candidate.scenarios {
        let evidence = of_scenario(&scenario.name);
        let rules = rules_here(policy, &evidence);
        let warnings = rules.iter().filter(|rule| !may_block(rule));
        p_values.extend(warnings.filter_map(|rule| p_value(rule, &evidence, terms)));
    }
    discovery_level(&p_values, FALSE_DISCOVERIES)
}

/// A rule that was decided at an earlier interim look stays decided while the new evidence does not decide: its share of α
/// or β is spent, and another look must not turn a block into an undecided rule.
fn keep_decision(judged: &mut Judged, before: &Comparison) {
    let now = &judged.judgement;
    // An implausible speed-up waits for a reason; no earlier look decides it.
    if now.status != Status::Inconclusive || now.if_believed.is_some() {
        return;
    }
    let earlier = before.judgements.iter().find(|earlier| {
        earlier.is_of_rule(now)
            && matches!(
                earlier.status,
                Status::Pass | Status::Improved | Status::Regressed
            )
    });
    if let Some(earlier) = earlier {
        let note = "; decided at an earlier interim look";
        let mut kept: Judgement = earlier.clone();
        if !kept.reason.ends_with(note) {
            kept.reason.push_str(note);
        }
        kept.rule.place.clone_from(&now.rule.place);
        judged.judgement = kept;
    }
}

/// Adds to an undecided rule why no further look at this commit can decide it.
fn explain_spent(row: &mut Judgement, before: Option<&Comparison>) {
    if row.status != Status::Inconclusive || row.if_believed.is_some() {
        return;
    }
    let asked_before = before.is_none_or(|before| {
        let mut rows = before.judgements.iter();
        rows.any(|earlier| earlier.is_of_rule(row))
    });
    row.reason.push_str(if asked_before {
        "; all interim looks at this commit are spent"
    } else {
        "; all interim looks at this commit were spent on another limit, and their result does not apply to this one"
    });
}

#[cfg(test)]
mod tests {
    use super::super::rule::{FirstRun, NoisePolicy};
    use super::super::{Labels, compare_runs};
    use super::*;
    use crate::metric::Metric;

    const METRICS: [&str; 8] = [
        "tpot.p95", "ttft.p50", "ttft.p95", "e2e.p50", "e2e.p95", "tpot.p50", "itl.p50", "itl.p95",
    ];

    /// Three repeats in which the first metric is `factor` times as large and the others are unchanged.
    fn run(factor: f64) -> Run {
        let repeat = |noise: f64| {
            let metrics = METRICS.iter().enumerate().map(|(index, id)| {
                let factor = if index == 0 { factor } else { 1.0 };
                format!("\"{id}\": {}", 0.02 * factor * noise)
            });
            format!(
                "{{\"metrics\": {{{}}}}}",
                metrics.collect::<Vec<_>>().join(", ")
            )
        };
        let repeats = [1.0, 1.005, 0.995].map(repeat).join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{repeats}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    fn policy(metrics: &[&str], action: Action) -> Policy {
        let rule = |id: &&str| Rule {
            metric: Metric::parse(id).unwrap(),
            limits: Limits {
                regression: Some(0.05),
                ..Limits::default()
            },
            action,
            explain: false,
            place: None,
        };
        Policy {
            rules: metrics.iter().map(rule).collect(),
            scenarios: std::collections::BTreeMap::new(),
            noise: NoisePolicy::default(),
            first_run: FirstRun::default(),
        }
    }

    fn first_status(policy: &Policy, factor: f64) -> Status {
        let comparison = compare_runs(policy, &run(1.0), &run(factor), Labels::default());
        comparison.judgements[0].status
    }

    #[test]
    fn a_warning_among_many_must_be_clearer_than_one_alone() {
        let alone = policy(&METRICS[..1], Action::Warn);
        let among_many = policy(&METRICS, Action::Warn);
        assert_eq!(first_status(&alone, 1.056), Status::Regressed);
        assert_eq!(first_status(&among_many, 1.056), Status::Inconclusive);
        assert_eq!(first_status(&among_many, 1.15), Status::Regressed);
    }

    #[test]
    fn a_block_among_many_must_be_clearer_than_one_alone() {
        let alone = policy(&METRICS[..1], Action::Block);
        let among_many = policy(&METRICS, Action::Block);
        assert_eq!(first_status(&alone, 1.08), Status::Regressed);
        assert_eq!(first_status(&among_many, 1.08), Status::Inconclusive);
        assert_eq!(first_status(&among_many, 1.15), Status::Regressed);
    }

    #[test]
    fn a_rule_that_is_undecided_against_its_shown_interval_explains_why() {
        let among_many = policy(&METRICS, Action::Block);
        let comparison = compare_runs(&among_many, &run(1.0), &run(1.08), Labels::default());
        insta::assert_snapshot!(comparison.judgements[0].reason, @"undecided: 95 % interval +3.2 % to +13.0 % (limit 5.0 %); with the error probability of this look (0.2 %), a change of 2.0 % or less is not ruled out");
        // The interval itself leaves it open.
        let comparison = compare_runs(&among_many, &run(1.0), &run(1.052), Labels::default());
        let reason = &comparison.judgements[0].reason;
        assert!(
            reason.starts_with("undecided") && reason.ends_with("(limit 5.0 %)"),
            "{reason}"
        );
    }
}
