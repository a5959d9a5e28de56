//! `thresholds.yaml`.

use std::collections::BTreeMap;

use super::fields::{self, Fields, boolean, bytes, duration, entries, number, one_of, percentage};
use super::node::{Key, Node};
use super::problem::{Code, Collector, Problems};
use super::yaml;
use crate::metric::{Better, Metric, Unit};
use crate::policy::rule::{Action, FirstRun, Limits, NoisePolicy, OnInconclusive, Policy, Rule};

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

fn read(root: &Node, collector: &mut Collector) -> Option<Policy> {
    let mut fields = Fields::of(root, "", collector)?;
    fields.require("version", "1", read_version);
    let before = fields.collector.count();
    let mut rules = fields
        .read("rules", |node, what, collector| {
            read_rules(node, what, &[], collector)
        })
        .unwrap_or_default();
    if let Some(node) = fields.take("slo") {
        add_slo(node, &mut rules, fields.collector);
    }
    let scenarios = fields
        .read("scenarios", |node, _, collector| {
            read_scenarios(node, &rules, collector)
        })
        .unwrap_or_default();
    // Invalid rules are already reported.
    let is_read = fields.collector.count() == before;
    let noise = fields.read("noise", read_noise).unwrap_or_default();
    let ways = [("pass", FirstRun::Pass), ("fail", FirstRun::Fail)];
    let first_run = fields.read("first_run", one_of(&ways)).unwrap_or_default();
    fields.finish();
    if is_read && rules.is_empty() && scenarios.values().all(Vec::is_empty) {
        let message = "the file has no rule, so every change would pass";
        let hint = "add `rules: {tpot.p95: {regression: 5%, action: block}}`";
        collector.push_with_hint(Code::MissingKey, &root.span, message, hint);
    }
    Some(Policy {
        rules,
        scenarios,
        noise,
        first_run,
    })
}

fn read_version(node: &Node, what: &str, collector: &mut Collector) -> Option<u32> {
    let version = number(0..=u32::MAX)(node, what, collector)?;
    if version == VERSION {
        return Some(version);
    }
    let message =
        format!("this perfgate reads version {VERSION} of thresholds.yaml, not {version}");
    collector.invalid(node, message)
}

fn read_scenarios(
    node: &Node,
    general: &[Rule],
    collector: &mut Collector,
) -> Option<BTreeMap<String, Vec<Rule>>> {
    let message = "`scenarios` must be a map of names and rules";
    let hint = "write `\"concurrency=64\": {tpot.p95: {regression: 8%}}`";
    let read = entries(node, message, Some(hint), collector)?
        .iter()
        .map(|(key, node)| {
            let place = format!("scenarios.{}", key.name);
            let rules = read_rules(node, &place, general, collector);
            (key.name.clone(), rules.unwrap_or_default())
        });
    Some(read.collect())
}

/// The rules of one map. Missing fields are inherited from `general`.
fn read_rules(
    node: &Node,
    place: &str,
    general: &[Rule],
    collector: &mut Collector,
) -> Option<Vec<Rule>> {
    let message = format!("`{place}` must be a map of metrics and rules");
    let read = entries(node, message, None, collector)?
        .iter()
        .filter_map(|(key, node)| {
            let metric = read_metric(key, collector)?;
            let inherited = general.iter().find(|rule| rule.metric == metric);
            let rule = read_rule(metric, node, place, inherited, collector)?;
            Some(Rule {
                place: Some(collector.place(key.span.start)),
                ..rule
            })
        });
    Some(read.collect())
}

fn read_metric(key: &Key, collector: &mut Collector) -> Option<Metric> {
    match Metric::parse(&key.name) {
        Ok(metric) if metric.better() == Better::Neither => {
            let message = format!(
                "`{metric}` is informational: it has no better direction, so it cannot have a rule"
            );
            collector.push(Code::InvalidValue, &key.span, message);
            None
        }
        Ok(metric) => Some(metric),
        Err(unknown) => {
            let message = format!("unknown metric `{}`", unknown.name);
            let hint = format!("the nearest is `{}`", unknown.nearest);
            collector.push_with_hint(Code::UnknownMetric, &key.span, message, hint);
            None
        }
    }
}

fn read_rule(
    metric: Metric,
    node: &Node,
    place: &str,
    inherited: Option<&Rule>,
    collector: &mut Collector,
) -> Option<Rule> {
    let mut fields = Fields::of(node, &format!("{place}.{metric}"), collector)?;
    let given = ["regression", "max", "min"].map(|name| fields.take(name).is_some());
    let mut rule = inherited.cloned().unwrap_or(Rule {
        metric,
        limits: Limits::default(),
        action: Action::Block,
        explain: false,
        place: None,
    });
    let regression = fields.read("regression", percentage(REGRESSIONS));
    let max = fields.read("max", budget(metric, Better::Lower));
    let min = fields.read("min", budget(metric, Better::Higher));
    rule.limits = Limits {
        regression: regression.or(rule.limits.regression),
        max: max.or(rule.limits.max),
        min: min.or(rule.limits.min),
    };
    let actions = [
        ("block", Action::Block),
        ("warn", Action::Warn),
        ("report", Action::Report),
    ];
    fields.update("action", &mut rule.action, one_of(&actions));
    fields.update("explain", &mut rule.explain, boolean);
    fields.finish();
    if inherited.is_none() && given == [false; 3] {
        let message = format!("the rule on `{metric}` has no limit");
        let hint = "add `regression: 5%`";
        collector.push_with_hint(Code::MissingKey, &node.span, message, hint);
        return None;
    }
    Some(rule)
}

