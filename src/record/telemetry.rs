//! What a repeat records beside its metrics and samples: sections that perfgate writes and reads, and everything else as it is.
//!
//! Files of other versions and of other programs keep all that they have: where a section cannot be read, or has more than its
//! type, its JSON is kept as it was read.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Longer lists are series over time, which no comparison with a later run needs.
const LONGEST_LIST: usize = 32;

/// `telemetry` of a repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// What the load generator saw of itself.
    pub client: Option<Client>,
    /// What the server counted.
    pub server: Option<ServerCounts>,
    /// Where the engine's memory went.
    pub engine_memory: Option<EngineMemory>,
    /// How a measurement ended before its last request.
    pub stopped: Option<Stopped>,
    /// Requests per second of the schedule, of an open loop.
    pub offered_rate: Option<f64>,
    /// What a reader should know, in sentences.
    pub warnings: Vec<String>,
    /// GPUs and server over time: one entry per moment, `None` where there was no value.
    pub series: BTreeMap<SeriesName, Vec<Option<f64>>>,
    /// By name: what has no type here, and each section as it was read, where it has more than its type. Written last, so a
    /// section of a file that was read is changed here.
    pub rest: BTreeMap<String, Value>,
}

/// What the load generator saw of itself. Times in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// Share of the time in which its thread ran.
    #[serde(default, deserialize_with = "lenient")]
    pub busy: Option<f64>,
    /// Share of the time in which its thread waited for a CPU.
    #[serde(default, deserialize_with = "lenient")]
    pub starved: Option<f64>,
    /// Whether it ran with real-time priority.
    #[serde(default, deserialize_with = "lenient")]
    pub real_time: Option<bool>,
    /// How late requests were sent.
    #[serde(default, deserialize_with = "lenient")]
    pub send_late: Option<Lateness>,
    /// How late chunks were read.
    #[serde(default, deserialize_with = "lenient")]
    pub read_late: Option<Lateness>,
    /// Most requests in flight.
    #[serde(default, deserialize_with = "lenient")]
    pub in_flight: Option<u64>,
    /// Requests that were to be in flight.
    #[serde(default, deserialize_with = "lenient")]
    pub in_flight_wanted: Option<u64>,
    /// Chunks that carried tokens.
    #[serde(default, deserialize_with = "lenient")]
    pub token_chunks: Option<u64>,
    /// Chunks that were read together with the one before because the load generator was late.
    #[serde(default, deserialize_with = "lenient")]
    pub merged_late: Option<u64>,
    /// Chunks that came together with the one before.
    #[serde(default, deserialize_with = "lenient")]
    pub merged_by_server: Option<u64>,
    /// Reads from sockets.
    #[serde(default, deserialize_with = "lenient")]
    pub reads: Option<u64>,
    /// Reads without a time stamp of the kernel.
    #[serde(default, deserialize_with = "lenient")]
    pub unstamped_reads: Option<u64>,
    /// Requests that were sent again on a new connection.
    #[serde(default, deserialize_with = "lenient")]
    pub sent_again: Option<u64>,
    /// How often bytes came that no request had asked for.
    #[serde(default, deserialize_with = "lenient")]
    pub unasked: Option<u64>,
    /// Requests for which no connection could be opened.
    #[serde(default, deserialize_with = "lenient")]
    pub unopened: Option<u64>,
}

/// How late something was, in seconds.
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

