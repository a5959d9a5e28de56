//! Which repeats, and which runs, are one measurement written down twice.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::compact::as_session;
use super::format::{Repeat, ResultFile};
use crate::metric::Metric;

/// Requests of two repeats that agree to the last digit from which on they are the same measurement and no chance.
const COPY_FROM: usize = 20;

/// What identifies a measurement: two with a mark in common are the same. Hashes, so that a run of thousands of
/// repeats is looked up among thousands of others in the time it takes to read them.
pub(crate) type Mark = u64;

/// Whether the metrics of a repeat have one that no two measurements share by necessity, as they may share a memory's size.
fn tells_by_metrics(repeat: &Repeat) -> bool {
    let mut ids = repeat.metrics.keys();
    ids.any(|id| Metric::parse(id).is_ok_and(Metric::is_of_speed))
}

/// The marks of a repeat: of its metrics with the moment at which it began, and of the times of its requests. Equal metrics
/// alone are none: they may be rounded.
pub(crate) fn marks(repeat: &Repeat) -> Vec<Mark> {
    let mut marks = Vec::new();
    if let Some(started) = &repeat.started
        && tells_by_metrics(repeat)
    {
        let mut hasher = DefaultHasher::new();
        started.hash(&mut hasher);
        for (id, value) in &repeat.metrics {
            (id, value.map(f64::to_bits)).hash(&mut hasher);
        }
        marks.push(hasher.finish());
    }
    if let Some(samples) = &repeat.samples {
        let columns = [&samples.ttft, &samples.e2e].map(|column| column.as_deref().unwrap_or(&[]));
        let measured = |column: &[Option<f64>]| column.iter().flatten().count();
        if columns.iter().any(|column| measured(column) >= COPY_FROM) {
            let mut hasher = DefaultHasher::new();
            for column in columns {
                column.len().hash(&mut hasher);
                for value in column {
                    value.map(f64::to_bits).hash(&mut hasher);
                }
            }
            marks.push(hasher.finish());
        }
    }
    marks
}

/// The marks of all repeats of a file, each with the name of its scenario.
pub(crate) fn marks_of(file: &ResultFile) -> HashSet<(&str, Mark)> {
    let of_scenario = |scenario| -> Vec<(&str, Mark)> {
        let scenario: &super::format::Scenario = scenario;
        let marks = scenario.repeats.iter().flat_map(marks);
        marks.map(|mark| (scenario.name.as_str(), mark)).collect()
    };
    file.scenarios.iter().flat_map(of_scenario).collect()
}

/// What a run records of itself and what it measured, whatever else was left out of a copy: its name, its samples, how it was
/// accepted. Equal contents are one run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content(String);

impl Content {
    /// That of a run.
    pub fn of(run: &ResultFile) -> Self {
        let mut bare = ResultFile {
            name: None,
            promotion: None,
            ..as_session(run)
        };
        // A repeat that has only samples is recognised by them.
        for (kept, whole) in bare.scenarios.iter_mut().zip(&run.scenarios) {
            for (kept, whole) in kept.repeats.iter_mut().zip(&whole.repeats) {
                if !tells_by_metrics(whole) {
                    kept.samples.clone_from(&whole.samples);
                }
            }
        }
        // No value of a result can fail to be written; if one ever did, its run would be like no other.
        Self(serde_json::to_string(&bare).unwrap_or_else(|error| format!("{error} {bare:?}")))
    }
}

/// Whether two files hold one run.
pub fn is_same_run(one: &ResultFile, other: &ResultFile) -> bool {
    // Most differ in when they began, which costs nothing to see.
    one.created == other.created && Content::of(one) == Content::of(other)
}
