//! NVIDIA GPUs through the driver's library, which is loaded at run time: nothing is linked, and a machine without it works.
//!
//! If a driver lacks a call, that figure is unknown. A driver without `nvmlDeviceGetMemoryInfo_v2`, which reports the memory in
//! use, is left to `nvidia-smi`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use super::NO_GPU;
use super::reading::{Facts, GpuProcess, MigDevice, Reading, State};
use super::throttle::Throttles;

/// The library's name; the system's rules decide where it is searched.
pub const LIBRARY: &str = "libnvidia-ml.so.1";

/// Processes and error counts are read at this interval: these calls take the driver longer than the others.
const SLOW_EVERY: Duration = Duration::from_millis(500);

/// Opened libraries. They stay open: closing the driver between two repeats would unload it if persistence mode is off, and
/// so change the machine that is measured.
static OPENED: Mutex<BTreeMap<OsString, &'static Nvml>> = Mutex::new(BTreeMap::new());

/// The GPUs of an open library.
pub(super) struct Session {
    nvml: &'static Nvml,
    gpus: Vec<Watched>,
    slow_at: Option<Instant>,
}

struct Watched {
    number: u32,
    facts: Facts,
    /// Critical errors that the driver reports; `None` if unsupported.
    errors: Option<EventSet<'static>>,
}

impl Session {
    /// Opens the library and lists the GPUs; [`NO_GPU`] or a reason if that fails.
    pub(super) fn open(library: Option<&OsString>) -> Result<Self, String> {
        let library = library.cloned().unwrap_or_else(|| LIBRARY.into());
        let nvml = open(&library)?;
        let count = nvml
            .device_count()
            .map_err(|error| failed("cannot count the GPUs", &error))?;
        if count == 0 {
            return Err(NO_GPU.to_owned());
        }
        let driver = nvml.sys_driver_version().ok();
        let cuda = nvml.sys_cuda_driver_version().ok().map(|version| {
            let minor = cuda_driver_version_minor(version);
            format!("{}.{minor}", cuda_driver_version_major(version))
        });
        let mut gpus = Vec::new();
        for number in 0..count {
            let device = device(nvml, number)?;
            if let Err(NvmlError::FailedToLoadSymbol(_)) = device.memory_info() {
                return Err("the driver is too old to report how much memory is in use".to_owned());
            }
            gpus.push(Watched {
                number,
                facts: Facts {
                    driver: driver.clone(),
                    cuda: cuda.clone(),
                    ..facts(&device, number)
                },
                errors: watch_errors(nvml, &device),
            });
        }
        Ok(Self {
            nvml,
            gpus,
            slow_at: None,
        })
    }

    /// All GPUs now; `whole`: including processes and error counts, regardless of their interval.
    pub(super) fn look(&mut self, whole: bool) -> Result<Vec<Reading>, String> {
        let slow = whole || self.slow_at.is_none_or(|at| at.elapsed() >= SLOW_EVERY);
        let readings = self.gpus.iter().map(|gpu| gpu.look(self.nvml, slow));
        let readings = readings.collect::<Result<Vec<_>, _>>()?;
        if slow {
            self.slow_at = Some(Instant::now());
        }
        Ok(readings)
    }
}

fn open(library: &OsString) -> Result<&'static Nvml, String> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(nvml) = opened.get(library) {
        return Ok(nvml);
    }
    let shown = library.to_string_lossy();
    let nvml = Nvml::builder().lib_path(library).init().map_err(|error| {
        if matches!(error, NvmlError::LibloadingError(_)) {
            format!("cannot load {shown}")
        } else if matches!(error, NvmlError::FailedToLoadSymbol(_)) {
            format!("{shown} is not NVML: it has no `nvmlInit_v2`")
        } else {
            format!("{shown}: {error}")
        }
    })?;
    let nvml: &'static Nvml = Box::leak(Box::new(nvml));
    opened.insert(library.clone(), nvml);
    Ok(nvml)
}

fn failed(doing: &str, error: &NvmlError) -> String {
    format!("NVML: {doing}: {error}")
}

fn device(nvml: &'static Nvml, number: u32) -> Result<Device<'static>, String> {
    nvml.device_by_index(number).map_err(|error| {
        gone(number, &error).unwrap_or_else(|| failed(&format!("GPU {number}"), &error))
    })
}

/// The message about a lost device, in the words that the account searches for.
fn gone(number: u32, error: &NvmlError) -> Option<String> {
    if matches!(error, NvmlError::GpuLost) {
        Some(format!("GPU {number} is lost: it fell off the bus"))
    } else if matches!(error, NvmlError::ResetRequired) {
        Some(format!("GPU {number} is lost until it is reset"))
    } else {
        None
    }
}

fn watch_errors(nvml: &'static Nvml, device: &Device<'_>) -> Option<EventSet<'static>> {
    // The call that frees the set cannot report that it is missing.
    nvml.lib().nvmlEventSetFree.as_ref().ok()?;
    let set = nvml.create_event_set().ok()?;
    // A device handle carries its library's lifetime, so it is opened again with that of the set.
    let device = nvml.device_by_index(device.index().ok()?).ok()?;
    device
        .register_events(EventTypes::CRITICAL_XID_ERROR, set)
        .ok()
}

