//! The metrics: a catalogue of id, unit, direction and description, and the type of one metric.
//!
//! Values are kept in base units everywhere (seconds, bytes, tokens/s, requests/s, ratio); only `render` turns
//! them into human units.

mod catalogue;

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use catalogue::{ALWAYS_SHOWN, LATENCIES, STATISTICS, VERSIONS};

/// The better direction of a metric.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Smaller values are better (latencies, memory).
    Lower,
    /// Larger values are better (throughput, cache capacity).
    Higher,
    /// Shown, but without a better direction, so it cannot have a rule.
    Neither,
}

/// The base unit in which a metric is stored.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Unit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Requests per second.
    #[serde(rename = "requests/s")]
    RequestsPerSecond,
    /// Tokens per second.
    #[serde(rename = "tokens/s")]
    TokensPerSecond,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// A number of tokens.
    #[serde(rename = "tokens")]
    Tokens,
    /// A share between 0 and 1.
    #[serde(rename = "ratio")]
    Ratio,
    /// A plain number of events.
    #[serde(rename = "count")]
    Count,
}

/// One line of the catalogue. No two have the same id, which decides comparisons because it is the first field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Definition {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    pub(crate) description: &'static str,
}

/// A latency; each request has one value (`itl`: several).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latency {
    /// Time to first token.
    Ttft,
    /// Time per output token after the first.
    Tpot,
    /// Gap between successive token-carrying chunks.
    Itl,
    /// Request start to last byte.
    E2e,
}

/// How the values of the requests are combined to one value per repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Arithmetic mean.
    Mean,
    /// Quantile by linear interpolation (type 7), as a share between 0 and 1.
    Quantile(f64),
}

/// A metric of the catalogue. Cheap to copy; compared and ordered by id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(&'static Definition);

/// A name that is not in the catalogue, with the nearest name in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric `{name}`; the nearest is `{nearest}`")]
pub struct UnknownMetric {
    /// The unknown name.
    pub name: String,
    /// The closest id of the catalogue.
    pub nearest: &'static str,
}

impl Metric {
    /// The metric of that id.
    pub fn parse(name: &str) -> Result<Self, UnknownMetric> {
        Self::all()
            .find(|metric| metric.id() == name)
            .ok_or_else(|| UnknownMetric {
                name: name.to_owned(),
                nearest: Self::all()
                    .map(Self::id)
                    .min_by_key(|id| edit_distance(name, id))
                    .unwrap_or(Self::TPOT_P95.id()),
            })
    }

    /// All metrics, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Self> {
        catalogue::ALL.iter().copied()
    }

    /// The metric of one statistic of one latency, if it is in the catalogue.
    pub fn of(latency: Latency, statistic: Statistic) -> Option<Self> {
        Self::all().find(|metric| metric.statistic() == Some((latency, statistic)))
    }

    /// The id as written in files, `tpot.p95`.
    pub fn id(self) -> &'static str {
        self.0.id
    }

    /// The name for people, `TPOT P95`.
    pub fn label(self) -> &'static str {
        self.0.label
    }

    /// The base unit of stored values.
    pub fn unit(self) -> Unit {
        self.0.unit
    }

    /// Its better direction.
    pub fn better(self) -> Better {
        self.0.better
    }

    /// Whether zero is a valid value. A latency, a rate or a memory of zero was not measured.
    pub fn can_be_zero(self) -> bool {
        self == Self::ERROR_RATE
    }

    /// Whether it measures the speed of a server.
    pub fn is_of_speed(self) -> bool {
        self.statistic().is_some()
            || [
                Self::QPS,
                Self::THROUGHPUT,
                Self::THROUGHPUT_STEADY,
                Self::TOTAL_THROUGHPUT,
            ]
            .contains(&self)
    }

    /// Whether it belongs to a sweep as a whole, not to its load points.
    pub fn is_capacity(self) -> bool {
        self.id().starts_with("capacity.")
    }

    /// Whether it is measured on a GPU, so that a machine without one lacks it.
    pub fn is_of_gpu(self) -> bool {
        self.id().starts_with("gpu_")
    }

    /// What it measures, in a sentence.
    pub fn description(self) -> &'static str {
        self.0.description
    }

    /// For a latency metric: which latency and which statistic over the requests.
    pub fn statistic(self) -> Option<(Latency, Statistic)> {
        let (family, statistic) = self.id().split_once('.')?;
        let latency = LATENCIES.iter().find(|(name, _)| *name == family)?.1;
        let statistic = STATISTICS.iter().find(|(name, _)| *name == statistic)?.1;
        Some((latency, statistic))
    }
}

/// The candidate that `name` most likely means: one that is a prefix of it or has it as a prefix, else the one with the fewest
/// single-character edits, if they are at most a third of the name.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let begins = |candidate: &str| {
        let short = name.len().min(candidate.len());
        short >= SHORTEST_BEGIN && (name.starts_with(candidate) || candidate.starts_with(name))
    };
    candidates
        .map(|candidate| {
            let edits = if begins(candidate) {
                0
            } else {
                edit_distance(name, candidate)
            };
            (edits, candidate)
        })
        .filter(|(edits, _)| *edits <= name.chars().count().div_ceil(3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Length of a common prefix that makes two words related: `env` and `environment`.
const SHORTEST_BEGIN: usize = 3;

/// Levenshtein distance over characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metric({})", self.id())
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name).map_err(D::Error::custom)
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ids: Vec<&str> = Self::all().map(Self::id).collect();
        json_schema!({"type": "string", "enum": ids})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_unique_and_found_by_its_name() {
        for metric in Metric::all() {
            assert_eq!(Metric::parse(metric.id()), Ok(metric));
            assert_eq!(Metric::all().filter(|other| *other == metric).count(), 1);
        }
    }

    #[test]
    fn latencies_and_rates_measure_speed_and_a_size_does_not() {
        for (metric, is_of_speed) in [
            (Metric::ITL_P90, true),
            (Metric::QPS, true),
            (Metric::TOTAL_THROUGHPUT, true),
            (Metric::CAPACITY_THROUGHPUT, false),
            (Metric::KV_CACHE_TOKENS, false),
        ] {
            assert_eq!(metric.is_of_speed(), is_of_speed, "{metric}");
        }
    }

    #[test]
    fn an_error_for_a_misspelt_name_has_the_nearest_metric() {
        let error = Metric::parse("tpot.95").unwrap_err();
        assert_eq!(error.nearest, "tpot.p95");
    }

    #[test]
    fn a_latency_metric_knows_its_statistic() {
        let metric = Metric::parse("ttft.p95").unwrap();
        assert_eq!(
            metric.statistic(),
            Some((Latency::Ttft, Statistic::Quantile(0.95)))
        );
        assert_eq!(
            Metric::of(Latency::Ttft, Statistic::Quantile(0.95)),
            Some(metric)
        );
        assert_eq!(
            Metric::parse("throughput.steady").unwrap().statistic(),
            None
        );
    }

    #[test]
    fn a_constant_has_the_id_that_it_names() {
        for (name, metric) in catalogue::CONSTANTS {
            let id = metric.id();
            assert_eq!(*name, id.to_uppercase().replace('.', "_"));
            assert_eq!(Metric::parse(id), Ok(*metric));
        }
        assert_eq!(catalogue::CONSTANTS.len(), Metric::all().count());
    }
}
