//! Facts about the container engine of this machine, for `perfgate doctor`.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{SystemInfo, SystemVersion};

use super::super::LaunchError;
use super::address::Lookup;
use super::engine::{self, QUICK};

/// Kind of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker, or an engine that does not report its name.
    Docker,
    /// podman behind Docker's API.
    Podman,
}

/// A container engine that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Docker or podman.
    pub kind: EngineKind,
    /// Its version, `29.1.0`.
    pub version: Option<String>,
    /// The newest API version that it supports, `1.52`.
    pub api: Option<String>,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Its address, `unix:///var/run/docker.sock`, and where that comes from.
    pub address: String,
    /// Ways to pass GPUs to a container: names of OCI runtimes (`nvidia`), and `cdi` if the engine supports CDI.
    pub gpu_runtimes: Vec<String>,
    /// Version of control groups, `1` or `2`.
    pub cgroup_version: Option<String>,
    /// Free bytes of its image storage, if that is a folder of this machine.
    pub storage_free: Option<u64>,
}

/// Connects to the engine as a launch does, and asks for its facts. `lookup` looks up perfgate's own environment.
///
/// # Errors
///
/// [`LaunchError::EngineUnreachable`] with every address that was tried, [`LaunchError::Setting`] for an address
/// that perfgate does not support, [`LaunchError::EngineSilent`] for an engine that stops answering.
pub async fn engine_facts(
    lookup: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<EngineFacts, LaunchError> {
    let connected = engine::connect(lookup as Lookup<'_>).await?;
    let docker = &connected.docker;
    let version = engine::ask(QUICK, docker.version())
        .await
        .map_err(|error| error.when_asked_to("report its version"))?;
    // Engines report different fields here; a missing field is unknown.
    let info = engine::ask(QUICK, docker.info()).await.unwrap_or_default();
    let is_local = connected.address.is_socket();
    let root = info.docker_root_dir.clone().filter(|_| is_local);
    Ok(EngineFacts {
        kind: kind_of(&version),
        rootless: is_rootless(&info),
        address: connected.address.in_words(),
        gpu_runtimes: gpu_runtimes(&info, is_local && has_cdi_files()),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()),
        storage_free: root.and_then(|root| free_bytes(Path::new(&root))),
        version: version.version,
        api: version.api_version,
    })
}

/// The kind of the engine; Docker if it does not report one.
pub(super) async fn kind(docker: &Docker) -> EngineKind {
    let version = engine::ask(Duration::from_secs(10), docker.version()).await;
    version.map_or(EngineKind::Docker, |version| kind_of(&version))
}

fn kind_of(version: &SystemVersion) -> EngineKind {
    let is_podman = version
        .components
        .iter()
        .flatten()
        .any(|component| component.name.contains("Podman"));
    if is_podman {
        EngineKind::Podman
    } else {
        EngineKind::Docker
    }
}

fn is_rootless(info: &SystemInfo) -> bool {
    info.security_options
        .iter()
        .flatten()
        .any(|option| option.contains("rootless"))
}

fn gpu_runtimes(info: &SystemInfo, has_cdi_files: bool) -> Vec<String> {
    let mut names: Vec<String> = info
        .runtimes
        .iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .filter(|name| name.contains("nvidia"))
        .collect();
    names.sort();
    let knows_cdi = info.discovered_devices.iter().flatten().any(|device| {
        device
            .id
            .as_deref()
            .is_some_and(|id| id.starts_with("nvidia.com/gpu"))
    });
    if knows_cdi || has_cdi_files {
        names.push("cdi".to_owned());
    }
    names
}

/// Whether this machine has CDI descriptions of GPUs (`nvidia-ctk cdi generate`).
fn has_cdi_files() -> bool {
    ["/etc/cdi", "/var/run/cdi"].iter().any(|folder| {
        std::fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                std::fs::read_to_string(entry.path())
                    .is_ok_and(|text| text.contains("nvidia.com/gpu"))
            })
        })
    })
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let known = rustix::fs::statvfs(folder).ok()?;
    known.f_bavail.checked_mul(known.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::{DeviceInfo, Runtime, SystemVersionComponents};

    use super::*;

    #[test]
    fn podman_is_known_by_its_component() {
        let component = |name: &str| SystemVersionComponents {
            name: name.to_owned(),
            ..SystemVersionComponents::default()
        };
        let version = |names: &[&str]| SystemVersion {
            components: Some(names.iter().map(|name| component(name)).collect()),
            ..SystemVersion::default()
        };
        assert_eq!(
            kind_of(&version(&["Podman Engine", "Conmon"])),
            EngineKind::Podman
        );
        assert_eq!(
            kind_of(&version(&["Engine", "containerd"])),
            EngineKind::Docker
        );
        assert_eq!(kind_of(&SystemVersion::default()), EngineKind::Docker);
    }

    #[test]
    fn ways_to_pass_gpus_are_runtimes_and_cdi() {
        let runtimes =
            ["runc", "nvidia", "nvidia-cdi"].map(|name| (name.to_owned(), Runtime::default()));
        let info = SystemInfo {
            runtimes: Some(HashMap::from(runtimes)),
            discovered_devices: Some(vec![DeviceInfo {
                id: Some("nvidia.com/gpu=0".to_owned()),
                ..DeviceInfo::default()
            }]),
            security_options: Some(vec![
                "name=seccomp,profile=default".to_owned(),
                "name=rootless".to_owned(),
            ]),
            ..SystemInfo::default()
        };
        assert_eq!(gpu_runtimes(&info, false), ["nvidia", "nvidia-cdi", "cdi"]);
        assert!(is_rootless(&info));
        assert!(gpu_runtimes(&SystemInfo::default(), false).is_empty());
    }
}