fn facts(device: &Device<'_>, number: u32) -> Facts {
    Facts {
        index: Some(device.index().unwrap_or(number)),
        uuid: device.uuid().ok(),
        name: device.name().unwrap_or_else(|_| "unknown GPU".to_owned()),
        memory: device.memory_info().ok().map(|memory| bytes(memory.total)),
        power_limit: device.power_management_limit().ok().map(watts),
        power_limit_default: device.power_management_limit_default().ok().map(watts),
        mig: device.mig_mode().ok().map(|mode| mode.current == 1),
        ecc: device
            .is_ecc_enabled()
            .ok()
            .map(|mode| mode.currently_enabled),
        persistence: device.is_in_persistent_mode().ok(),
        compute_capability: device
            .cuda_compute_capability()
            .ok()
            .map(|capability| format!("{}.{}", capability.major, capability.minor)),
        vbios: device.vbios_version().ok(),
        clock_sm_max: device.max_clock_info(Clock::SM).ok().map(f64::from),
        clock_memory_max: device.max_clock_info(Clock::Memory).ok().map(f64::from),
        pcie_generation_max: device.max_pcie_link_gen().ok(),
        pcie_width_max: device.max_pcie_link_width().ok(),
        ..Facts::default()
    }
}

impl Watched {
    fn look(&self, nvml: &'static Nvml, slow: bool) -> Result<Reading, String> {
        let device = device(nvml, self.number)?;
        // A figure that the device does not support is unknown; a lost device has none at all.
        let here = |error: NvmlError| gone(self.number, &error).map_or(Ok(()), Err);
        macro_rules! known {
            ($asked:expr) => {
                match $asked {
                    Ok(value) => Some(value),
                    Err(error) => {
                        here(error)?;
                        None
                    }
                }
            };
        }
        let mut now = State {
            memory_used: known!(device.memory_info()).map(|memory| bytes(memory.used)),
            utilization: known!(device.utilization_rates())
                .map(|rates| f64::from(rates.gpu) / 100.0),
            clock_sm: known!(device.clock_info(Clock::SM)).map(f64::from),
            clock_memory: known!(device.clock_info(Clock::Memory)).map(f64::from),
            power: known!(device.power_usage()).map(watts),
            temperature: known!(device.temperature(TemperatureSensor::Gpu)).map(f64::from),
            throttles: known!(device.current_throttle_reasons())
                .map(|reasons| Throttles(reasons.bits())),
            xids: self.errors.as_ref().map(reported).unwrap_or_default(),
            ..State::default()
        };
        if slow {
            now.ecc_uncorrected =
                known!(device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile));
            now.pcie_generation = known!(device.current_pcie_link_gen());
            now.pcie_width = known!(device.current_pcie_link_width());
            now.processes = known!(device.running_compute_processes()).map(described);
        }
        if self.facts.mig == Some(true) {
            now.mig_devices = mig_devices(&device, slow);
        }
        Ok(Reading {
            facts: self.facts.clone(),
            now,
        })
    }
}

fn described(processes: Vec<ProcessInfo>) -> Vec<GpuProcess> {
    let processes = processes.into_iter().map(|process| GpuProcess {
        id: process.pid,
        memory: match process.used_gpu_memory {
            UsedGpuMemory::Used(used) => Some(bytes(used)),
            UsedGpuMemory::Unavailable => None,
        },
    });
    processes.collect()
}

/// The slices of a GPU; those that cannot be read are left out.
fn mig_devices(device: &Device<'_>, slow: bool) -> Vec<MigDevice> {
    let count = device.mig_device_count().unwrap_or(0);
    let devices =
        (0..count).filter_map(|number| Some((number, device.mig_device_by_index(number).ok()?)));
    let described = devices.map(|(number, slice)| {
        let memory = slice.memory_info().ok();
        let processes = slow.then(|| slice.running_compute_processes().ok());
        MigDevice {
            uuid: slice.uuid().ok(),
            name: slice.name().ok(),
            number,
            processes: processes.flatten().map(described),
            memory: memory.as_ref().map(|memory| bytes(memory.total)),
            memory_used: memory.map(|memory| bytes(memory.used)),
        }
    });
    described.collect()
}

/// Critical errors since the last call, without waiting.
fn reported(errors: &EventSet<'static>) -> Vec<u64> {
    // A higher number in one sample means one broken device.
    (0..8)
        .map_while(|_| errors.wait(0).ok())
        .filter(|event| event.event_type.contains(EventTypes::CRITICAL_XID_ERROR))
        .map(|event| match event.event_data {
            Some(XidError::Value(code)) => code,
            Some(XidError::Unknown) | None => 0,
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "sizes of devices")]
fn bytes(count: u64) -> f64 {
    count as f64
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_wrong_library_is_reported_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("libtext.so");
        crate::files::write_atomically(&text, b"no library").unwrap();
        let reason = |path: &str| Session::open(Some(&path.into())).err().unwrap();
        assert_eq!(
            reason("libno-such-ml.so.9"),
            "cannot load libno-such-ml.so.9"
        );
        assert!(reason(text.to_str().unwrap()).starts_with("cannot load "));
        assert_eq!(
            reason("libc.so.6"),
            "libc.so.6 is not NVML: it has no `nvmlInit_v2`"
        );
    }
}
