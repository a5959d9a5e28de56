//! Detects repeats and runs that are copies of one measurement.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::compact::as_session;
use super::format::{Repeat, ResultFile};
use crate::metric::Metric;

/// Number of requests with equal times from which two repeats are the same measurement and not a coincidence.
const COPY_FROM: usize = 20;

/// Identifies a measurement: two repeats with a common mark are the same. Marks are hashes, so that thousands of
/// repeats can be looked up quickly.
pub(crate) type Mark = u64;

/// Whether a repeat has a metric that differs between measurements, unlike a memory size.
fn has_distinctive_metrics(repeat: &Repeat) -> bool {
    let mut ids = repeat.metrics.keys();
    ids.any(|id| Metric::parse(id).is_ok_and(Metric::is_of_speed))
}

/// The marks of a repeat: from its metrics with its start time, and from the times of its requests. Equal metrics alone
/// are not a mark: they may be rounded.
pub(crate) fn marks(repeat: &Repeat) -> Vec<Mark> {
    let mut marks = Vec::new();
    if let Some(started) = &repeat.started
        && has_distinctive_metrics(repeat)
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

/// The content of a run that copies keep: not its name, its samples, its price, or its promotion. Runs with equal content are the
/// same run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content(String);

impl Content {
    /// The content of a run.
    pub fn of(run: &ResultFile) -> Self {
        let mut bare = ResultFile {
            name: None,
            promotion: None,
            // Grows with a start that fails, without a new measurement.
            price: None,
            ..as_session(run)
        };
        // A repeat with only samples is identified by them.
        for (kept, whole) in bare.scenarios.iter_mut().zip(&run.scenarios) {
            for (kept, whole) in kept.repeats.iter_mut().zip(&whole.repeats) {
                if !has_distinctive_metrics(whole) {
                    kept.samples.clone_from(&whole.samples);
                }
            }
        }
        // Serialization of a result cannot fail; if it did, the run would equal no other run.
        Self(serde_json::to_string(&bare).unwrap_or_else(|error| format!("{error} {bare:?}")))
    }
}

/// Whether two files contain the same run.
pub fn is_same_run(one: &ResultFile, other: &ResultFile) -> bool {
    // Most runs differ in their start time, which is cheap to compare.
    one.created == other.created && Content::of(one) == Content::of(other)
}
