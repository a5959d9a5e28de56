//! Number of valid repeats and alternating pairs, in the load point with the fewest.

use std::collections::BTreeSet;

use super::format::{Repeat, ResultFile};
use super::valid::Run;
use crate::metric::Metric;

impl Repeat {
    /// The value of a metric, if measured.
    pub fn metric(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(metric.id()).copied().flatten()
    }

    /// The values of the metrics that are in the catalogue.
    pub(super) fn known_metrics(&self) -> impl Iterator<Item = (Metric, f64)> {
        let metrics = self.metrics.iter();
        metrics.filter_map(|(id, value)| Some((Metric::parse(id).ok()?, (*value)?)))
    }

    /// Warnings about the repeat, in sentences.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.telemetry.warnings.iter().map(String::as_str)
    }
}

impl ResultFile {
    /// The number of server starts if repeats of a scenario share one; `None` if every repeat has its own, or if that is unknown.
    pub fn shared_starts(&self) -> Option<u32> {
        let repeats = self.scenarios.iter().flat_map(|scenario| &scenario.repeats);
        let starts: Option<BTreeSet<&str>> =
            repeats.map(|repeat| repeat.start.as_deref()).collect();
        let starts = starts?.len();
        let mut scenarios = self.scenarios.iter();
        let is_shared = scenarios.any(|scenario| scenario.repeats.len() > starts);
        is_shared.then(|| u32::try_from(starts).unwrap_or(u32::MAX))
    }

    /// Repeats that are not void.
    pub fn counting_repeats(&self) -> u32 {
        let of_scenario = |scenario: &super::format::Scenario| {
            let counting = scenario
                .repeats
                .iter()
                .filter(|repeat| repeat.void.is_none());
            counting.count()
        };
        fewest(self.scenarios.iter().map(of_scenario))
    }

    /// Pairs of repeats at the same position, both not void.
    pub fn counting_pairs(&self, other: &Self) -> u32 {
        let both = self.scenarios.iter().zip(&other.scenarios);
        fewest(both.map(|(one, other)| {
            let pairs = one.repeats.iter().zip(&other.repeats);
            pairs
                .filter(|(one, other)| one.void.is_none() && other.void.is_none())
                .count()
        }))
    }
}

impl Run {
    /// Repeats that are not void; copies are void.
    pub fn counting_repeats(&self) -> u32 {
        fewest(
            self.scenarios
                .iter()
                .map(|scenario| scenario.counting().count()),
        )
    }

    /// Pairs of repeats at the same position, both not void.
    pub fn counting_pairs(&self, other: &Self) -> u32 {
        fewest(self.scenarios.iter().map(|one| {
            let other = other
                .scenario(&one.name)
                .map_or(&[][..], |other| &other.repeats);
            let pairs = one.repeats.iter().zip(other);
            pairs
                .filter(|(one, other)| one.void.is_none() && other.void.is_none())
                .count()
        }))
    }
}

impl Run {
    /// The same run with later repeats of the same version after its own.
    #[must_use]
    pub fn followed_by(mut self, later: Self) -> Self {
        for scenario in later.scenarios {
            let known = self.scenarios.iter_mut();
            match known.into_iter().find(|known| known.name == scenario.name) {
                Some(known) => known.repeats.extend(scenario.repeats),
                None => self.scenarios.push(scenario),
            }
        }
        for scenario in later.file.scenarios {
            let known = self.file.scenarios.iter_mut();
            match known.into_iter().find(|known| known.name == scenario.name) {
                Some(known) => known.repeats.extend(scenario.repeats),
                None => self.file.scenarios.push(scenario),
            }
        }
        self
    }
}

fn fewest(counts: impl Iterator<Item = usize>) -> u32 {
    counts
        .min()
        .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn void_repeats_and_copies_do_not_count_and_the_smallest_load_point_decides() {
        let repeat = |started: u32, void: &str| {
            format!(r#"{{"started":"{started}","metrics":{{"qps":1}},"void":{void}}}"#)
        };
        let file = |repeats: &[String]| {
            format!(
                r#"{{"schema":"perfgate.result/1","scenarios":[{{"name":"a","repeats":[{}]}},{{"name":"b","repeats":[{}]}}]}}"#,
                repeats.join(","),
                repeats[..2].join(",")
            )
        };
        let run = |repeats: &[String]| parse("a.json", file(repeats).as_bytes()).unwrap();
        let good = run(&[repeat(1, "null"), repeat(2, "null"), repeat(3, "null")]);
        let bad = run(&[repeat(1, "\"x\""), repeat(2, "null"), repeat(2, "null")]);
        assert_eq!(
            (good.counting_repeats(), good.file.counting_repeats()),
            (2, 2)
        );
        assert_eq!(
            (bad.counting_repeats(), bad.file.counting_repeats()),
            (1, 1)
        );
        assert_eq!(
            (
                good.counting_pairs(&bad),
                good.file.counting_pairs(&bad.file)
            ),
            (1, 1)
        );
    }
}
