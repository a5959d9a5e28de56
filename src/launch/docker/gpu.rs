//! GPUs of a container: how to request them, and whether the container has them.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{DeviceRequest, ExecConfig};
use futures_util::StreamExt as _;

use super::super::LaunchError;
use super::super::gpu_causes;
use super::engine::{self, QUICK};
use super::facts::EngineKind;
use crate::config::GpuRequest;

/// A list of GPUs is short; longer output is something else.
const LONGEST_LIST: usize = 64 << 10;

/// Exit codes of a shell and of engines for a missing program.
const NO_PROGRAM: [i64; 2] = [126, 127];

/// Texts of engines for a missing program.
const NO_PROGRAM_TEXTS: [&str; 2] = ["executable file not found", "no such file or directory"];

/// The request to the engine. Docker has a driver that finds GPUs; podman takes their names in the Container Device
/// Interface.
pub(super) fn request(gpus: &GpuRequest, kind: EngineKind) -> Option<DeviceRequest> {
    match kind {
        EngineKind::Docker => by_driver(gpus),
        EngineKind::Podman => by_name(gpus),
    }
}

fn by_driver(gpus: &GpuRequest) -> Option<DeviceRequest> {
    let (count, device_ids) = match gpus {
        GpuRequest::None => return None,
        GpuRequest::All => (Some(-1), None),
        GpuRequest::Count(count) => (Some(i64::from(*count)), None),
        GpuRequest::Devices(devices) => (None, Some(devices.clone())),
    };
    Some(DeviceRequest {
        count,
        device_ids,
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    })
}

fn by_name(gpus: &GpuRequest) -> Option<DeviceRequest> {
    let names: Vec<String> = match gpus {
        GpuRequest::None => return None,
        GpuRequest::All => vec!["all".to_owned()],
        GpuRequest::Count(count) => (0..*count).map(|index| index.to_string()).collect(),
        GpuRequest::Devices(devices) => devices.clone(),
    };
    let names = names
        .into_iter()
        .map(|name| {
            // A full name stays: `nvidia.com/gpu=0`, `amd.com/gpu=0`.
            if name.contains('=') {
                name
            } else {
                format!("nvidia.com/gpu={name}")
            }
        })
        .collect();
    Some(DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: Some(names),
        ..DeviceRequest::default()
    })
}

/// Result of `nvidia-smi -L` in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    /// It ran, with this exit code and output.
    Printed { code: i64, text: String },
    /// The program is missing.
    NoProgram,
    /// It could not run: the container has ended, or the engine is busy. Other checks report the reason.
    NotAsked,
}

/// Checks that the running container has the requested GPUs. podman 4 accepts a request for GPUs that it cannot fulfil,
/// without an error.
pub(super) async fn check(
    docker: &Docker,
    container: &str,
    gpus: &GpuRequest,
    kind: EngineKind,
) -> Result<(), LaunchError> {
    if *gpus == GpuRequest::None {
        return Ok(());
    }
    let listed = match engine::ask(QUICK, list(docker, container)).await {
        Ok(listed) => listed,
        Err(error) if error.mentions(&NO_PROGRAM_TEXTS) => Listed::NoProgram,
        Err(_) => Listed::NotAsked,
    };
    judge(&listed, gpus, kind)
        .map_err(|reason| LaunchError::of_gpus(gpu_causes::of_container(&reason), reason))
}

