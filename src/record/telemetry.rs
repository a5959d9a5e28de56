//! Telemetry of a repeat: sections that perfgate writes and reads, and all other content unchanged.
//!
//! Files of other versions and programs keep all their content: a section that is unreadable or has unknown fields keeps
//! its original JSON.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::optional_fields::optional_fields;

/// Longer lists are time series, which comparisons with later runs do not need.
const MAX_LIST: usize = 32;

/// `telemetry` of a repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// The load generator's measurements of itself.
    pub client: Option<Client>,
    /// The server's counters.
    pub server: Option<ServerCounts>,
    /// Memory use of the engine.
    pub engine_memory: Option<EngineMemory>,
    /// How a measurement ended early.
    pub stopped: Option<Stopped>,
    /// Scheduled requests per second, for an open loop.
    pub offered_rate: Option<f64>,
    /// Warnings, in sentences.
    pub warnings: Vec<String>,
    /// GPUs and server over time: one entry per sample, `None` if a value is missing.
    pub series: BTreeMap<SeriesName, Vec<Option<f64>>>,
    /// By name: content without a type here, and the original JSON of each section with unknown fields. It is written last,
    /// so changes to such a section belong here.
    pub rest: BTreeMap<String, Value>,
}

optional_fields! {
    #[serde(default, deserialize_with = "lenient")]
    /// The load generator's measurements of itself. Times in seconds.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Client {
        /// Share of time in which its thread ran.
        pub busy: Option<f64>,
        /// Share of time in which its thread waited for a CPU.
        pub starved: Option<f64>,
        /// Whether it ran with real-time priority.
        pub real_time: Option<bool>,
        /// How late requests were sent.
        pub send_late: Option<Lateness>,
        /// How late chunks were read.
        pub read_late: Option<Lateness>,
        /// Maximum requests in flight.
        pub in_flight: Option<u64>,
        /// Planned requests in flight.
        pub in_flight_wanted: Option<u64>,
        /// Chunks with tokens.
        pub token_chunks: Option<u64>,
        /// Chunks read together with the previous one because the load generator was late.
        pub merged_late: Option<u64>,
        /// Chunks that arrived together with the previous one.
        pub merged_by_server: Option<u64>,
        /// Reads from sockets.
        pub reads: Option<u64>,
        /// Reads without a kernel time stamp.
        pub unstamped_reads: Option<u64>,
        /// Requests that were sent again on a new connection.
        pub sent_again: Option<u64>,
        /// Number of times that unrequested bytes arrived.
        pub unasked: Option<u64>,
        /// Requests for which no connection could be opened.
        pub unopened: Option<u64>,
    }
}

/// Distribution of delays, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

optional_fields! {
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    /// The server's counters over the repeat. Times in seconds.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct ServerCounts {
        /// Requests.
        pub requests: Option<f64>,
        /// Prompt tokens.
        pub prompt_tokens: Option<f64>,
        /// Output tokens.
        pub output_tokens: Option<f64>,
        /// Mean time to first token.
        pub ttft_mean: Option<f64>,
        /// Mean time per output token.
        pub tpot_mean: Option<f64>,
        /// Mean gap between tokens.
        pub itl_mean: Option<f64>,
        /// Mean time of a request.
        pub e2e_mean: Option<f64>,
        /// Mean time in the queue.
        pub queue_mean: Option<f64>,
        /// Mean time of the prefill.
        pub prefill_mean: Option<f64>,
        /// Mean time of the decoding.
        pub decode_mean: Option<f64>,
        /// Share of the prompt tokens found in the prefix cache.
        pub prefix_cache_hit_rate: Option<f64>,
        /// Pre-empted requests.
        pub preemptions: Option<f64>,
        /// Maximum running requests.
        pub running_peak: Option<f64>,
        /// Maximum waiting requests.
        pub waiting_peak: Option<f64>,
        /// Largest share of the KV cache in use.
        pub kv_cache_usage_peak: Option<f64>,
    }

    /// Memory use of the engine, in bytes.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct EngineMemory {
        /// Weights.
        pub weights: Option<f64>,
        /// Activations.
        pub activations: Option<f64>,
        /// Memory outside `PyTorch`.
        pub non_torch: Option<f64>,
        /// Weights and memory outside `PyTorch`.
        pub weights_and_non_torch: Option<f64>,
        /// Captured graphs.
        pub graphs: Option<f64>,
        /// The KV cache.
        pub kv_cache: Option<f64>,
        /// Capacity of the KV cache in tokens.
        pub kv_cache_tokens: Option<f64>,
        /// Whether the user set its size.
        pub kv_cache_fixed: Option<bool>,
        /// Source of the capacity: `metrics`, `log`, or [`super::FROM_BLOCKS`].
        pub kv_cache_from: Option<String>,
    }

    /// How a measurement ended early.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Stopped {
        /// Why.
        pub because: Option<StoppedBecause>,
        /// Finished requests.
        pub after: Option<u64>,
        /// Planned requests.
        pub of: Option<u64>,
    }
}

