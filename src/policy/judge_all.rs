//! Every rule in every scenario: who shares α, which warnings are discoveries, which decisions stand.

use super::errors::too_many_errors;
use super::judge::{Judged, LookTerms, ScenarioEvidence, judge, p_value};
use super::rule::{Action, Limits, Policy, Rule};
use super::verdict::{BETA, ThisLook};
use crate::compare::ComparableInputs;
use crate::record::Run;
use crate::record::format::SWEEP;
use crate::report::comparison::{Comparison, Judgement, Status};
use crate::stats::{ErrorLevels, InterimLook, discovery_level};

/// Largest accepted share of false ones among the warnings.
const FALSE_DISCOVERIES: f64 = 0.10;

/// Rules × scenarios that may block, among which α is shared.
pub(super) fn family(policy: &Policy, candidate: &Run) -> u32 {
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
    let shared = LookTerms {
        levels: ErrorLevels {
            alpha: this_look.levels.alpha / f64::from(family(policy, candidate).max(1)),
            beta: this_look.levels.beta,
        },
        look: this_look.look,
        anytime: this_look.anytime,
        has_reason: this_look.analysis.is_some(),
    };
    let mut judged = Vec::new();
    // A scenario that the policy names and the run does not have is misspelt or was dropped: its rules are missing, and
    // that does not pass.
    for (name, rules) in &policy.scenarios {
        if candidate.scenario(name).is_none() {
            judged.extend(
                rules
                    .iter()
                    .map(|rule| judge(rule, &of_scenario(usable, name), shared)),
            );
        }
    }
    // A rule about a sweep where nothing was swept, or about load points where there is none, is missing too.
    let none_here = |rule: &&Rule| {
        let mut scenarios = candidate.scenarios.iter();
        !candidate.scenarios.is_empty() && !scenarios.any(|scenario| rule.holds_in(&scenario.name))
    };
    judged.extend(
        policy
            .rules
            .iter()
            .filter(none_here)
            .map(|rule| judge(rule, &of_scenario(usable, SWEEP), shared)),
    );
    // A warning spends nothing and never asks for more evidence: every look at it is a look at all there is.
    let warnings = LookTerms {
        levels: ErrorLevels {
            alpha: warning_level(policy, usable, candidate, shared),
            beta: BETA,
        },
        look: InterimLook::only(0),
        anytime: false,
        has_reason: this_look.analysis.is_some(),
    };
    for scenario in &candidate.scenarios {
        let evidence = of_scenario(usable, &scenario.name);
        let rules = rules_here(policy, &evidence);
        for rule in &rules {
            let care = if may_block(rule) { shared } else { warnings };
            judged.push(judge(rule, &evidence, care));
        }
        // A search also goes where its server fails.
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
    if this_look.look.is_spent() && !this_look.anytime {
        for judged in judged
            .iter_mut()
            .filter(|judged| judged.care.look.is_spent())
        {
            say_spent(&mut judged.judgement, this_look.before);
        }
    }
    judged
}

fn of_scenario<'a>(usable: &'a ComparableInputs<'a>, name: &'a str) -> ScenarioEvidence<'a> {
    let sides = |runs: (&'a Run, &'a Run)| (runs.0.scenario(name), runs.1.scenario(name));
    ScenarioEvidence {
        name,
        stored: usable.stored.map(sides),
        pairs: usable.pairs.map(sides),
        ledger: &usable.ledger,
    }
}

/// The rules of a scenario. A load point that the baseline never had is said to be new and judged by nothing but its
/// budgets. A capacity without an accepted one is missing: a sweep has one or has not.
fn rules_here(policy: &Policy, evidence: &ScenarioEvidence<'_>) -> Vec<Rule> {
    let mut rules = policy.rules_for(evidence.name);
    if evidence.shown().0.is_none() && evidence.name != SWEEP {
        for rule in &mut rules {
            rule.limits.regression = None;
        }
    }
    // A search also measures loads that break every budget; only a rule that names one can be about it.
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

/// The level at which every warning of every scenario is judged, so that few of them are false.
fn warning_level(
    policy: &Policy,
    usable: &ComparableInputs<'_>,
    candidate: &Run,
    care: LookTerms,
) -> f64 {
    let mut p_values = Vec::new();
    for scenario in &candidate.scenarios {
        let evidence = of_scenario(usable, &scenario.name);
        let rules = rules_here(policy, &evidence);
        let warnings = rules.iter().filter(|rule| !may_block(rule));
        p_values.extend(warnings.filter_map(|rule| p_value(rule, &evidence, care)));
    }
    discovery_level(&p_values, FALSE_DISCOVERIES)
}

/// A rule that was decided at an earlier look stays decided while the new evidence only leaves it open: its share of α
/// or β is spent, and looking again must not talk a block away.
fn keep_decision(judged: &mut Judged, before: &Comparison) {
    let now = &judged.judgement;
    // What is too good to be true was not decided by any evidence, and no earlier look decides it.
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
        let note = "; decided at an earlier look";
        let mut kept: Judgement = earlier.clone();
        if !kept.reason.ends_with(note) {
            kept.reason.push_str(note);
        }
        kept.rule.place.clone_from(&now.rule.place);
        judged.judgement = kept;
    }
}

/// Says of a rule that no look at this commit can decide any more why that is so.
fn say_spent(row: &mut Judgement, before: Option<&Comparison>) {
    if row.status != Status::Inconclusive || row.if_believed.is_some() {
        return;
    }
    let asked_before = before.is_none_or(|before| {
        let mut rows = before.judgements.iter();
        rows.any(|earlier| earlier.is_of_rule(row))
    });
    row.reason.push_str(if asked_before {
        "; every interim look at this commit is spent"
    } else {
        "; every look at this commit was spent on another limit, and what that decided is no answer to this one"
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

    /// Three repeats in which the first metric is `factor` times as large and the others are as ever.
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
        assert_eq!(first_status(&alone, 1.06), Status::Regressed);
        assert_eq!(first_status(&among_many, 1.06), Status::Inconclusive);
        assert_eq!(first_status(&among_many, 1.15), Status::Regressed);
    }
}
