//! `thresholds.yaml`.

use std::collections::BTreeMap;

use super::fields::{
    Fields, boolean, bytes, duration, number, percentage, report_duplicates, scalar,
};
use super::node::{Key, Node, Value};
use super::problem::{Code, Collector, Problems};
use super::yaml;
use crate::metric::{Better, Metric, Unit};
use crate::policy::rule::{Action, FirstRun, Limits, NoisePolicy, OnInconclusive, Policy, Rule};

/// The keys of the file, for its schema.
pub const POLICY_KEYS: [&str; 6] = ["version", "rules", "scenarios", "slo", "noise", "first_run"];

/// The supported version of the format.
const VERSION: u32 = 1;

/// Allowed regression limits. A smaller limit is within measurement noise; a loss cannot exceed 100 %.
const REGRESSIONS: std::ops::RangeInclusive<f64> = 0.001..=0.99;

/// Reads a `thresholds.yaml`. `file` is its name in messages.
pub fn read_policy(file: &str, source: &str) -> Result<Policy, Problems> {
    let mut collector = Collector::new(file, source);
    let policy = yaml::parse(source, "version: 1", &mut collector)
        .and_then(|root| read(&root, &mut collector));
    collector.finish(policy)
}

fn read(root: &Node, collector: &mut Collector<'_>) -> Option<Policy> {
    let mut fields = Fields::of(root, "", collector)?;
    if let Some(node) = fields.require("version", "1", collector) {
        read_version(node, collector);
    }
    let before = collector.count();
    let mut rules = fields
        .take("rules")
        .map(|node| read_rules(node, "rules", &[], collector))
        .unwrap_or_default();
    if let Some(node) = fields.take("slo") {
        add_slo(node, &mut rules, collector);
    }
    let scenarios = fields
        .take("scenarios")
        .and_then(|node| read_scenarios(node, &rules, collector))
        .unwrap_or_default();
    // Invalid rules are already reported.
    let not_yet_shown = collector.count() == before;
    let noise = fields
        .take("noise")
        .and_then(|node| read_noise(node, collector))
        .unwrap_or_default();
    let first_run = fields
        .take("first_run")
        .and_then(|node| read_first_run(node, collector))
        .unwrap_or_default();
    let span = fields.span();
    fields.finish(collector);
    if not_yet_shown && rules.is_empty() && scenarios.values().all(Vec::is_empty) {
        let hint = "add `rules: {tpot.p95: {regression: 5%, action: block}}`";
        collector.push_with_hint(
            Code::MissingKey,
            span,
            "the file has no rule, so every change would pass".to_owned(),
            hint,
        );
    }
    Some(Policy {
        rules,
        scenarios,
        noise,
        first_run,
    })
}

fn read_first_run(node: &Node, collector: &mut Collector<'_>) -> Option<FirstRun> {
    match scalar(node, "first_run", collector)? {
        "pass" => Some(FirstRun::Pass),
        "fail" => Some(FirstRun::Fail),
        other => {
            let message = format!("`first_run` must be `pass` or `fail`, not `{other}`");
            collector.push(Code::InvalidValue, node.span.clone(), message);
            None
        }
    }
}

fn read_version(node: &Node, collector: &mut Collector<'_>) {
    if let Some(version) = number(node, "version", &(0..=u32::MAX), collector)
        && version != VERSION
    {
        let message =
            format!("this perfgate reads version {VERSION} of thresholds.yaml, not {version}");
        collector.push(Code::InvalidValue, node.span.clone(), message);
    }
}

fn read_scenarios(
    node: &Node,
    general: &[Rule],
    collector: &mut Collector<'_>,
) -> Option<BTreeMap<String, Vec<Rule>>> {
    let Value::Mapping(entries) = &node.value else {
        let message = "`scenarios` must be a map of names and rules".to_owned();
        collector.push_with_hint(
            Code::InvalidValue,
            node.span.clone(),
            message,
            "write `\"concurrency=64\": {tpot.p95: {regression: 8%}}`",
        );
        return None;
    };
    report_duplicates(entries, collector);
    let read = entries.iter().map(|(key, node)| {
        let place = format!("scenarios.{}", key.name);
        (
            key.name.clone(),
            read_rules(node, &place, general, collector),
        )
    });
    Some(read.collect())
}

