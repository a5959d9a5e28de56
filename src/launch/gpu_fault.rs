//! Why a GPU cannot be used, from messages of drivers and container engines, with a fix for each. Pure.

use super::fault::Fault;

/// One kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuFault {
    /// The driver is older than the image needs.
    DriverTooOld,
    /// The driver's library was updated, but the old driver is still loaded.
    Mismatch,
    /// The driver is not loaded, or not installed.
    NotLoaded,
    /// The driver does not answer, or lost a device.
    Lost,
    /// The machine has no such GPU.
    UnknownDevice,
    /// The toolkit may not change the container's device rules.
    Cgroups,
    /// The image contains files of the driver.
    Image,
    /// The engine is configured for a program that is missing.
    HookMissing,
    /// This user may not use the devices.
    NoPermission,
    /// This machine has no program that passes GPUs to containers.
    NoToolkit,
}

use GpuFault::{
    Cgroups, DriverTooOld, HookMissing, Image, Lost, Mismatch, NoPermission, NoToolkit, NotLoaded,
    UnknownDevice,
};

/// Texts of NVML, nvidia-smi, libnvidia-container, Docker and podman, in lower case. The first match wins.
static TEXTS: [(&str, GpuFault); 32] = [
    ("please update your driver", DriverTooOld),
    ("unsatisfied condition: cuda", DriverTooOld),
    ("unsatisfied condition: driver", DriverTooOld),
    ("version mismatch", Mismatch),
    ("driver not loaded", NotLoaded),
    ("driver is not loaded", NotLoaded),
    ("couldn't communicate with the nvidia driver", NotLoaded),
    ("load library failed", NotLoaded),
    ("nvidia-smi has failed", NotLoaded),
    ("fell off the bus", Lost),
    ("is lost", Lost),
    ("did not answer within", Lost),
    ("driver rpc error", Lost),
    ("failed to add device rules", Cgroups),
    ("bpf_prog", Cgroups),
    ("device filter program", Cgroups),
    ("cgroup", Cgroups),
    ("file creation failed", Image),
    ("file exists", Image),
    ("nvidia-container-runtime-hook: no such file", HookMissing),
    ("nvidia-container-runtime-hook\": stat", HookMissing),
    (
        "nvidia-container-runtime-hook\": executable file not found",
        HookMissing,
    ),
    ("nvidia-container-runtime: no such file", HookMissing),
    (
        "nvidia-container-runtime\": executable file not found",
        HookMissing,
    ),
    ("nvidia-container-toolkit: no such file", HookMissing),
    ("nvidia-ctk: no such file", HookMissing),
    ("nvidia-container-cli: no such file", HookMissing),
    ("unknown device", UnknownDevice),
    ("invalid device", UnknownDevice),
    ("insufficient permissions", NoPermission),
    ("does not have permission", NoPermission),
    ("permission denied", NoPermission),
];

/// Words that show that a container engine's refusal concerns GPUs.
const OF_GPUS: [&str; 8] = [
    "could not select device driver",
    "nvidia-container",
    "nvidia-ctk",
    "runtime specified nvidia",
    "runtime name: nvidia",
    "unresolvable cdi devices",
    "cdi device injection failed",
    "nvidia.com/gpu",
];

impl GpuFault {
    /// The kind of the failure in the text; `None` for an unknown one.
    pub fn of(message: &str) -> Option<Self> {
        let message = message.to_lowercase();
        let found = TEXTS.iter().find(|(text, _)| message.contains(text));
        found.map(|(_, fault)| *fault)
    }

    /// The same for a refusal of a container engine; `None` if it does not concern GPUs.
    pub(super) fn of_refusal(message: &str) -> Option<Self> {
        let lower = message.to_lowercase();
        let is_of_gpus = OF_GPUS.iter().any(|text| lower.contains(text));
        is_of_gpus.then(|| Self::of(message).unwrap_or(NoToolkit))
    }

