//! From a plan to the container that the engine is asked for. Pure, but for the look whether a host folder exists.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, PortBinding,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::super::LaunchError;
use super::super::command::Engine;
use super::image::Image;
use crate::config::{DockerPlan, GpuRequest};

/// Marks every container of ours.
pub(super) const LABEL: &str = "dev.perfgate";

/// The run that started it.
const LABEL_RUN: &str = "dev.perfgate.run";

/// Unix time from which any run may remove it.
pub(super) const LABEL_EXPIRES: &str = "dev.perfgate.expires";

/// After the time to get ready: no job measures one server longer than a day.
const LIFETIME: Duration = Duration::from_hours(24);

/// The engine's own copy of the log; the whole log goes to our file.
const LOG_SIZE: &str = "50m";

/// Set unless the plan passes them through: a server under test must not send usage statistics while it is measured.
const QUIET: [&str; 2] = ["VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"];

type Lookup<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Everything that decides what the container is. Holds values of environment variables, so it has no `Debug`.
pub(super) struct Spec<'a> {
    pub(super) plan: &'a DockerPlan,
    pub(super) engine: Engine<'a>,
    pub(super) image: &'a Image,
    pub(super) environment: &'a [(String, String)],
    pub(super) binds: &'a [String],
    pub(super) run_id: &'a str,
    /// Unix time.
    pub(super) now: Duration,
}

/// `perfgate-RUN-ORDINAL`, with the characters that engines take.
pub(super) fn container_name(run_id: &str, ordinal: u32) -> String {
    let run_id: String = run_id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!("perfgate-{run_id}-{ordinal}")
}

/// The variables to pass through, with their values.
pub(super) fn environment(
    names: &[String],
    lookup: Lookup<'_>,
) -> Result<Vec<(String, String)>, LaunchError> {
    names
        .iter()
        .map(|name| match lookup(name) {
            Some(value) => Ok((name.clone(), value)),
            None => Err(LaunchError::EnvironmentMissing { name: name.clone() }),
        })
        .collect()
}

/// Mounts with whole paths. A host folder must exist: the engine would make an empty one, owned by root.
pub(super) fn binds(
    volumes: &[String],
    lookup: Lookup<'_>,
    docker_host: Option<&str>,
) -> Result<Vec<String>, LaunchError> {
    // Folders of another machine cannot be looked at.
    let is_local = docker_host.is_none_or(|host| host.starts_with("unix://"));
    volumes
        .iter()
        .map(|volume| bind(volume, lookup, is_local))
        .collect()
}

fn bind(volume: &str, lookup: Lookup<'_>, is_local: bool) -> Result<String, LaunchError> {
    let refuse = |reason: String| LaunchError::Volume {
        volume: volume.to_owned(),
        reason,
    };
    let (host, container) = volume
        .split_once(':')
        .filter(|(host, container)| !host.is_empty() && container.starts_with('/'))
        .ok_or_else(|| refuse("it is not of the form host:container[:ro]".to_owned()))?;
    // `cache:/root/.cache` names a volume of the engine.
    if !host.starts_with(['/', '.', '~']) {
        return Ok(volume.to_owned());
    }
    let path = match host.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = lookup("HOME").ok_or_else(|| refuse("`HOME` is not set".to_owned()))?;
            PathBuf::from(home).join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(host),
    };
    if !is_local {
        return Ok(format!("{}:{container}", path.display()));
    }
    let whole = std::fs::canonicalize(&path)
        .map_err(|error| refuse(format!("`{}`: {error}", path.display())))?;
    Ok(format!("{}:{container}", whole.display()))
}

impl Spec<'_> {
    /// What runs in the container: the plan's entry point, else the image's.
    pub(super) fn entrypoint(&self) -> Result<Vec<String>, LaunchError> {
        let entrypoint = self
            .plan
            .entrypoint
            .clone()
            .unwrap_or_else(|| self.image.entrypoint.clone());
        if entrypoint.is_empty() {
            return Err(LaunchError::NoEntrypoint {
                image: self.plan.image.clone(),
            });
        }
        Ok(entrypoint)
    }

    /// The arguments of the entry point.
    pub(super) fn command(&self, entrypoint: &[String]) -> Vec<String> {
        self.engine.container_command(entrypoint, &self.plan.args)
    }

    /// What the engine is asked to create.
    pub(super) fn body(&self, command: Vec<String>) -> ContainerCreateBody {
        let port = format!("{}/tcp", self.plan.port);
        let expires = self.now + self.plan.ready_timeout + LIFETIME;
        ContainerCreateBody {
            image: Some(self.plan.image.clone()),
            entrypoint: self.plan.entrypoint.clone(),
            cmd: Some(command),
            env: Some(self.variables()),
            exposed_ports: Some(vec![port.clone()]),
            labels: Some(HashMap::from([
                (LABEL.to_owned(), "1".to_owned()),
                (LABEL_RUN.to_owned(), self.run_id.to_owned()),
                (LABEL_EXPIRES.to_owned(), expires.as_secs().to_string()),
            ])),
            host_config: Some(self.host_config(port)),
            ..ContainerCreateBody::default()
        }
    }

    fn variables(&self) -> Vec<String> {
        let quiet = QUIET
            .iter()
            .filter(|name| !self.plan.env.iter().any(|given| given == *name))
            .map(|name| format!("{name}=1"));
        self.environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .chain(quiet)
            .collect()
    }

    fn host_config(&self, port: String) -> HostConfig {
        // Port 0: the engine chooses. On 127.0.0.1 only, since the server asks for no password.
        let anywhere = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some("0".to_owned()),
        };
        HostConfig {
            binds: Some(self.binds.to_vec()),
            port_bindings: Some(HashMap::from([(port, Some(vec![anywhere]))])),
            device_requests: device_request(&self.plan.gpus).map(|request| vec![request]),
            shm_size: self
                .plan
                .shm_size
                .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            ipc_mode: self.plan.ipc.clone(),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            // A dead container must stay until its exit code and its log have been read.
            auto_remove: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                ..RestartPolicy::default()
            }),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([(
                    "max-size".to_owned(),
                    LOG_SIZE.to_owned(),
                )])),
            }),
            ..HostConfig::default()
        }
    }
}

