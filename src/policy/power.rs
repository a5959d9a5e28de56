//! How many repeats or pairs a limit needs to detect a regression that must not pass.

use super::judge_all::may_block;
use super::judged::{ratio, zone};
use super::look::GATE_LEVELS;
use super::rule::{Policy, Rule};
use crate::metric::Metric;
use crate::stats::{
    ErrorLevels, Estimate, InterimLook, Noise, Outcome, PAIR_LOOKS, decide, smallest_detectable,
};

/// The evidence that one blocking rule needs at this noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// The rule's metric.
    pub metric: Metric,
    /// Its limit.
    pub limit: f64,
    /// Fewest repeats of the candidate that decide against a stored baseline of as many; `None`: host noise prevents it.
    pub repeats: Option<u32>,
    /// Fewest alternating pairs that decide; `None`: no interim look has enough.
    pub pairs: Option<u32>,
    /// The smallest detectable regression of the last look at pairs (blocked 80 % of the time), as a ratio.
    pub smallest: f64,
}

/// The needs of every blocking rule with a relative limit. `family` rules share α; `noise` gives the noise of a metric.
pub fn needs(policy: &Policy, family: u32, noise: impl Fn(Metric) -> Option<Noise>) -> Vec<Needs> {
    let levels = GATE_LEVELS.shared_among(family);
    let of_rule = |rule: &Rule| {
        let limit = rule.limits.regression.filter(|_| may_block(rule))?;
        let (metric, most) = (rule.metric, policy.noise.max_repeats);
        Some(needs_of(metric, limit, noise(metric)?, levels, most))
    };
    policy.rules.iter().filter_map(of_rule).collect()
}

fn needs_of(metric: Metric, limit: f64, noise: Noise, levels: ErrorLevels, most: u32) -> Needs {
    let zone = zone(metric, limit);
    let unchanged = Estimate {
        baseline: 0.0,
        candidate: 0.0,
        delta: 0.0,
        standard_error: 0.0,
        degrees_of_freedom: 1.0,
        repeat_noise: noise.repeat,
        host_noise: noise.host,
        noisier: false,
        doubtful: false,
        clipped: false,
    };
    // Enough evidence: an unchanged candidate passes, and a regression at the high edge blocks.
    let enough = |estimate: Estimate, levels: ErrorLevels| {
        let at = |delta| Estimate { delta, ..estimate };
        decide(&at(0.0), zone, levels) == Outcome::Pass
            && decide(&at(zone.high), zone, levels) == Outcome::Fail
    };
    let pairs = PAIR_LOOKS
        .into_iter()
        .find(|look| enough(unchanged.with_pairs(look.at, &noise), levels.at(*look)));
    let last = PAIR_LOOKS[PAIR_LOOKS.len() - 1];
    let at_last = unchanged.with_pairs(last.at, &noise);
    let smallest = smallest_detectable(&at_last, zone, levels.at(last).alpha);
    let repeats = (2..=most).find(|count| {
        let estimate = unchanged.with_repeats(*count, *count, &noise);
        enough(estimate, levels.at(InterimLook::only(*count)))
    });
    Needs {
        metric,
        limit,
        repeats,
        pairs: pairs.map(|look| look.at),
        smallest: ratio(metric, smallest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(repeat: f64, host: f64) -> Needs {
        let noise = Noise {
            repeat,
            host,
            degrees_of_freedom: 20.0,
            sessions: 20,
        };
        needs(&Policy::standard(), 3, |_| Some(noise))[0]
    }

    #[test]
    fn quiet_starts_need_few_repeats_and_noisy_hosts_need_pairs() {
        let quiet = with(0.005, 0.001);
        assert!(
            quiet.repeats.unwrap() <= 3 && quiet.pairs == Some(3),
            "{quiet:?}"
        );
        let hosts = with(0.005, 0.03);
        assert!(
            hosts.repeats.is_none() && hosts.pairs == Some(3),
            "{hosts:?}"
        );
        let noisy = with(0.10, 0.02);
        assert!(noisy.pairs.is_none() && noisy.smallest > 0.08, "{noisy:?}");
    }
}