async fn list(docker: &Docker, container: &str) -> Result<Listed, Error> {
    let command = ExecConfig {
        cmd: Some(vec!["nvidia-smi".to_owned(), "-L".to_owned()]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = docker.create_exec(container, command).await?;
    let mut text = String::new();
    let started = docker
        .start_exec(&exec.id, None::<StartExecOptions>)
        .await?;
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(piece) = output.next().await {
            if let LogOutput::StdOut { message } | LogOutput::StdErr { message } = piece?
                && text.len() < LONGEST_LIST
            {
                text.push_str(&String::from_utf8_lossy(&message));
            }
        }
    }
    let code = docker.inspect_exec(&exec.id).await?.exit_code;
    Ok(match code {
        Some(code) if NO_PROGRAM.contains(&code) => Listed::NoProgram,
        Some(code) => Listed::Printed { code, text },
        None => Listed::NotAsked,
    })
}

fn judge(listed: &Listed, gpus: &GpuRequest, kind: EngineKind) -> Result<(), String> {
    match listed {
        Listed::NotAsked => Ok(()),
        // Images for GPUs of other makers have no nvidia-smi, and Docker refuses GPUs that it cannot attach. The CDI
        // descriptions that podman uses always add the program.
        Listed::NoProgram => match kind {
            EngineKind::Docker => Ok(()),
            EngineKind::Podman if is_foreign(gpus) => Ok(()),
            EngineKind::Podman => Err(
                "podman accepted the request for GPUs, but the container has no `nvidia-smi`"
                    .to_owned(),
            ),
        },
        Listed::Printed { code, text } => {
            let found = text.lines().filter(|line| line.starts_with("GPU ")).count();
            let wanted = match gpus {
                GpuRequest::None => 0,
                GpuRequest::All => 1,
                GpuRequest::Count(count) => *count as usize,
                GpuRequest::Devices(devices) => devices.len(),
            };
            if found >= wanted && *code == 0 {
                return Ok(());
            }
            let first_line = text.lines().next().unwrap_or("nothing").trim();
            Err(if found == 0 {
                format!("the container has no GPU; nvidia-smi prints: {first_line}")
            } else {
                format!("the container has {found} of {wanted} GPUs")
            })
        }
    }
}

/// Whether the request names GPUs of another maker in full.
fn is_foreign(gpus: &GpuRequest) -> bool {
    matches!(gpus, GpuRequest::Devices(devices)
        if devices.iter().any(|name| name.contains('=') && !name.starts_with("nvidia.com/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_finds_gpus_by_its_driver() {
        let asked = |gpus| request(&gpus, EngineKind::Docker);
        assert!(asked(GpuRequest::None).is_none());
        assert_eq!(asked(GpuRequest::All).unwrap().count, Some(-1));
        assert_eq!(asked(GpuRequest::Count(2)).unwrap().count, Some(2));
        let devices = asked(GpuRequest::Devices(vec!["GPU-1".to_owned()])).unwrap();
        assert_eq!(devices.device_ids, Some(vec!["GPU-1".to_owned()]));
        assert_eq!(devices.capabilities, Some(vec![vec!["gpu".to_owned()]]));
    }

    #[test]
    fn podman_gets_their_names() {
        let names = |gpus| {
            let request = request(&gpus, EngineKind::Podman).unwrap();
            assert_eq!(request.driver.as_deref(), Some("cdi"));
            request.device_ids.unwrap().join(" ")
        };
        assert_eq!(names(GpuRequest::All), "nvidia.com/gpu=all");
        assert_eq!(
            names(GpuRequest::Count(2)),
            "nvidia.com/gpu=0 nvidia.com/gpu=1"
        );
        let devices = ["GPU-1", "amd.com/gpu=0"].map(str::to_owned).to_vec();
        assert_eq!(
            names(GpuRequest::Devices(devices)),
            "nvidia.com/gpu=GPU-1 amd.com/gpu=0"
        );
        assert!(request(&GpuRequest::None, EngineKind::Podman).is_none());
    }

    #[test]
    fn requested_gpus_must_be_in_the_container() {
        let printed = |code, text: &str| Listed::Printed {
            code,
            text: text.to_owned(),
        };
        let two = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)\nGPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)\n";
        let judge = |listed: &Listed, gpus| judge(listed, &gpus, EngineKind::Docker);
        assert!(judge(&printed(0, two), GpuRequest::All).is_ok());
        assert!(judge(&printed(0, two), GpuRequest::Count(2)).is_ok());
        insta::assert_snapshot!(judge(&printed(0, two), GpuRequest::Count(4)).unwrap_err(), @"the container has 2 of 4 GPUs");
        insta::assert_snapshot!(
            judge(&printed(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"), GpuRequest::All).unwrap_err(),
            @"the container has no GPU; nvidia-smi prints: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
        );
        assert!(judge(&printed(6, "No devices were found\n"), GpuRequest::All).is_err());
        assert!(judge(&Listed::NotAsked, GpuRequest::All).is_ok());
    }

    #[test]
    fn without_nvidia_smi_docker_is_trusted_and_podman_is_not() {
        let all = GpuRequest::All;
        assert!(judge(&Listed::NoProgram, &all, EngineKind::Docker).is_ok());
        assert!(judge(&Listed::NoProgram, &all, EngineKind::Podman).is_err());
        let foreign = GpuRequest::Devices(vec!["amd.com/gpu=0".to_owned()]);
        assert!(judge(&Listed::NoProgram, &foreign, EngineKind::Podman).is_ok());
    }
}