fn device_request(gpus: &GpuRequest) -> Option<DeviceRequest> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> DockerPlan {
        DockerPlan {
            image: "vllm/vllm-openai:v0.32.0".to_owned(),
            entrypoint: None,
            args: vec!["--max-model-len".to_owned(), "8192".to_owned()],
            gpus: GpuRequest::All,
            env: vec!["HF_TOKEN".to_owned()],
            volumes: Vec::new(),
            shm_size: Some(8 << 30),
            ipc: None,
            port: 8000,
            ready_timeout: Duration::from_mins(1),
        }
    }

    fn body(plan: &DockerPlan) -> serde_json::Value {
        let image = Image {
            digest: None,
            entrypoint: vec!["vllm".to_owned(), "serve".to_owned()],
        };
        let spec = Spec {
            plan,
            engine: Engine {
                model: "m",
                served_model_name: "m",
                args: &[],
            },
            image: &image,
            environment: &[("HF_TOKEN".to_owned(), "secret".to_owned())],
            binds: &[],
            run_id: "r1",
            now: Duration::from_secs(1000),
        };
        let entrypoint = spec.entrypoint().unwrap();
        serde_json::to_value(spec.body(spec.command(&entrypoint))).unwrap()
    }

    #[test]
    fn a_container_is_published_on_loopback_labelled_and_never_restarted() {
        let body = body(&plan());
        assert_eq!(
            body["Cmd"],
            serde_json::json!(["m", "--max-model-len", "8192"])
        );
        assert_eq!(
            body["Env"],
            serde_json::json!(["HF_TOKEN=secret", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"])
        );
        assert_eq!(body["Labels"]["dev.perfgate"], "1");
        assert_eq!(body["Labels"]["dev.perfgate.run"], "r1");
        assert_eq!(body["Labels"]["dev.perfgate.expires"], "87460");
        let host = &body["HostConfig"];
        assert_eq!(
            host["PortBindings"]["8000/tcp"],
            serde_json::json!([{"HostIp": "127.0.0.1", "HostPort": "0"}])
        );
        assert_eq!(host["RestartPolicy"]["Name"], "no");
        assert_eq!(host["ShmSize"], serde_json::json!(8_u64 << 30));
        assert_eq!(
            host["SecurityOpt"],
            serde_json::json!(["no-new-privileges"])
        );
    }

    #[test]
    fn gpus_are_asked_for_only_when_the_plan_does() {
        let request = |gpus: GpuRequest| {
            body(&DockerPlan { gpus, ..plan() })["HostConfig"]["DeviceRequests"].clone()
        };
        assert!(request(GpuRequest::None).is_null());
        assert_eq!(request(GpuRequest::All)[0]["Count"], -1);
        assert_eq!(request(GpuRequest::Count(2))[0]["Count"], 2);
        let devices = request(GpuRequest::Devices(vec!["GPU-1".to_owned()]));
        assert_eq!(devices[0]["DeviceIDs"], serde_json::json!(["GPU-1"]));
        assert_eq!(devices[0]["Capabilities"], serde_json::json!([["gpu"]]));
    }

    #[test]
    fn a_variable_that_is_not_set_is_refused_by_name() {
        let error = environment(&["HF_TOKEN".to_owned()], &|_| None).unwrap_err();
        insta::assert_snapshot!(error, @"server.docker.env: the environment variable `HF_TOKEN` is not set");
    }

    #[test]
    fn a_host_folder_is_made_whole_and_must_exist() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("cache")).unwrap();
        let lookup = |name: &str| (name == "HOME").then(|| home.path().display().to_string());
        let whole = std::fs::canonicalize(home.path().join("cache")).unwrap();
        assert_eq!(
            bind("~/cache:/root/.cache:ro", &lookup, true).unwrap(),
            format!("{}:/root/.cache:ro", whole.display())
        );
        assert_eq!(bind("named:/data", &lookup, true).unwrap(), "named:/data");
        assert!(bind("/no/such/folder:/data", &lookup, true).is_err());
        assert!(bind("/no/such/folder:/data", &lookup, false).is_ok());
        let error = bind("/no/such/folder", &lookup, true).unwrap_err();
        insta::assert_snapshot!(error, @"server.docker.volumes: `/no/such/folder`: it is not of the form host:container[:ro]");
    }

    #[test]
    fn a_name_has_only_characters_that_engines_take() {
        assert_eq!(container_name("2026/11 ä", 3), "perfgate-2026-11---3");
    }

    #[test]
    fn an_image_without_an_entry_point_is_refused() {
        let plan = plan();
        let spec = Spec {
            plan: &plan,
            engine: Engine {
                model: "m",
                served_model_name: "m",
                args: &[],
            },
            image: &Image::default(),
            environment: &[],
            binds: &[],
            run_id: "r1",
            now: Duration::ZERO,
        };
        insta::assert_snapshot!(spec.entrypoint().unwrap_err(), @"image `vllm/vllm-openai:v0.32.0` has no entry point");
    }
}
