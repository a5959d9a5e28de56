//! Summary of one GPU during one repeat: `telemetry.gpus` of a result. `docs/reference/telemetry.md` explains it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::throttle::Throttle;

/// One GPU during one repeat. A result leaves unknown figures out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuSummary {
    /// `GPU 0`, for messages.
    #[serde(skip)]
    pub label: String,
    /// Index in the driver's tools.
    pub index: Option<u32>,
    /// The driver's unique name of this device.
    pub uuid: Option<String>,
    /// Product name.
    pub name: String,
    /// Source of these figures.
    pub source: Option<&'static str>,
    /// Number of samples.
    pub looks: u32,
    /// Number of failed samples.
    pub failed_looks: u32,
    /// Device memory.
    pub memory_bytes: Option<f64>,
    /// Peak of the memory in use.
    pub memory_peak_bytes: Option<f64>,
    /// Peak of the memory in use by the server's processes together.
    pub server_memory_peak_bytes: Option<f64>,
    /// Share of the time in which a kernel ran.
    pub utilization_mean: Option<f64>,
    /// SM clock under load.
    pub clock_sm_mhz: Option<Clock>,
    /// Memory clock under load.
    pub clock_memory_mhz: Option<Clock>,
    /// Whether the SM clock changed by at most 1 % under load, as a locked one does.
    pub clock_steady: Option<bool>,
    /// Power draw.
    pub power_watts: Option<Power>,
    /// Temperature of the die.
    pub temperature_celsius: Option<Temperature>,
    /// Reason → share of the samples in which it reduced the clocks.
    pub throttled: Option<BTreeMap<Throttle, f64>>,
    /// Uncorrected memory errors during the repeat.
    pub ecc_uncorrected_new: Option<u64>,
    /// Critical errors that the driver reported, by code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xids: Vec<u64>,
    /// The link to the host under load.
    pub pcie: Pcie,
    /// Whether the driver stays loaded while the GPU is unused.
    pub persistence: Option<bool>,
    /// Compute processes on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
    /// Its slices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mig_devices: Vec<MigSummary>,
}

/// A clock under load, MHz.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clock {
    /// Median.
    pub median: f64,
    /// 5th percentile.
    pub p5: f64,
    /// Lowest.
    pub min: f64,
    /// Highest.
    pub max: f64,
    /// The highest that the device supports.
    pub highest: Option<f64>,
}

/// Power, watts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Power {
    /// Mean.
    pub mean: f64,
    /// Highest.
    pub max: f64,
    /// Power limit.
    pub limit: Option<f64>,
}

/// Temperature, °C.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Temperature {
    /// At the start of the load.
    pub start: f64,
    /// Highest.
    pub max: f64,
}

/// A PCI Express link: the best state under load, and the limits of GPU and slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pcie {
    /// Generation.
    pub generation: Option<u32>,
    /// Highest generation.
    pub generation_max: Option<u32>,
    /// Lanes.
    pub width: Option<u32>,
    /// Most lanes.
    pub width_max: Option<u32>,
}

/// A process on a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: Option<String>,
    /// Peak of its device memory.
    pub memory_peak_bytes: Option<f64>,
    /// Whether it does not belong to the server.
    pub foreign: bool,
}

/// A slice of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MigSummary {
    /// `MIG-…`.
    pub uuid: Option<String>,
    /// Its memory.
    pub memory_bytes: Option<f64>,
    /// Peak of the memory in use.
    pub memory_peak_bytes: Option<f64>,
}
