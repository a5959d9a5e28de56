//! What is known of a GPU at one moment. What is not known is `None`, never 0.

use super::throttle::Throttles;
use crate::record::format::Gpu;
use crate::telemetry::server;

/// One GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What does not change during a run.
    pub facts: Facts,
    /// What does.
    pub now: State,
}

/// What does not change during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Number by which the driver's tools name it.
    pub index: Option<u32>,
    /// The driver's name for this very device.
    pub uuid: Option<String>,
    /// Product name.
    pub name: String,
    /// Device memory, bytes.
    pub memory: Option<f64>,
    /// Driver version.
    pub driver: Option<String>,
    /// Newest CUDA version that the driver runs.
    pub cuda: Option<String>,
    /// Power that it may draw, watts.
    pub power_limit: Option<f64>,
    /// Power that it may draw unless somebody says otherwise, watts.
    pub power_limit_default: Option<f64>,
    /// Whether it is divided into MIG devices.
    pub mig: Option<bool>,
    /// Whether its memory corrects errors.
    pub ecc: Option<bool>,
    /// Whether the driver stays loaded when nobody uses the GPU.
    pub persistence: Option<bool>,
    /// CUDA compute capability, `9.0`.
    pub compute_capability: Option<String>,
    /// Version of its firmware.
    pub vbios: Option<String>,
    /// Highest SM clock, MHz.
    pub clock_sm_max: Option<f64>,
    /// Highest memory clock, MHz.
    pub clock_memory_max: Option<f64>,
    /// PCI Express generation that GPU and slot are capable of.
    pub pcie_generation_max: Option<u32>,
    /// PCI Express lanes that GPU and slot are capable of.
    pub pcie_width_max: Option<u32>,
}

/// What changes from moment to moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Device memory in use, bytes, as the driver counts it.
    pub memory_used: Option<f64>,
    /// Share of the driver's last sample period in which a kernel ran, 0 to 1.
    pub utilization: Option<f64>,
    /// SM clock, MHz.
    pub clock_sm: Option<f64>,
    /// Memory clock, MHz.
    pub clock_memory: Option<f64>,
    /// Power draw, watts.
    pub power: Option<f64>,
    /// Temperature of the die, °C.
    pub temperature: Option<f64>,
    /// Why the clocks are not higher.
    pub throttles: Option<Throttles>,
    /// Uncorrected memory errors since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// PCI Express generation now; falls when idle.
    pub pcie_generation: Option<u32>,
    /// PCI Express lanes now.
    pub pcie_width: Option<u32>,
    /// Compute processes; `None` where nobody asked or the driver does not say.
    pub processes: Option<Vec<GpuProcess>>,
    /// Its MIG devices.
    pub mig_devices: Vec<MigDevice>,
    /// Critical errors that the driver has reported since the last look (Xid codes).
    pub xids: Vec<u64>,
}

/// A process with a compute context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuProcess {
    /// Id as the driver gives it: that of the host.
    pub id: u32,
    /// Device memory of this process, bytes.
    pub memory: Option<f64>,
}

/// A slice of a GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MigDevice {
    /// The driver's name for it, `MIG-…`.
    pub uuid: Option<String>,
    /// Its memory, bytes.
    pub memory: Option<f64>,
    /// Of that in use, bytes.
    pub memory_used: Option<f64>,
}

impl Facts {
    /// `GPU 3`.
    pub fn label(&self) -> String {
        self.index.map_or_else(
            || format!("GPU {}", self.name),
            |index| format!("GPU {index}"),
        )
    }

    /// What of it goes into a result's environment.
    pub fn described(&self) -> Gpu {
        Gpu {
            name: self.name.clone(),
            memory_bytes: self.memory.and_then(whole),
            uuid: self.uuid.clone(),
            power_limit_watts: self.power_limit,
            power_limit_default_watts: self.power_limit_default,
            mig: self.mig,
            ecc: self.ecc,
            persistence: self.persistence,
            compute_capability: self.compute_capability.clone(),
            vbios: self.vbios.clone(),
        }
    }
}

impl Reading {
    /// What a simulated server says about a GPU that it pretends to have.
    pub fn simulated(index: usize, told: server::GpuReading) -> Self {
        Self {
            facts: Facts {
                index: u32::try_from(index).ok(),
                name: told.name,
                memory: told.memory,
                driver: told.driver,
                ..Facts::default()
            },
            now: State {
                memory_used: told.memory_used,
                utilization: told.utilization,
                ..State::default()
            },
        }
    }

    /// Whether it is one of those asked for, by index, UUID or the beginning of one; all are where nobody asked.
    pub fn is_among(&self, devices: &[String]) -> bool {
        let is = |device: &String| {
            let named = |uuid: &Option<String>| {
                uuid.as_ref()
                    .is_some_and(|uuid| device.len() > 4 && uuid.starts_with(device.as_str()))
            };
            device
                .parse()
                .is_ok_and(|index: u32| self.facts.index == Some(index))
                || named(&self.facts.uuid)
                || self.now.mig_devices.iter().any(|mig| named(&mig.uuid))
        };
        devices.is_empty() || devices.iter().any(is)
    }
}

/// Bytes as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be a size in bytes that a double holds exactly"
)]
pub(crate) fn whole(bytes: f64) -> Option<u64> {
    (0.0..9e15).contains(&bytes).then_some(bytes as u64)
}
