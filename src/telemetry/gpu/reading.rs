//! State of a GPU at one moment. An unknown figure is `None`, never 0.

use super::throttle::Throttles;
use crate::record::format::Gpu;

/// One GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Facts that do not change during a run.
    pub facts: Facts,
    /// State that changes.
    pub now: State,
}

/// Facts that do not change during a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Index in the driver's tools.
    pub index: Option<u32>,
    /// The driver's unique name of this device.
    pub uuid: Option<String>,
    /// Product name.
    pub name: String,
    /// Device memory, bytes.
    pub memory: Option<f64>,
    /// Driver version.
    pub driver: Option<String>,
    /// Newest CUDA version that the driver supports.
    pub cuda: Option<String>,
    /// Power limit, watts.
    pub power_limit: Option<f64>,
    /// Default power limit, watts.
    pub power_limit_default: Option<f64>,
    /// Whether it is divided into MIG devices.
    pub mig: Option<bool>,
    /// The driver's name of the selected slice (MIG device): memory and processes are those of the slice.
    pub slice: Option<String>,
    /// Whether its memory corrects errors.
    pub ecc: Option<bool>,
    /// Whether the driver stays loaded while the GPU is unused.
    pub persistence: Option<bool>,
    /// CUDA compute capability, `9.0`.
    pub compute_capability: Option<String>,
    /// Version of its firmware.
    pub vbios: Option<String>,
    /// Highest SM clock, MHz.
    pub clock_sm_max: Option<f64>,
    /// Highest memory clock, MHz.
    pub clock_memory_max: Option<f64>,
    /// Highest PCI Express generation of GPU and slot.
    pub pcie_generation_max: Option<u32>,
    /// Most PCI Express lanes of GPU and slot.
    pub pcie_width_max: Option<u32>,
}

/// State that changes over time.
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
    /// Compute processes; `None` if not read or not reported.
    pub processes: Option<Vec<GpuProcess>>,
    /// Its MIG devices.
    pub mig_devices: Vec<MigDevice>,
    /// Critical errors that the driver reported since the last sample (Xid codes).
    pub xids: Vec<u64>,
}

/// A process with a compute context.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GpuProcess {
    /// Id as the driver reports it: that of the host.
    pub id: u32,
    /// Device memory of this process, bytes.
    pub memory: Option<f64>,
}

/// A slice of a GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MigDevice {
    /// The driver's name of it, `MIG-…`.
    pub uuid: Option<String>,
    /// Product name with its profile, `NVIDIA H100 80GB HBM3 MIG 3g.40gb`.
    pub name: Option<String>,
    /// Number of its slice on the GPU, as container engines give it (`0:1`).
    pub number: u32,
    /// Its compute processes; `None` where they were not read or the driver does not report them.
    pub processes: Option<Vec<GpuProcess>>,
    /// Its memory, bytes.
    pub memory: Option<f64>,
    /// Of that in use, bytes.
    pub memory_used: Option<f64>,
}

impl Facts {
    /// `GPU 3`, or `GPU 3 (MIG-1c0f…)` for a slice.
    pub fn label(&self) -> String {
        let gpu = self.index.map_or_else(
            || format!("GPU {}", self.name),
            |index| format!("GPU {index}"),
        );
        match &self.slice {
            Some(slice) => format!("{gpu} ({slice})"),
            None => gpu,
        }
    }

    /// Whether it is divided and no slice is selected.
    pub fn is_of_unknown_slice(&self) -> bool {
        self.mig == Some(true) && self.slice.is_none()
    }

    /// The part that goes into a result's environment.
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
    /// The selected part of it, by index, UUID or prefix of one: the whole GPU, or slices of it, each with its own reading. All
    /// of it without a selection.
    pub(super) fn chosen(self, devices: &[String]) -> Vec<Self> {
        let slices = self.now.mig_devices.iter();
        let named: Vec<MigDevice> = slices
            .filter(|slice| devices.iter().any(|device| self.is_slice(slice, device)))
            .cloned()
            .collect();
        if !named.is_empty() {
            return named.iter().map(|slice| self.of_slice(slice)).collect();
        }
        if !devices.is_empty() && !devices.iter().any(|device| self.is(device)) {
            return Vec::new();
        }
        match (self.facts.mig, self.now.mig_devices.as_slice()) {
            (Some(true), [only]) => vec![self.of_slice(only)],
            // The server's slice is unknown, and the whole GPU includes the load of all its users.
            (Some(true), _) => vec![Self {
                now: State {
                    memory_used: None,
                    processes: None,
                    ..self.now
                },
                ..self
            }],
            (Some(false) | None, _) => vec![self],
        }
    }

    fn is(&self, device: &str) -> bool {
        let index = device.parse::<u32>().ok();
        (index.is_some() && self.facts.index == index)
            || is_called(self.facts.uuid.as_deref(), device)
    }

