//! The smallest detectable regression against a baseline, known before a gate spends server starts on it.

use super::judge_all::{family, may_block};
use super::judged::{ScenarioEvidence, ratio, zone};
use super::look::GATE_LEVELS;
use super::noise::noise;
use super::rule::Policy;
use super::sentence::percent;
use crate::compare::SideValues;
use crate::record::Run;
use crate::stats::{Noise, smallest_detectable, stored};

/// One sentence for each blocking rule whose indifference zone a gate of as many repeats as `run` cannot resolve, with the noise of
/// the accepted sessions in `segment` and of the run itself.
pub fn too_noisy(policy: &Policy, run: &Run, segment: &[Run]) -> Vec<String> {
    let sessions: Vec<&Run> = segment.iter().collect();
    let alpha = GATE_LEVELS.shared_among(family(policy, run)).alpha;
    let mut found = Vec::new();
    for scenario in &run.scenarios {
        for rule in policy.rules_for(&scenario.name) {
            let metric = rule.metric;
            let Some(limit) = rule.limits.regression.filter(|_| may_block(&rule)) else {
                continue;
            };
            let side = SideValues::of(metric, Some(scenario));
            let smallest = side.logs.iter().copied().fold(f64::INFINITY, f64::min);
            let largest = side.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let logs = ScenarioEvidence {
                name: &scenario.name,
                stored: None,
                pairs: None,
                ledger: &sessions,
            }
            .sessions(metric);
            let level = side.values.iter().find_map(|value| value.value);
            let noise = Noise {
                // Noise of hosts and days does not come from the baseline.
                host: 0.0,
                ..noise(metric, level.unwrap_or(1.0), &logs)
            };
            // A candidate equal to the baseline in each repeat has the same noise and no change.
            let Some(estimate) = stored(&side.logs, &side.logs, &noise) else {
                continue;
            };
            let zone = zone(metric, limit);
            let detectable = smallest_detectable(&estimate, zone, alpha);
            if detectable > zone.high {
                found.push(format!(
                    "the repeats of {} at {} differ by {}: against this baseline the smallest detectable regression is {}, \
                     and the limit is {}",
                    metric.label(),
                    scenario.name,
                    percent((largest - smallest).exp_m1()),
                    percent(ratio(metric, detectable)),
                    percent(limit)
                ));
            }
        }
    }
    found
}