    /// Who has to act.
    pub(super) fn fault(self) -> Fault {
        match self {
            UnknownDevice | Image => Fault::Configuration,
            DriverTooOld | Mismatch | NotLoaded | Lost | Cgroups | HookMissing | NoPermission
            | NoToolkit => Fault::Environment,
        }
    }

    /// How to fix it.
    pub fn remedy(self) -> &'static str {
        match self {
            DriverTooOld => {
                "install a newer GPU driver on this machine, or use an image for an older CUDA"
            }
            Mismatch => {
                "the driver was updated, but the old one is still loaded: reboot, or end all processes that use a GPU and reload the driver (sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia; sudo modprobe nvidia)"
            }
            NotLoaded => {
                "load the GPU driver (sudo modprobe nvidia), or reinstall it for the running kernel (dmesg shows the reason), and check: nvidia-smi"
            }
            Lost => {
                "the GPU or its driver hangs (dmesg shows the Xid error): reboot, and replace the GPU if it happens again"
            }
            UnknownDevice => {
                "this machine has no such GPU: `nvidia-smi -L` lists the indices and UUIDs for server.docker.gpus"
            }
            Cgroups => {
                "the NVIDIA toolkit may not change the container's device rules (cgroups): for a rootless engine set `no-cgroups = true` in /etc/nvidia-container-runtime/config.toml; else update the toolkit, or pass GPUs with CDI (nvidia-ctk cdi generate)"
            }
            Image => {
                "the image contains files of the driver, at the paths where the toolkit mounts this machine's: use another image, or build it without the driver's libraries"
            }
            HookMissing => {
                "the engine is configured for the NVIDIA Container Toolkit, but a program of it is missing: reinstall the NVIDIA Container Toolkit (nvidia-container-toolkit), and restart the engine"
            }
            NoPermission => {
                "this user may not use the GPUs: check the permissions of /dev/nvidia* (for AMD: the groups render and video)"
            }
            NoToolkit => {
                "install the NVIDIA Container Toolkit and check: docker run --rm --gpus all ubuntu nvidia-smi; for podman: nvidia-ctk cdi generate, and podman run --rm --device nvidia.com/gpu=all ubuntu nvidia-smi -L"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_fix() {
        for (message, fault, who) in [
            (
                "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver to a newer version",
                DriverTooOld,
                Fault::Environment,
            ),
            (
                "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
                Mismatch,
                Fault::Environment,
            ),
            (
                "nvidia-container-cli: initialization error: driver not loaded: unknown",
                NotLoaded,
                Fault::Environment,
            ),
            (
                "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory",
                NotLoaded,
                Fault::Environment,
            ),
            (
                "nvidia-container-cli: device error: 7: unknown device: unknown",
                UnknownDevice,
                Fault::Configuration,
            ),
            (
                "nvidia-container-cli: mount error: failed to add device rules: unable to load program: operation not permitted (bpf_prog_query)",
                Cgroups,
                Fault::Environment,
            ),
            (
                "nvidia-container-cli: mount error: file creation failed: /merged/usr/lib/libnvidia-ml.so.1: file exists: unknown",
                Image,
                Fault::Configuration,
            ),
            (
                "error running prestart hook #0: fork/exec /usr/bin/nvidia-container-runtime-hook: no such file or directory: unknown",
                HookMissing,
                Fault::Environment,
            ),
            (
                "could not select device driver \"\" with capabilities: [[gpu]]",
                NoToolkit,
                Fault::Environment,
            ),
            (
                "Unknown runtime specified nvidia",
                NoToolkit,
                Fault::Environment,
            ),
        ] {
            let found = GpuFault::of_refusal(message).unwrap();
            assert_eq!((found, found.fault()), (fault, who), "{message}");
            assert!(!found.remedy().is_empty());
        }
        assert_eq!(GpuFault::of_refusal("port is already allocated"), None);
        assert_eq!(GpuFault::of_refusal("unknown device"), None);
        assert_eq!(GpuFault::of("no GPU was found"), None);
    }
}