macro_rules! figures {
    ($(#[$attribute:meta])* $name:ident { $($(#[doc = $meaning:literal])* $field:ident: $kind:ty,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $(
                $(#[doc = $meaning])*
                #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )*
        }
    };
}

figures! {
    /// What the server counted over the repeat. Times in seconds.
    ServerCounts {
        /// Requests.
        requests: f64,
        /// Prompt tokens.
        prompt_tokens: f64,
        /// Output tokens.
        output_tokens: f64,
        /// Mean time to first token.
        ttft_mean: f64,
        /// Mean time per output token.
        tpot_mean: f64,
        /// Mean gap between tokens.
        itl_mean: f64,
        /// Mean time of a request.
        e2e_mean: f64,
        /// Mean time in the queue.
        queue_mean: f64,
        /// Mean time of the prefill.
        prefill_mean: f64,
        /// Mean time of the decoding.
        decode_mean: f64,
        /// Share of the prompt tokens that the prefix cache had.
        prefix_cache_hit_rate: f64,
        /// Pre-empted requests.
        preemptions: f64,
        /// Most requests at work.
        running_peak: f64,
        /// Most requests waiting.
        waiting_peak: f64,
        /// Largest share of the KV cache in use.
        kv_cache_usage_peak: f64,
    }
}

figures! {
    /// Where the engine's memory went, in bytes.
    EngineMemory {
        /// Weights.
        weights: f64,
        /// Activations.
        activations: f64,
        /// What is not `PyTorch`'s.
        non_torch: f64,
        /// Weights together with what is not `PyTorch`'s.
        weights_and_non_torch: f64,
        /// Captured graphs.
        graphs: f64,
        /// The KV cache.
        kv_cache: f64,
        /// The tokens that fit into it.
        kv_cache_tokens: f64,
        /// Whether its size was fixed by the user.
        kv_cache_fixed: bool,
        /// Where its capacity is from: `metrics`, `log`, or [`super::FROM_BLOCKS`].
        kv_cache_from: String,
    }
}

figures! {
    /// How a measurement ended before its last request.
    Stopped {
        /// Why.
        because: StoppedBecause,
        /// Requests that had ended.
        after: u64,
        /// Requests that were planned.
        of: u64,
    }
}

/// Why a measurement ended before its last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBecause {
    /// The load generator was kept from its work.
    Client,
    /// Every request in flight timed out.
    Hung,
    /// More requests failed than the plan allows.
    Failing,
    /// Bytes came that no request had asked for.
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
    /// Requests at work.
    Running,
    /// Requests waiting.
    Waiting,
    /// Share of the KV cache in use.
    KvCacheUsage,
}

impl SeriesName {
    /// All of them, with the names of files.
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

    /// Without what a baseline does not need: series over time.
    #[must_use]
    pub fn without_series(&self) -> Self {
        let kept = self.named().into_iter();
        let kept = kept.filter_map(|(name, value)| Some((name, without_series(value)?)));
        Self::read(kept.collect())
    }

    /// All of it, by the names of files.
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
    // Neither a key that is not a string nor a writer that fails is in a section.
    serde_json::to_value(section?).ok()
}

fn section<T: DeserializeOwned>(named: &BTreeMap<String, Value>, name: &str) -> Option<T> {
    T::deserialize(named.get(name)?).ok()
}

/// A field of another kind than expected has no value here: other programs write telemetry too.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).ok())
}

fn without_series(value: Value) -> Option<Value> {
    match value {
        Value::Array(list) if list.len() > LONGEST_LIST => None,
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

    /// What this version writes, in its order.
    const WRITTEN: &str = r#"{"client":{"busy":0.1,"starved":null,"real_time":true,"send_late":{"mean":0.1,"p50":0.1,"p99":0.2,"max":0.3},"read_late":{"mean":0.1,"p50":0.1,"p99":0.2,"max":0.3},"in_flight":4,"in_flight_wanted":4,"token_chunks":16,"merged_late":0,"merged_by_server":8,"reads":20,"unstamped_reads":0,"sent_again":0,"unasked":0,"unopened":0},"engine_memory":{"kv_cache_fixed":false,"kv_cache_from":"blocks","weights":16.0},"gpus":[{"name":"H100"}],"offered_rate":7.5,"server":{"queue_mean":0.25,"requests":100.0},"stopped":{"after":2,"because":"hung","of":24},"time":[0.0,1.0],"waiting":[null,3.0],"warnings":["a","b"]}"#;

    fn read(json: &str) -> Telemetry {
        serde_json::from_str(json).unwrap()
    }

    fn same(one: &str, other: &str) {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(one), value(other));
    }

    #[test]
    fn what_this_version_writes_is_all_in_sections() {
        let telemetry = read(WRITTEN);
        let rest: Vec<&String> = telemetry.rest.keys().collect();
        assert_eq!(rest, ["gpus"]);
        let stopped = telemetry.stopped.as_ref().unwrap();
        assert_eq!(stopped.because, Some(StoppedBecause::Hung));
        assert_eq!(telemetry.series[&SeriesName::Waiting], [None, Some(3.0)]);
        same(&serde_json::to_string(&telemetry).unwrap(), WRITTEN);
    }

    #[test]
    fn what_others_write_is_read_as_far_as_it_is_known_and_kept_unchanged() {
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
        let long = vec!["1.5"; LONGEST_LIST + 1].join(",");
        let telemetry = read(&format!(
            r#"{{"time":[{long}],"deep":{{"list":[{long}],"kept":1}},"offered_rate":7.5}}"#
        ));
        let kept = serde_json::to_string(&telemetry.without_series()).unwrap();
        same(&kept, r#"{"deep":{"kept":1},"offered_rate":7.5}"#);
    }
}
