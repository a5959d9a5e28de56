//! Why a GPU cannot be used, from messages of drivers and container engines, with a fix for each. Pure.

use super::cause::{Cause, cause};
use super::fault::Fault::{Configuration, Environment};

/// Texts of NVML, nvidia-smi, libnvidia-container, Docker and podman, in lower case. The first match wins.
static CAUSES: [Cause; 9] = [
    cause(
        &[
            "please update your driver",
            "unsatisfied condition: cuda",
            "unsatisfied condition: driver",
        ],
        Environment,
        "install a newer GPU driver on this machine, or use an image for an older CUDA",
    ),
    cause(
        &["version mismatch"],
        Environment,
        "the driver was updated, but the old one is still loaded: reboot, or end all processes that use a GPU and reload the driver (sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia; sudo modprobe nvidia)",
    ),
    cause(
        &[
            "driver not loaded",
            "driver is not loaded",
            "couldn't communicate with the nvidia driver",
            "load library failed",
            "nvidia-smi has failed",
        ],
        Environment,
        "load the GPU driver (sudo modprobe nvidia), or reinstall it for the running kernel (dmesg shows the reason), and check: nvidia-smi",
    ),
    cause(
        &[
            "fell off the bus",
            "is lost",
            "did not answer within",
            "driver rpc error",
        ],
        Environment,
        "the GPU or its driver hangs (dmesg shows the Xid error): reboot, and replace the GPU if it happens again",
    ),
    cause(
        &[
            "failed to add device rules",
            "bpf_prog",
            "device filter program",
            "cgroup",
        ],
        Environment,
        "the NVIDIA toolkit may not change the container's device rules (cgroups): for a rootless engine set `no-cgroups = true` in /etc/nvidia-container-runtime/config.toml; else update the toolkit, or pass GPUs with CDI (nvidia-ctk cdi generate)",
    ),
    cause(
        &["file creation failed", "file exists"],
        Configuration,
        "the image contains files of the driver, at the paths where the toolkit mounts this machine's: use another image, or build it without the driver's libraries",
    ),
    cause(
        &[
            "nvidia-container-runtime-hook: no such file",
            "nvidia-container-runtime-hook\": stat",
            "nvidia-container-runtime-hook\": executable file not found",
            "nvidia-container-runtime: no such file",
            "nvidia-container-runtime\": executable file not found",
            "nvidia-container-toolkit: no such file",
            "nvidia-ctk: no such file",
            "nvidia-container-cli: no such file",
        ],
        Environment,
        "the engine is configured for the NVIDIA Container Toolkit, but a program of it is missing: reinstall the NVIDIA Container Toolkit (nvidia-container-toolkit), and restart the engine",
    ),
    cause(
        &["unknown device", "invalid device"],
        Configuration,
        "this machine has no such GPU: `nvidia-smi -L` lists the indices and UUIDs for server.docker.gpus",
    ),
    cause(
        &[
            "insufficient permissions",
            "does not have permission",
            "permission denied",
        ],
        Environment,
        "this user may not use the GPUs: check the permissions of /dev/nvidia* (for AMD: the groups render and video)",
    ),
];

/// This machine has no program that passes GPUs to containers.
static NO_TOOLKIT: Cause = cause(
    &[],
    Environment,
    "install the NVIDIA Container Toolkit and check: docker run --rm --gpus all ubuntu nvidia-smi; for podman: nvidia-ctk cdi generate, and podman run --rm --device nvidia.com/gpu=all ubuntu nvidia-smi -L",
);

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

/// The cause in the message; `None` for an unknown one.
fn of(message: &str) -> Option<&'static Cause> {
    let message = message.to_lowercase();
    CAUSES.iter().find(|cause| cause.is_in(&message))
}

/// The cause in the message of a container without GPUs.
pub(super) fn of_container(message: &str) -> &'static Cause {
    of(message).unwrap_or(&NO_TOOLKIT)
}

/// The cause in a container engine's refusal; `None` if it does not concern GPUs.
pub(super) fn of_refusal(message: &str) -> Option<&'static Cause> {
    let lower = message.to_lowercase();
    let is_of_gpus = OF_GPUS.iter().any(|text| lower.contains(text));
    is_of_gpus.then(|| of_container(message))
}

/// How to fix what a driver's message reports; `None` for an unknown message.
pub fn gpu_hint(message: &str) -> Option<&'static str> {
    Some(of(message)?.hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_fix() {
        for (message, fix, who) in [
            (
                "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver to a newer version",
                "newer GPU driver",
                Environment,
            ),
            (
                "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown",
                "the old one is still loaded",
                Environment,
            ),
            (
                "nvidia-container-cli: initialization error: driver not loaded: unknown",
                "load the GPU driver",
                Environment,
            ),
            (
                "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory",
                "load the GPU driver",
                Environment,
            ),
            (
                "nvidia-container-cli: device error: 7: unknown device: unknown",
                "no such GPU",
                Configuration,
            ),
            (
                "nvidia-container-cli: mount error: failed to add device rules: unable to load program: operation not permitted (bpf_prog_query)",
                "(cgroups)",
                Environment,
            ),
            (
                "nvidia-container-cli: mount error: file creation failed: /merged/usr/lib/libnvidia-ml.so.1: file exists: unknown",
                "files of the driver",
                Configuration,
            ),
            (
                "error running prestart hook #0: fork/exec /usr/bin/nvidia-container-runtime-hook: no such file or directory: unknown",
                "a program of it is missing",
                Environment,
            ),
            (
                "could not select device driver \"\" with capabilities: [[gpu]]",
                "install the NVIDIA Container Toolkit",
                Environment,
            ),
            (
                "Unknown runtime specified nvidia",
                "install the NVIDIA Container Toolkit",
                Environment,
            ),
        ] {
            let found = of_refusal(message).unwrap();
            assert_eq!(found.fault, who, "{message}");
            assert!(found.hint.contains(fix), "{message}");
        }
        assert!(of_refusal("port is already allocated").is_none());
        assert!(of_refusal("unknown device").is_none());
        assert!(gpu_hint("no GPU was found").is_none());
    }
}