/// Why a measurement ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBecause {
    /// The load generator did not get enough CPU time.
    Client,
    /// Every request in flight timed out.
    Hung,
    /// More requests failed than the plan allows.
    Failing,
    /// Unrequested bytes arrived.
    Unasked,
}

/// A column over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeriesName {
    /// Seconds since the start of the measurement.
    Time,
    /// Bytes, of the fullest GPU.
    GpuMemory,
    /// Ratio, mean of the GPUs.
    GpuUtilization,
    /// MHz, of the slowest GPU.
    GpuClockSm,
    /// Watts, of all GPUs.
    GpuPower,
    /// °C, of the hottest GPU.
    GpuTemperature,
    /// Running requests.
    Running,
    /// Waiting requests.
    Waiting,
    /// Share of the KV cache in use.
    KvCacheUsage,
}

impl SeriesName {
    /// All series, with their names in files.
    const ALL: [(Self, &'static str); 9] = [
        (Self::Time, "time"),
        (Self::GpuMemory, "gpu_memory"),
        (Self::GpuUtilization, "gpu_utilization"),
        (Self::GpuClockSm, "gpu_clock_sm"),
        (Self::GpuPower, "gpu_power"),
        (Self::GpuTemperature, "gpu_temperature"),
        (Self::Running, "running"),
        (Self::Waiting, "waiting"),
        (Self::KvCacheUsage, "kv_cache_usage"),
    ];
}

const CLIENT: &str = "client";
const SERVER: &str = "server";
const ENGINE_MEMORY: &str = "engine_memory";
const STOPPED: &str = "stopped";
const OFFERED_RATE: &str = "offered_rate";
const WARNINGS: &str = "warnings";

impl Telemetry {
    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Without time series, which a baseline does not need.
    #[must_use]
    pub fn without_series(&self) -> Self {
        let kept = self.named().into_iter();
        let kept = kept.filter_map(|(name, value)| Some((name, without_series(value)?)));
        Self::read(kept.collect())
    }

    /// All content, by the names in files.
    fn named(&self) -> BTreeMap<String, Value> {
        let mut named = self.sections();
        named.extend(self.rest.clone());
        named
    }

    fn sections(&self) -> BTreeMap<String, Value> {
        let warnings = Some(&self.warnings).filter(|warnings| !warnings.is_empty());
        let sections = [
            (CLIENT, json(self.client.as_ref())),
            (SERVER, json(self.server.as_ref())),
            (ENGINE_MEMORY, json(self.engine_memory.as_ref())),
            (STOPPED, json(self.stopped.as_ref())),
            (OFFERED_RATE, json(self.offered_rate.as_ref())),
            (WARNINGS, json(warnings)),
        ];
        let series = SeriesName::ALL.map(|(series, name)| (name, json(self.series.get(&series))));
        let known = sections.into_iter().chain(series);
        known
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    fn read(mut named: BTreeMap<String, Value>) -> Self {
        let column = |name| {
            let list = named.get(name).and_then(Value::as_array);
            list.map(|list| list.iter().map(Value::as_f64).collect())
        };
        let warnings = named.get(WARNINGS).and_then(Value::as_array);
        let warnings = warnings.into_iter().flatten().filter_map(Value::as_str);
        let series = SeriesName::ALL.into_iter();
        let read = Self {
            client: section(&named, CLIENT),
            server: section(&named, SERVER),
            engine_memory: section(&named, ENGINE_MEMORY),
            stopped: section(&named, STOPPED),
            offered_rate: section(&named, OFFERED_RATE),
            warnings: warnings.map(str::to_owned).collect(),
            series: series
                .filter_map(|(series, name)| Some((series, column(name)?)))
                .collect(),
            rest: BTreeMap::new(),
        };
        let sections = read.sections();
        named.retain(|name, value| sections.get(name) != Some(value));
        Self {
            rest: named,
            ..read
        }
    }
}

impl Serialize for Telemetry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.named().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Telemetry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::read)
    }
}

