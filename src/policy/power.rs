//! How many repeats or pairs a limit needs to detect a regression that must not pass.

use super::judge_all::may_block;
use super::judged::{ratio, zone};
use super::look::GATE_LEVELS;
use super::rule::{Policy, Rule};
use crate::metric::Metric;
use crate::stats::{ErrorLevels, MOST_PAIRS, Noise, Outcome, PairSchedule, Projection};

/// The evidence that one blocking rule needs at this noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// The rule's metric.
    pub metric: Metric,
    /// Its limit.
    pub limit: f64,
    /// Fewest repeats of the candidate that decide against a stored baseline of as many; `None`: host noise prevents it.
    pub repeats: Option<u32>,
    /// Fewest alternating pairs that decide; `None`: the most are not enough.
    pub pairs: Option<u32>,
    /// The smallest detectable regression of the last look at pairs (blocked 80 % of the time), as a ratio.
    pub smallest: f64,
}

/// The needs of every blocking rule with a relative limit. `family` rules share α; `noise` gives the noise of a metric.
pub fn needs(policy: &Policy, family: u32, noise: impl Fn(Metric) -> Option<Noise>) -> Vec<Needs> {
    let levels = GATE_LEVELS.shared_among(family);
    let schedule = PairSchedule::new(levels, 1, MOST_PAIRS);
    let of_rule = |rule: &Rule| {
        let limit = rule.limits.regression.filter(|_| may_block(rule))?;
        let (metric, most) = (rule.metric, policy.noise.max_repeats);
        Some(needs_of(
            metric,
            limit,
            noise(metric)?,
            &schedule,
            levels,
            most,
        ))
    };
    policy.rules.iter().filter_map(of_rule).collect()
}

fn needs_of(
    metric: Metric,
    limit: f64,
    noise: Noise,
    schedule: &PairSchedule,
    levels: ErrorLevels,
    most: u32,
) -> Needs {
    let zone = zone(metric, limit);
    // Enough evidence: an unchanged candidate passes, and a regression at the high edge blocks.
    let [unchanged, regressed] =
        [0.0, zone.high].map(|delta| Projection::expected(noise, zone, delta));
    let pairs = (1..=MOST_PAIRS).find(|pairs| {
        let of = |change: Projection| change.in_pairs(*pairs, schedule.at(*pairs)).1.outcome;
        of(unchanged) == Outcome::Pass && of(regressed) == Outcome::Fail
    });
    let (test, at_last) = unchanged.in_pairs(MOST_PAIRS, schedule.at(MOST_PAIRS));
    let smallest = at_last.smallest_detectable(&test, test.levels.alpha);
    let repeats = (2..=most).find(|count| {
        let of = |change: Projection| change.in_repeats(*count, *count, levels).1.outcome;
        of(unchanged) == Outcome::Pass && of(regressed) == Outcome::Fail
    });
    Needs {
        metric,
        limit,
        repeats,
        pairs,
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
            quiet.repeats.unwrap() <= 3 && quiet.pairs.unwrap() <= 3,
            "{quiet:?}"
        );
        let hosts = with(0.005, 0.03);
        assert!(
            hosts.repeats.is_none() && hosts.pairs.unwrap() <= 3,
            "{hosts:?}"
        );
        let noisy = with(0.10, 0.02);
        assert!(noisy.pairs.is_none() && noisy.smallest > 0.08, "{noisy:?}");
    }
}