    /// `MIG-…`, or `0:1` for slice 1 of GPU 0.
    fn is_slice(&self, slice: &MigDevice, device: &str) -> bool {
        let by_number = device
            .split_once(':')
            .is_some_and(|(gpu, number)| self.is(gpu) && number.parse() == Ok(slice.number));
        by_number || is_called(slice.uuid.as_deref(), device)
    }

    /// The slice in place of the whole GPU; clocks, power and errors are the same for all slices.
    fn of_slice(&self, slice: &MigDevice) -> Self {
        Self {
            facts: Facts {
                name: slice
                    .name
                    .clone()
                    .unwrap_or_else(|| self.facts.name.clone()),
                memory: slice.memory,
                slice: slice.uuid.clone(),
                ..self.facts.clone()
            },
            now: State {
                memory_used: slice.memory_used,
                // Of all slices together, if the driver reports it.
                utilization: None,
                processes: slice.processes.clone(),
                mig_devices: vec![slice.clone()],
                ..self.now.clone()
            },
        }
    }
}

/// Whether a name matches the selection: equal, a prefix, or AMD's serial number `0x7d3f…` as `GPU-7d3f…`.
fn is_called(name: Option<&str>, device: &str) -> bool {
    let Some(name) = name.filter(|_| device.len() > 4) else {
        return false;
    };
    let serial = name.strip_prefix("0x").zip(device.strip_prefix("GPU-"));
    name.starts_with(device)
        || serial.is_some_and(|(serial, asked)| serial.eq_ignore_ascii_case(asked))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(slices: u32) -> Reading {
        let slice = |number: u32| MigDevice {
            uuid: Some(format!("MIG-00000000-{number}")),
            name: Some("NVIDIA H100 MIG 3g.40gb".to_owned()),
            number,
            memory: Some(40.0),
            memory_used: Some(f64::from(number)),
            processes: Some(vec![GpuProcess {
                id: 100 + number,
                memory: None,
            }]),
        };
        Reading {
            facts: Facts {
                index: Some(0),
                uuid: Some("GPU-8932f937".to_owned()),
                name: "NVIDIA H100".to_owned(),
                memory: Some(80.0),
                mig: Some(true),
                ..Facts::default()
            },
            now: State {
                memory_used: Some(70.0),
                power: Some(300.0),
                mig_devices: (1..=slices).map(slice).collect(),
                ..State::default()
            },
        }
    }

    fn chosen(devices: &[&str]) -> Vec<(Option<f64>, Option<f64>, Option<String>)> {
        let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
        let readings = divided(2).chosen(&devices);
        let seen = readings.into_iter().map(|reading| {
            (
                reading.facts.memory,
                reading.now.memory_used,
                reading.facts.slice,
            )
        });
        seen.collect()
    }

    #[test]
    fn of_a_divided_gpu_only_the_selected_slice_is_read() {
        let slice = |number: u32| {
            let name = Some(format!("MIG-00000000-{number}"));
            (Some(40.0), Some(f64::from(number)), name)
        };
        assert_eq!(chosen(&["MIG-00000000-2"]), [slice(2)]);
        assert_eq!(chosen(&["0:1"]), [slice(1)]);
        assert_eq!(
            chosen(&["MIG-00000000-1", "MIG-00000000-2"]),
            [slice(1), slice(2)]
        );
        assert_eq!(chosen(&["MIG-ffffffff-1"]), []);
        let reading = divided(2).chosen(&["MIG-00000000-2".to_owned()]).remove(0);
        assert_eq!(reading.facts.name, "NVIDIA H100 MIG 3g.40gb");
        assert_eq!(reading.now.processes.unwrap()[0].id, 102);
        assert_eq!(reading.now.power, Some(300.0));
    }

    #[test]
    fn without_a_selection_a_single_slice_is_used_and_of_several_none() {
        assert_eq!(chosen(&[]), [(Some(80.0), None, None)]);
        assert_eq!(chosen(&["0"]), [(Some(80.0), None, None)]);
        let only = divided(1).chosen(&[]).remove(0);
        assert_eq!(only.now.memory_used, Some(1.0));
    }

    #[test]
    fn gpus_are_found_by_index_by_uuid_and_by_serial_number() {
        let mut gpu = divided(0);
        gpu.facts.mig = None;
        let finds =
            |gpu: &Reading, device: &str| !gpu.clone().chosen(&[device.to_owned()]).is_empty();
        assert!(finds(&gpu, "0") && finds(&gpu, "GPU-8932f937") && finds(&gpu, "GPU-8932"));
        assert!(!finds(&gpu, "1") && !finds(&gpu, "GPU-") && !finds(&gpu, "-1"));
        gpu.facts.uuid = Some("0x7D3F00AB".to_owned());
        assert!(finds(&gpu, "GPU-7d3f00ab") && !finds(&gpu, "GPU-7d3f00ac"));
    }
}
