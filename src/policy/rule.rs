//! The checked content of `thresholds.yaml`: rules with limits and actions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::record::format::SWEEP;
use crate::report::price::Budget;
pub use crate::report::rule::{Action, OnInconclusive, Place};
use crate::stats::MOST_PAIRS;

/// The limits of one rule, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Largest relative change for the worse, 0.05 for 5 %.
    pub regression: Option<f64>,
    /// Largest allowed value, in the metric's base unit.
    pub max: Option<f64>,
    /// Smallest allowed value, in the metric's base unit.
    pub min: Option<f64>,
}

/// One rule of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The metric it watches.
    pub metric: Metric,
    /// Its limits.
    pub limits: Limits,
    /// What happens when a limit is exceeded.
    pub action: Action,
    /// Whether the author of the change is asked for an explanation.
    pub explain: bool,
    /// File and line of the rule; `None` for a standard rule.
    pub place: Option<Place>,
}

impl Rule {
    /// Whether a general rule applies to this kind of scenario.
    pub fn holds_in(&self, scenario: &str) -> bool {
        self.metric.is_capacity() == (scenario == SWEEP)
    }
}

/// What a gate without a baseline does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstRun {
    /// Passes within its budgets, with a warning that nothing was compared.
    Pass,
    /// Fails with exit code 4.
    #[default]
    Fail,
}

/// How much evidence a gate may collect, and what happens when it does not decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoisePolicy {
    /// Most repeats of the candidate that one gate may run without the base version.
    pub max_repeats: u32,
    /// Most alternating pairs that one gate may run with the base version.
    pub max_pairs: u32,
    /// The most that one run of a gate may cost; `None`: no limit.
    pub budget: Option<Budget>,
    /// What an undecided comparison does.
    pub on_inconclusive: OnInconclusive,
}

impl Default for NoisePolicy {
    fn default() -> Self {
        Self {
            max_repeats: 10,
            max_pairs: MOST_PAIRS,
            budget: None,
            on_inconclusive: OnInconclusive::Auto,
        }
    }
}

/// A checked `thresholds.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// One rule per metric, in the order of the file; they apply in every scenario.
    pub rules: Vec<Rule>,
    /// Scenario name → rules that replace or add to `rules` there. Already merged with what they inherit.
    pub scenarios: BTreeMap<String, Vec<Rule>>,
    /// Evidence and undecided comparisons.
    pub noise: NoisePolicy,
    /// What happens without a baseline.
    pub first_run: FirstRun,
}

impl Policy {
    /// The four rules that apply without a `thresholds.yaml`.
    pub fn standard() -> Self {
        let rule = |metric, regression, action, explain| Rule {
            metric,
            limits: Limits {
                regression: Some(regression),
                ..Limits::default()
            },
            action,
            explain,
            place: None,
        };
        Self {
            rules: vec![
                rule(Metric::TPOT_P95, 0.05, Action::Block, false),
                rule(Metric::THROUGHPUT, 0.05, Action::Block, false),
                rule(Metric::TTFT_P95, 0.10, Action::Warn, true),
                rule(Metric::GPU_MEMORY_PEAK, 0.10, Action::Report, false),
            ],
            scenarios: BTreeMap::new(),
            noise: NoisePolicy::default(),
            first_run: FirstRun::default(),
        }
    }

    /// The rules that apply in one scenario: for each metric its own rule, else the general one. Rules on `capacity.…` apply to
    /// a sweep as a whole, all others to its load points.
    pub fn rules_for(&self, scenario: &str) -> Vec<Rule> {
        let own = self.scenarios.get(scenario).map_or(&[][..], Vec::as_slice);
        let general = self.rules.iter().filter(|rule| {
            rule.holds_in(scenario)
                && own
                    .iter()
                    .all(|replacement| replacement.metric != rule.metric)
        });
        general.chain(own).cloned().collect()
    }

    /// The same policy with every relative limit set to `regression` (`--threshold`).
    #[must_use]
    pub fn with_threshold(mut self, regression: f64) -> Self {
        let scenario_rules = self.scenarios.values_mut().flatten();
        for rule in self.rules.iter_mut().chain(scenario_rules) {
            if rule.limits.regression.is_some() {
                rule.limits.regression = Some(regression);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_policy_has_the_four_documented_rules() {
        let ids: Vec<&str> = Policy::standard()
            .rules
            .iter()
            .map(|rule| rule.metric.id())
            .collect();
        assert_eq!(
            ids,
            ["tpot.p95", "throughput", "ttft.p95", "gpu_memory.peak"]
        );
    }

    #[test]
    fn a_rule_of_a_scenario_replaces_the_general_one_for_its_metric_only() {
        let mut policy = Policy::standard();
        let own = Rule {
            action: Action::Warn,
            ..policy.rules[0].clone()
        };
        policy
            .scenarios
            .insert("concurrency=1".to_owned(), vec![own.clone()]);
        let rules = policy.rules_for("concurrency=1");
        assert_eq!(rules.len(), 4);
        assert_eq!(
            rules.iter().find(|rule| rule.metric == own.metric),
            Some(&own)
        );
        assert_eq!(policy.rules_for("concurrency=4"), Policy::standard().rules);
    }
}