/// The rules of one map. Missing fields are inherited from `general`.
fn read_rules(
    node: &Node,
    place: &str,
    general: &[Rule],
    collector: &mut Collector<'_>,
) -> Vec<Rule> {
    let Value::Mapping(entries) = &node.value else {
        collector.push(
            Code::InvalidValue,
            node.span.clone(),
            format!("`{place}` must be a map of metrics and rules"),
        );
        return Vec::new();
    };
    report_duplicates(entries, collector);
    let read = entries.iter().filter_map(|(key, node)| {
        let metric = read_metric(key, collector)?;
        let inherited = general.iter().find(|rule| rule.metric == metric);
        let stands = collector.place(key.span.start);
        let rule = read_rule(metric, node, place, inherited, collector)?;
        Some(Rule {
            place: Some(stands),
            ..rule
        })
    });
    read.collect()
}

fn read_metric(key: &Key, collector: &mut Collector<'_>) -> Option<Metric> {
    let metric = match Metric::parse(&key.name) {
        Ok(metric) => metric,
        Err(unknown) => {
            let message = format!("unknown metric `{}`", unknown.name);
            let hint = format!("the nearest is `{}`", unknown.nearest);
            collector.push_with_hint(Code::UnknownMetric, key.span.clone(), message, hint);
            return None;
        }
    };
    if metric.better() == Better::Neither {
        let message = format!(
            "`{metric}` is informational: it has no better direction, so it cannot have a rule"
        );
        collector.push(Code::InvalidValue, key.span.clone(), message);
        return None;
    }
    Some(metric)
}

fn read_rule(
    metric: Metric,
    node: &Node,
    place: &str,
    inherited: Option<&Rule>,
    collector: &mut Collector<'_>,
) -> Option<Rule> {
    let mut fields = Fields::of(node, &format!("{place}.{metric}"), collector)?;
    let regression = fields
        .take("regression")
        .and_then(|node| percentage(node, "regression", &REGRESSIONS, collector));
    let max = fields
        .take("max")
        .and_then(|node| read_budget(metric, node, Better::Lower, collector));
    let min = fields
        .take("min")
        .and_then(|node| read_budget(metric, node, Better::Higher, collector));
    let action = fields
        .take("action")
        .map(|node| read_action(node, collector));
    let explain = fields
        .take("explain")
        .and_then(|node| boolean(node, "explain", collector));
    let given = ["regression", "max", "min"].map(|name| fields.take(name).is_some());
    let span = fields.span();
    fields.finish(collector);
    if inherited.is_none() && given == [false; 3] {
        let message = format!("the rule on `{metric}` has no limit");
        collector.push_with_hint(Code::MissingKey, span, message, "add `regression: 5%`");
        return None;
    }
    let usual = inherited.map(|rule| rule.limits).unwrap_or_default();
    Some(Rule {
        metric,
        limits: Limits {
            regression: regression.or(usual.regression),
            max: max.or(usual.max),
            min: min.or(usual.min),
        },
        action: match action {
            Some(action) => action?,
            None => inherited.map_or(Action::Block, |rule| rule.action),
        },
        explain: explain.unwrap_or_else(|| inherited.is_some_and(|rule| rule.explain)),
        place: None,
    })
}

fn read_action(node: &Node, collector: &mut Collector<'_>) -> Option<Action> {
    match scalar(node, "action", collector)? {
        "block" => Some(Action::Block),
        "warn" => Some(Action::Warn),
        "report" => Some(Action::Report),
        other => {
            let message = format!("`action` must be `block`, `warn` or `report`, not `{other}`");
            collector.push(Code::InvalidValue, node.span.clone(), message);
            None
        }
    }
}

