//! The smallest detectable regression against a baseline, known before a gate spends server starts on it.

use super::judge_all::{family, may_block};
use super::judged::{ratio, repeats_of, sessions, zone};
use super::look::GATE_LEVELS;
use super::noise;
use super::rule::Policy;
use super::sentence::percent;
use crate::compare::SideValues;
use crate::record::Run;
use crate::stats::{self, Evidence, Noise};

/// One sentence for each blocking rule whose indifference zone a gate of as many repeats as `run` cannot resolve, with the noise of
/// the accepted sessions in `segment` and of the run itself.
pub fn too_noisy(policy: &Policy, run: &Run, segment: &[Run]) -> Vec<String> {
    let segment: Vec<&Run> = segment.iter().collect();
    let levels = GATE_LEVELS.shared_among(family(policy, run));
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
            let step = noise::step_of(metric, &side);
            let known = repeats_of(&sessions(metric, &scenario.name, None, &segment));
            let repeats = side.repeats();
            // A candidate equal to the baseline in each repeat has the same noise and no change.
            let values = stats::replicates(&repeats, &repeats, &known, step, noise::assumed(step));
            let zone = zone(metric, limit);
            let evidence = Evidence {
                stored: &values.stored,
                candidate: &values.candidate,
                pairs: &[],
                noise: Noise {
                    // Noise of hosts and days does not come from the baseline.
                    host: 0.0,
                    ..values.noise
                },
                is_host_known: true,
                step,
                start_variance: values.start_variance,
            };
            let Some((look, shown)) = evidence
                .look(zone, levels)
                .and_then(|look| Some((look, look.shown()?)))
            else {
                continue;
            };
            let detectable = shown.estimate.smallest_detectable(&look.test, levels.alpha);
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