fn json<T: Serialize>(section: Option<&T>) -> Option<Value> {
    // Serialization of a section cannot fail: its keys are strings.
    serde_json::to_value(section?).ok()
}

fn section<T: DeserializeOwned>(named: &BTreeMap<String, Value>, name: &str) -> Option<T> {
    T::deserialize(named.get(name)?).ok()
}

/// A field of an unexpected type counts as missing, because other programs write telemetry too.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}

fn without_series(value: Value) -> Option<Value> {
    match value {
        Value::Array(list) if list.len() > MAX_LIST => None,
        Value::Array(list) => Some(list.into_iter().filter_map(without_series).collect()),
        Value::Object(map) => {
            let kept = map.into_iter();
            let kept = kept.filter_map(|(name, value)| Some((name, without_series(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output of this version, in its order.
    const WRITTEN: &str = r#"{"client":{"busy":0.1,"starved":null,"real_time":true,"send_late":{"mean":0.1,"p50":0.1,"p99":0.2,"max":0.3},"read_late":{"mean":0.1,"p50":0.1,"p99":0.2,"max":0.3},"in_flight":4,"in_flight_wanted":4,"token_chunks":16,"merged_late":0,"merged_by_server":8,"reads":20,"unstamped_reads":0,"sent_again":0,"unasked":0,"unopened":0},"engine_memory":{"kv_cache_fixed":false,"kv_cache_from":"blocks","weights":16.0},"gpus":[{"name":"H100"}],"offered_rate":7.5,"server":{"queue_mean":0.25,"requests":100.0},"stopped":{"after":2,"because":"hung","of":24},"time":[0.0,1.0],"waiting":[null,3.0],"warnings":["a","b"]}"#;

    fn read(json: &str) -> Telemetry {
        serde_json::from_str(json).unwrap()
    }

    fn same(one: &str, other: &str) {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(one), value(other));
    }

    #[test]
    fn output_of_this_version_is_all_in_sections() {
        let telemetry = read(WRITTEN);
        let rest: Vec<&String> = telemetry.rest.keys().collect();
        assert_eq!(rest, ["gpus"]);
        let stopped = telemetry.stopped.as_ref().unwrap();
        assert_eq!(stopped.because, Some(StoppedBecause::Hung));
        assert_eq!(telemetry.series[&SeriesName::Waiting], [None, Some(3.0)]);
        same(&serde_json::to_string(&telemetry).unwrap(), WRITTEN);
    }

    #[test]
    fn output_of_other_programs_is_read_as_far_as_known_and_kept_unchanged() {
        let foreign = r#"{"client":{"token_chunks":"many","real_time":true,"new":[1]},"engine_memory":3,"offered_rate":7,
            "server":{"requests":100,"prefill_mean":0.2},"stopped":{"because":"bored","of":24},"time":[0,"x",2],
            "warnings":[1,"a"],"new":{"b":null}}"#;
        let telemetry = read(foreign);
        let client = telemetry.client.as_ref().unwrap();
        assert_eq!((client.real_time, client.token_chunks), (Some(true), None));
        let server = telemetry.server.as_ref().unwrap();
        assert_eq!(
            (server.requests, server.prefill_mean),
            (Some(100.0), Some(0.2))
        );
        assert_eq!(telemetry.stopped.as_ref().unwrap().of, Some(24));
        assert_eq!(telemetry.warnings, ["a"]);
        assert_eq!(
            telemetry.series[&SeriesName::Time],
            [Some(0.0), None, Some(2.0)]
        );
        same(&serde_json::to_string(&telemetry).unwrap(), foreign);
        assert!(read("{}").is_empty());
    }

    #[test]
    fn a_baseline_has_no_series() {
        let long = vec!["1.5"; MAX_LIST + 1].join(",");
        let telemetry = read(&format!(
            r#"{{"time":[{long}],"deep":{{"list":[{long}],"kept":1}},"offered_rate":7.5}}"#
        ));
        let kept = serde_json::to_string(&telemetry.without_series()).unwrap();
        same(&kept, r#"{"deep":{"kept":1},"offered_rate":7.5}"#);
    }
}