/// An absolute limit in the metric's unit. `for_better` is the better direction of metrics that such a limit suits.
fn read_budget(
    metric: Metric,
    node: &Node,
    for_better: Better,
    collector: &mut Collector<'_>,
) -> Option<f64> {
    if metric.better() != for_better {
        let (given, wanted) = if for_better == Better::Lower {
            ("max", "min")
        } else {
            ("min", "max")
        };
        let message = format!("`{given}` on `{metric}` would limit improvements, not regressions");
        collector.push_with_hint(
            Code::Contradiction,
            node.span.clone(),
            message,
            format!("write `{wanted}`"),
        );
        return None;
    }
    match metric.unit() {
        Unit::Seconds => duration(node, metric.id(), collector).map(|limit| limit.as_secs_f64()),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a size from a configuration file"
        )]
        Unit::Bytes => bytes(node, metric.id(), collector).map(|bytes| bytes as f64),
        Unit::Ratio => percentage(node, metric.id(), &(0.0..=1.0), collector),
        Unit::RequestsPerSecond | Unit::TokensPerSecond | Unit::Tokens | Unit::Count => {
            number(node, metric.id(), &(0.0..=1e15), collector)
        }
    }
}

/// `slo: {ttft.p95: 200ms}`: a budget that blocks, merged into the rule of that metric if there is one. That rule must
/// block too: a rule has one action, and an SLO must not become a warning.
fn add_slo(node: &Node, rules: &mut Vec<Rule>, collector: &mut Collector<'_>) {
    let Value::Mapping(entries) = &node.value else {
        let message = "`slo` must be a map of metrics and limits".to_owned();
        collector.push_with_hint(
            Code::InvalidValue,
            node.span.clone(),
            message,
            "write `slo: {ttft.p95: 200ms}`",
        );
        return;
    };
    report_duplicates(entries, collector);
    for (key, node) in entries {
        let Some(metric) = read_metric(key, collector) else {
            continue;
        };
        let Some(bound) = read_budget(metric, node, metric.better(), collector) else {
            continue;
        };
        let budget = match metric.better() {
            Better::Higher => Limits {
                min: Some(bound),
                ..Limits::default()
            },
            Better::Lower | Better::Neither => Limits {
                max: Some(bound),
                ..Limits::default()
            },
        };
        match rules.iter_mut().find(|rule| rule.metric == metric) {
            Some(rule) if rule.limits.max.is_some() || rule.limits.min.is_some() => {
                let message =
                    format!("`{metric}` has a budget in `rules` and a second one in `slo`");
                collector.push_with_hint(
                    Code::Contradiction,
                    key.span.clone(),
                    message,
                    "keep one of them",
                );
            }
            Some(rule) if rule.action != Action::Block => {
                let message =
                    format!("an SLO blocks, but the rule on `{metric}` has another action");
                let limit = if budget.max.is_some() { "max" } else { "min" };
                let hint = format!(
                    "give that rule `action: block`, or write the limit there as `{limit}`"
                );
                collector.push_with_hint(Code::Contradiction, key.span.clone(), message, hint);
            }
            Some(rule) => {
                rule.limits.max = budget.max;
                rule.limits.min = budget.min;
            }
            None => rules.push(Rule {
                metric,
                limits: budget,
                action: Action::Block,
                explain: false,
                place: Some(collector.place(key.span.start)),
            }),
        }
    }
}