/// Reads an absolute limit in the metric's unit. `for_better` is the better direction of metrics that such a limit suits.
fn budget(
    metric: Metric,
    for_better: Better,
) -> impl Fn(&Node, &str, &mut Collector) -> Option<f64> {
    move |node, _, collector| {
        if metric.better() != for_better {
            let (given, wanted) = if for_better == Better::Lower {
                ("max", "min")
            } else {
                ("min", "max")
            };
            let message =
                format!("`{given}` on `{metric}` would limit improvements, not regressions");
            collector.contradiction(node, message, format!("write `{wanted}`"));
            return None;
        }
        let what = metric.id();
        match metric.unit() {
            Unit::Seconds => duration(node, what, collector).map(|limit| limit.as_secs_f64()),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a size from a configuration file"
            )]
            Unit::Bytes => bytes(node, what, collector).map(|bytes| bytes as f64),
            Unit::Ratio => percentage(0.0..=1.0)(node, what, collector),
            Unit::RequestsPerSecond | Unit::TokensPerSecond | Unit::Tokens | Unit::Count => {
                number(0.0..=1e15)(node, what, collector)
            }
        }
    }
}

/// `slo: {ttft.p95: 200ms}`: a budget that blocks, merged into the rule of that metric if there is one. That rule must
/// block too: a rule has one action, and an SLO must not become a warning.
fn add_slo(node: &Node, rules: &mut Vec<Rule>, collector: &mut Collector) {
    let message = "`slo` must be a map of metrics and limits";
    let hint = "write `slo: {ttft.p95: 200ms}`";
    for (key, node) in entries(node, message, Some(hint), collector).unwrap_or_default() {
        let Some(metric) = read_metric(key, collector) else {
            continue;
        };
        let better = metric.better();
        let Some(bound) = budget(metric, better)(node, "slo", collector) else {
            continue;
        };
        let (name, limits) = if better == Better::Higher {
            (
                "min",
                Limits {
                    min: Some(bound),
                    ..Limits::default()
                },
            )
        } else {
            (
                "max",
                Limits {
                    max: Some(bound),
                    ..Limits::default()
                },
            )
        };
        match rules.iter_mut().find(|rule| rule.metric == metric) {
            Some(rule) if rule.limits.max.is_some() || rule.limits.min.is_some() => {
                let message =
                    format!("`{metric}` has a budget in `rules` and a second one in `slo`");
                let hint = "keep one of them";
                collector.push_with_hint(Code::Contradiction, &key.span, message, hint);
            }
            Some(rule) if rule.action != Action::Block => {
                let message =
                    format!("an SLO blocks, but the rule on `{metric}` has another action");
                let hint =
                    format!("give that rule `action: block`, or write the limit there as `{name}`");
                collector.push_with_hint(Code::Contradiction, &key.span, message, hint);
            }
            Some(rule) => {
                rule.limits.max = limits.max;
                rule.limits.min = limits.min;
            }
            None => rules.push(Rule {
                metric,
                limits,
                action: Action::Block,
                explain: false,
                place: Some(collector.place(key.span.start)),
            }),
        }
    }
}

fn read_noise(node: &Node, what: &str, collector: &mut Collector) -> Option<NoisePolicy> {
    let mut fields = Fields::of(node, what, collector)?;
    let mut noise = NoisePolicy::default();
    fields.update("max_repeats", &mut noise.max_repeats, number(1..=100));
    fields.update("max_pairs", &mut noise.max_pairs, number(2..=100));
    noise.budget = fields.read("budget", fields::budget);
    let ways = [
        ("auto", OnInconclusive::Auto),
        ("pass", OnInconclusive::Pass),
        ("fail", OnInconclusive::Fail),
    ];
    fields.update("on_inconclusive", &mut noise.on_inconclusive, one_of(&ways));
    fields.finish();
    Some(noise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::price::Budget;

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
    fn a_gate_may_have_a_budget() {
        let budget = |written: &str| {
            let source =
                format!("version: 1\nrules: {{qps: {{min: 1}}}}\nnoise: {{budget: {written}}}");
            read_policy("thresholds.yaml", &source).map(|policy| policy.noise.budget)
        };
        assert_eq!(budget("0.5gpu-h"), Ok(Some(Budget::GpuHours(0.5))));
        assert_eq!(budget("20m"), Ok(Some(Budget::Seconds(1200.0))));
        let problems = budget("0.5").unwrap_err();
        insta::assert_snapshot!(problems.problems[0].message, @"`noise.budget`: `0.5` is a budget without a unit");
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
