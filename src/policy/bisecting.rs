//! The rules by which a search judges its commits.

use super::rule::{Action, Policy};
use crate::report::comparison::{Comparison, Status};

/// The rules that judge the commits of a search: those that the bad end violates. A regression of another rule is not what
/// the search looks for, and a rule that stays undecided would leave clear commits undecided.
#[must_use]
pub fn searched(policy: &Policy, bad_end: &Comparison) -> Policy {
    let is_broken = |metric, scenario: Option<&str>| {
        bad_end.judgements.iter().any(|row| {
            row.metric == metric
                && row.status == Status::Regressed
                && row.rule.action != Action::Warn
                && scenario.is_none_or(|scenario| row.scenario == scenario)
        })
    };
    let mut policy = policy.clone();
    policy.rules.retain(|rule| is_broken(rule.metric, None));
    for (scenario, rules) in &mut policy.scenarios {
        rules.retain(|rule| is_broken(rule.metric, Some(scenario)));
    }
    policy.scenarios.retain(|_, rules| !rules.is_empty());
    policy
}

#[cfg(test)]
mod tests {
    use super::super::{Labels, bisect_outcome, compare_runs};
    use super::*;
    use crate::stats::Outcome;

    /// Three repeats with those factors on TPOT and throughput.
    fn run(tpot: f64, throughput: f64) -> crate::record::Run {
        let repeat = |noise: f64| {
            format!(
                r#"{{"metrics":{{"tpot.p95":{},"throughput":{},"ttft.p95":0.1,"gpu_memory.peak":1e9}}}}"#,
                0.02 * tpot * noise,
                3000.0 * throughput * noise
            )
        };
        let repeats = [1.0, 1.001, 0.999].map(repeat).join(",");
        let json = format!(
            r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"c","repeats":[{repeats}]}}]}}"#
        );
        crate::record::parse("a.json", json.as_bytes()).unwrap()
    }

    #[test]
    fn a_search_uses_only_the_rules_that_the_bad_end_violates() {
        let policy = Policy::standard();
        let comparison = compare_runs(&policy, &run(1.0, 1.0), &run(1.2, 1.0), Labels::default());
        assert_eq!(bisect_outcome(&comparison), Some(Outcome::Fail));
        let ids = |policy: &Policy| -> Vec<&str> {
            policy.rules.iter().map(|rule| rule.metric.id()).collect()
        };
        assert_eq!(ids(&searched(&policy, &comparison)), ["tpot.p95"]);
        let innocent = compare_runs(&policy, &run(1.0, 1.0), &run(1.0, 1.0), Labels::default());
        assert_eq!(bisect_outcome(&innocent), Some(Outcome::Pass));
        assert!(searched(&policy, &innocent).rules.is_empty());
    }
}