fn read_noise(node: &Node, collector: &mut Collector<'_>) -> Option<NoisePolicy> {
    let mut fields = Fields::of(node, "noise", collector)?;
    let usual = NoisePolicy::default();
    let max_repeats = fields
        .take("max_repeats")
        .and_then(|node| number(node, "noise.max_repeats", &(1..=100), collector));
    let on_inconclusive = fields.take("on_inconclusive").and_then(|node| {
        match scalar(node, "on_inconclusive", collector)? {
            "auto" => Some(OnInconclusive::Auto),
            "pass" => Some(OnInconclusive::Pass),
            "fail" => Some(OnInconclusive::Fail),
            other => {
                let message =
                    format!("`on_inconclusive` must be `auto`, `pass` or `fail`, not `{other}`");
                collector.push(Code::InvalidValue, node.span.clone(), message);
                None
            }
        }
    });
    fields.finish(collector);
    Some(NoisePolicy {
        max_repeats: max_repeats.unwrap_or(usual.max_repeats),
        on_inconclusive: on_inconclusive.unwrap_or(usual.on_inconclusive),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_policy_is_the_documented_file() {
        let source = "\
version: 1
rules:
  tpot.p95:        {regression: 5%,  action: block}
  throughput:      {regression: 5%,  action: block}
  ttft.p95:        {regression: 10%, action: warn, explain: true}     # the author is asked for an explanation
  gpu_memory.peak: {regression: 10%, action: report}                  # blocks until an analysis report is given
noise:
  max_repeats: 10
  on_inconclusive: auto        # auto | pass | fail
";
        let mut policy = read_policy("thresholds.yaml", source).unwrap();
        let places: Vec<String> = policy
            .rules
            .iter_mut()
            .filter_map(|rule| rule.place.take())
            .map(|place| format!("{}:{}", place.file, place.line))
            .collect();
        assert_eq!(policy, Policy::standard());
        assert_eq!(
            places,
            [3, 4, 5, 6].map(|line| format!("thresholds.yaml:{line}"))
        );
    }

    #[test]
    fn a_scenario_inherits_missing_fields() {
        let source = "version: 1\nrules: {ttft.p95: {regression: 10%, action: warn, explain: true}}\nscenarios: {\"concurrency=64\": {ttft.p95: {regression: 20%}, e2e.p95: {max: 10s}}}";
        let policy = read_policy("thresholds.yaml", source).unwrap();
        let rules = policy.rules_for("concurrency=64");
        assert_eq!(
            (
                rules[0].limits.regression,
                rules[0].action,
                rules[0].explain
            ),
            (Some(0.2), Action::Warn, true)
        );
        assert_eq!(
            (rules[1].limits.max, rules[1].action),
            (Some(10.0), Action::Block)
        );
    }

    #[test]
    fn an_slo_is_a_budget_that_blocks() {
        let source = "version: 1\nrules: {ttft.p95: {regression: 10%}}\nslo: {ttft.p95: 200ms, throughput: 3000}";
        let rules = read_policy("thresholds.yaml", source).unwrap().rules;
        assert_eq!(
            (
                rules[0].limits.regression,
                rules[0].limits.max,
                rules[0].action
            ),
            (Some(0.1), Some(0.2), Action::Block)
        );
        assert_eq!(
            (rules[1].limits.min, rules[1].action),
            (Some(3000.0), Action::Block)
        );
    }

    #[test]
    fn an_slo_never_becomes_a_warning_by_a_rule_of_its_metric() {
        for action in ["warn", "report"] {
            let source = format!(
                "version: 1\nrules: {{ttft.p95: {{regression: 10%, action: {action}}}}}\nslo: {{ttft.p95: 200ms}}"
            );
            let problems = read_policy("thresholds.yaml", &source).unwrap_err();
            assert_eq!(problems.problems[0].code, Code::Contradiction);
            insta::allow_duplicates! {
                insta::assert_snapshot!(problems.problems[0].message, @"an SLO blocks, but the rule on `ttft.p95` has another action");
            }
        }
    }

    #[test]
    fn invalid_rules_are_not_also_reported_as_missing() {
        let source = "version: 1\nrules: {ttft.p59: {regression: 10%}}";
        let problems = read_policy("thresholds.yaml", source).unwrap_err();
        assert_eq!(problems.problems.len(), 1, "{problems}");
    }

    #[test]
    fn every_problem_is_shown_at_once_with_its_line() {
        let source = "\
version: 2
rules:
  tpot.p95: {regression: 0.05}
  tpot.p59: {regression: 5%}
  throughput: {regression: 5%, action: fail}
  throughput: {regression: 50%}
  ttft.p95: {max: 200}
  e2e.p95: {min: 1s}
  gpu_utilization.mean: {regression: 5%}
  qps: {}
noise: {max_repeats: 0, on_inconclusive: maybe}
rule: {}
";
        insta::assert_snapshot!(
            read_policy("thresholds.yaml", source)
                .unwrap_err()
                .to_string()
        );
    }

    #[test]
    fn a_file_without_rules_is_refused() {
        let problems = read_policy("thresholds.yaml", "version: 1\n").unwrap_err();
        assert_eq!(problems.problems[0].code, Code::MissingKey);
    }
}
