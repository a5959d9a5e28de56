//! Summary of one GPU during one repeat: `telemetry.gpus` of a result. `docs/reference/telemetry.md` explains it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SourceName;
use super::reading::MigDevice;

/// One GPU during one repeat. Unknown figures are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuSummary {
    /// `GPU 0`, for messages.
    #[serde(skip)]
    pub label: String,
    /// Index in the driver's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// The driver's unique name of this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Product name.
    pub name: String,
    /// Source of these figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// Number of samples.
    pub looks: u32,
    /// Number of failed samples.
    pub failed_looks: u32,
    /// Device memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Peak of the memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<f64>,
    /// Peak of the memory in use by the server's processes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_memory_peak_bytes: Option<f64>,
    /// Share of the time in which a kernel ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization_mean: Option<f64>,
    /// SM clock under load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_sm_mhz: Option<Clock>,
    /// Memory clock under load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_memory_mhz: Option<Clock>,
    /// Whether the SM clock changed by at most 1 % under load, as a locked one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_steady: Option<bool>,
    /// Power draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_watts: Option<Power>,
    /// Temperature of the die.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<Temperature>,
    /// Reason → share of the samples in which it reduced the clocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled: Option<BTreeMap<String, f64>>,
    /// Uncorrected memory errors during the repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc_uncorrected_new: Option<u64>,
    /// Critical errors that the driver reported, by code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub xids: Vec<u64>,
    /// The link to the host under load.
    pub pcie: Pcie,
    /// Whether the driver stays loaded while the GPU is unused.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pcie {
    /// Generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Highest generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_max: Option<u32>,
    /// Lanes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Most lanes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_max: Option<u32>,
}

/// A process on a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Peak of its device memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<f64>,
    /// Whether it does not belong to the server.
    pub foreign: bool,
}

/// A slice of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MigSummary {
    /// `MIG-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<f64>,
    /// Peak of the memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<f64>,
}

impl MigSummary {
    pub(super) fn of((device, peak): &(MigDevice, Option<f64>)) -> Self {
        Self {
            uuid: device.uuid.clone(),
            memory_bytes: device.memory,
            memory_peak_bytes: *peak,
        }
    }
}
