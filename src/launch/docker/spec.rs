//! From a plan to the request for a container. Pure.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigLogConfig, PortBinding,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::super::LaunchError;
use super::super::command::Engine;
use super::address::Lookup;
use super::facts::EngineKind;
use super::gpu;
use super::image::Image;
use super::owner::Owner;
use crate::config::{DockerPlan, Network};

/// Marks every container of ours.
pub(super) const LABEL: &str = "dev.perfgate";

/// Run id.
const LABEL_RUN: &str = "dev.perfgate.run";

/// Unix time after which any run may remove it.
pub(super) const LABEL_EXPIRES: &str = "dev.perfgate.expires";

/// The process that started it: once that has ended, any run may remove the container.
pub(super) const LABEL_OWNER: &str = "dev.perfgate.owner";

/// After the ready timeout: no job measures one server for longer than a day.
const LIFETIME: Duration = Duration::from_hours(24);

/// The engine's own copy of the log; perfgate's file has the whole log.
const LOG_SIZE: &str = "50m";

/// Set unless the plan passes them: a server under test must not send usage statistics during a measurement.
const NO_USAGE_STATS: [&str; 2] = ["VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"];

/// Capabilities that engines give to root and that a server does not need: raw packets, devices, the audit log, file
/// capabilities, chroot. Those that an entry point needs to change files and to switch the user stay.
const DROPPED_CAPABILITIES: [&str; 6] = [
    "AUDIT_WRITE",
    "MKNOD",
    "NET_RAW",
    "SETFCAP",
    "SETPCAP",
    "SYS_CHROOT",
];

/// All settings of the container. Contains values of environment variables, so it has no `Debug`.
pub(super) struct Spec<'a> {
    pub(super) plan: &'a DockerPlan,
    pub(super) engine: Engine<'a>,
    pub(super) image: &'a Image,
    pub(super) environment: &'a [(String, String)],
    pub(super) binds: &'a [String],
    pub(super) run_id: &'a str,
    /// Kind of the engine.
    pub(super) kind: EngineKind,
    /// This process.
    pub(super) owner: Option<&'a Owner>,
    /// Unix time.
    pub(super) now: Duration,
}

/// `perfgate-RUN-ORDINAL`, with the characters that engines accept.
pub(super) fn container_name(run_id: &str, ordinal: u32) -> String {
    let is_refused = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-');
    format!("perfgate-{}-{ordinal}", run_id.replace(is_refused, "-"))
}

/// The passed variables of the key, with their values.
pub(super) fn environment(
    key: &str,
    names: &[String],
    lookup: Lookup<'_>,
) -> Result<Vec<(String, String)>, LaunchError> {
    names
        .iter()
        .map(|name| match lookup(name) {
            Some(value) => Ok((name.clone(), value)),
            None => Err(LaunchError::setting(
                format!("{key}: the environment variable `{name}` is not set"),
                format!("set `{name}`, or remove it from {key}"),
            )),
        })
        .collect()
}

impl Spec<'_> {
    /// The program of the container: the plan's entry point, else the image's.
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
        if keeps_arguments(&entrypoint) {
            return Err(LaunchError::EntrypointKeepsArguments {
                image: self.plan.image.clone(),
                entrypoint,
            });
        }
        Ok(entrypoint)
    }

    /// The arguments of the entry point. In the host's network the port is `{port}`, so that the command is the same for
    /// every start.
    pub(super) fn command(&self, entrypoint: &[String]) -> Vec<String> {
        let args = match self.plan.network {
            Network::Bridge => self.plan.args.clone(),
            Network::Host => on_loopback(&self.plan.args),
        };
        self.engine.container_command(entrypoint, &args)
    }

    /// The request to the engine. An init process reaps the processes that the server leaves behind.
    pub(super) fn body(&self, command: Vec<String>, with_init: bool) -> ContainerCreateBody {
        let expires = self.now + self.plan.ready_timeout + LIFETIME;
        let mut labels = HashMap::from([
            (LABEL.to_owned(), "1".to_owned()),
            (LABEL_RUN.to_owned(), self.run_id.to_owned()),
            (LABEL_EXPIRES.to_owned(), expires.as_secs().to_string()),
        ]);
        if let Some(owner) = self.owner {
            labels.insert(LABEL_OWNER.to_owned(), owner.label());
        }
        ContainerCreateBody {
            image: Some(self.plan.image.clone()),
            entrypoint: self.plan.entrypoint.clone(),
            cmd: Some(command),
            env: Some(self.variables()),
            user: self.plan.user.clone(),
            exposed_ports: self.published().map(|port| vec![port]),
            labels: Some(labels),
            host_config: Some(self.host_config(with_init)),
            ..ContainerCreateBody::default()
        }
    }

    /// The published port, `8000/tcp`.
    fn published(&self) -> Option<String> {
        (self.plan.network == Network::Bridge).then(|| format!("{}/tcp", self.plan.port))
    }

    fn variables(&self) -> Vec<String> {
        let quiet = NO_USAGE_STATS
            .iter()
            .filter(|name| !self.plan.env.iter().any(|given| given == *name))
            .map(|name| format!("{name}=1"));
        self.environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .chain(quiet)
            .collect()
    }

    fn host_config(&self, with_init: bool) -> HostConfig {
        // Port 0: the engine chooses. On 127.0.0.1 only, because the server needs no password.
        let anywhere = PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            host_port: Some("0".to_owned()),
        };
        let limits = &self.plan.limits;
        let memory = limits.memory.map(as_signed);
        HostConfig {
            binds: Some(self.binds.to_vec()),
            port_bindings: self
                .published()
                .map(|port| HashMap::from([(port, Some(vec![anywhere]))])),
            network_mode: (self.plan.network == Network::Host).then(|| "host".to_owned()),
            device_requests: gpu::request(&self.plan.gpus, self.kind).map(|request| vec![request]),
            devices: devices(&self.plan.devices),
            runtime: self.plan.runtime.clone(),
            shm_size: self.plan.shm_bytes().map(as_signed),
            ipc_mode: self.plan.ipc.clone(),
            memory,
            // Equal to the memory limit: a server that swaps would be measured as slow.
            memory_swap: memory,
            nano_cpus: limits.cpus.map(billionths),
            cpuset_cpus: limits.cpuset.clone(),
            pids_limit: limits.pids.map(i64::from),
            init: with_init.then_some(true),
            cap_drop: Some(DROPPED_CAPABILITIES.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            // A dead container stays until its exit code and its log have been read.
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

/// `/dev/kfd`, `/dev/kfd:/dev/other`; `None` for an empty list.
fn devices(given: &[String]) -> Option<Vec<DeviceMapping>> {
    let mapping = |device: &String| {
        let (host, inside) = device.split_once(':').unwrap_or((device, device));
        DeviceMapping {
            path_on_host: Some(host.to_owned()),
            path_in_container: Some(inside.to_owned()),
            cgroup_permissions: Some("rwm".to_owned()),
        }
    };
    (!given.is_empty()).then(|| given.iter().map(mapping).collect())
}

/// Programs that take a script with `-c` and everything after it as the script's own arguments.
const SHELLS: [&str; 7] = ["ash", "bash", "busybox", "dash", "ksh", "sh", "zsh"];

/// Whether an entry point is a shell with a script that drops its arguments, as a Dockerfile's ENTRYPOINT without brackets
/// makes it.
fn keeps_arguments(entrypoint: &[String]) -> bool {
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(shell) = entrypoint
        .iter()
        .position(|word| SHELLS.contains(&name(word).as_str()))
    else {
        return false;
    };
    let mut words = entrypoint.iter().skip(shell + 1);
    let takes_script = |word: &&String| {
        word.starts_with('-') && !word.starts_with("--") && word[1..].contains('c')
    };
    if !words.any(|word| takes_script(&word)) {
        return false;
    }
    // `$@`, `$*`, `$0`, `$1`, with or without braces; without a script the model would be used as the script.
    words.next().is_none_or(|script| {
        !script
            .split('$')
            .skip(1)
            .map(|rest| rest.trim_start_matches('{'))
            .any(|rest| rest.starts_with(|c: char| matches!(c, '@' | '*') || c.is_ascii_digit()))
    })
}

fn as_signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn billionths(cpus: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the file is checked: between 0.01 and 4096"
    )]
    let billionths = (cpus * 1e9).round() as i64;
    billionths
}

/// The arguments with a port chosen at the start, on loopback unless they set a host: a server in the host's network has
/// no other protection.
fn on_loopback(args: &[String]) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut skips_value = false;
    for arg in args {
        if std::mem::take(&mut skips_value) {
            continue;
        }
        skips_value = arg == "--port";
        if !skips_value && !arg.starts_with("--port=") {
            arguments.push(arg.clone());
        }
    }
    let names_host = |arg: &String| arg == "--host" || arg.starts_with("--host=");
    if !args.iter().any(names_host) {
        arguments.extend(["--host", "127.0.0.1"].map(str::to_owned));
    }
    arguments.extend(["--port", "{port}"].map(str::to_owned));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GpuRequest, Limits};

    fn plan() -> DockerPlan {
        DockerPlan {
            args: vec!["--max-model-len".to_owned(), "8192".to_owned()],
            env: vec!["HF_TOKEN".to_owned()],
            ready_timeout: Duration::from_mins(1),
            ..DockerPlan::of("vllm/vllm-openai:v0.32.0")
        }
    }

    fn body(plan: &DockerPlan) -> serde_json::Value {
        let image = Image {
            digest: None,
            entrypoint: vec!["vllm".to_owned(), "serve".to_owned()],
            ..Image::default()
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
            kind: EngineKind::Docker,
            owner: None,
            now: Duration::from_secs(1000),
        };
        let entrypoint = spec.entrypoint().unwrap();
        serde_json::to_value(spec.body(spec.command(&entrypoint), true)).unwrap()
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
    fn a_container_has_exactly_the_rights_of_the_plan() {
        let usual = body(&plan())["HostConfig"].clone();
        assert_eq!(usual["Init"], true);
        assert!(
            usual["CapDrop"]
                .as_array()
                .unwrap()
                .contains(&"NET_RAW".into())
        );
        for unlimited in [
            "Memory",
            "NanoCpus",
            "CpusetCpus",
            "PidsLimit",
            "Runtime",
            "DeviceRequests",
        ] {
            assert!(usual[unlimited].is_null(), "{unlimited}");
        }
        let body = body(&DockerPlan {
            limits: Limits {
                memory: Some(32 << 30),
                cpus: Some(7.5),
                cpuset: Some("0-7".to_owned()),
                pids: Some(4096),
            },
            user: Some("2000:0".to_owned()),
            runtime: Some("nvidia".to_owned()),
            ipc: Some("host".to_owned()),
            gpus: GpuRequest::All,
            devices: vec!["/dev/kfd".to_owned()],
            ..plan()
        });
        assert_eq!(body["HostConfig"]["Devices"][0]["PathOnHost"], "/dev/kfd");
        assert_eq!(body["User"], "2000:0");
        let host = &body["HostConfig"];
        assert_eq!(host["Memory"], 32_u64 << 30);
        assert_eq!(host["MemorySwap"], host["Memory"]);
        assert_eq!(host["NanoCpus"], 7_500_000_000_u64);
        assert_eq!(
            (&host["CpusetCpus"], &host["PidsLimit"]),
            (&"0-7".into(), &4096.into())
        );
        assert_eq!(
            (&host["Runtime"], &host["IpcMode"]),
            (&"nvidia".into(), &"host".into())
        );
        assert!(host["ShmSize"].is_null());
        assert_eq!(host["DeviceRequests"][0]["Count"], -1);
    }

    #[test]
    fn in_the_hosts_network_the_server_listens_on_loopback_on_our_port() {
        let body = body(&DockerPlan {
            network: Network::Host,
            args: ["--port", "9000", "--seed", "1", "--port=7"]
                .map(str::to_owned)
                .to_vec(),
            ..plan()
        });
        assert_eq!(
            body["Cmd"],
            serde_json::json!([
                "m",
                "--seed",
                "1",
                "--host",
                "127.0.0.1",
                "--port",
                "{port}"
            ])
        );
        assert_eq!(body["HostConfig"]["NetworkMode"], "host");
        assert!(body["HostConfig"]["PortBindings"].is_null());
        let open = ["--host=0.0.0.0".to_owned()];
        assert_eq!(on_loopback(&open), ["--host=0.0.0.0", "--port", "{port}"]);
    }

    #[test]
    fn a_variable_that_is_not_set_is_refused_by_name() {
        let error =
            environment("server.docker.env", &["HF_TOKEN".to_owned()], &|_| None).unwrap_err();
        insta::assert_snapshot!(error, @"server.docker.env: the environment variable `HF_TOKEN` is not set");
    }

    #[test]
    fn a_name_has_only_characters_that_engines_accept() {
        assert_eq!(container_name("2026/11 ä", 3), "perfgate-2026-11---3");
    }

    #[test]
    fn a_shell_that_drops_its_arguments_is_recognised_by_its_script() {
        let keeps = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            keeps_arguments(&words)
        };
        assert!(keeps(&["/bin/sh", "-c", "vllm serve m"]));
        assert!(keeps(&[
            "/bin/bash",
            "-o",
            "pipefail",
            "-lc",
            "exec vllm serve $MODEL"
        ]));
        assert!(keeps(&["/usr/bin/tini", "--", "sh", "-c", "vllm serve"]));
        assert!(keeps(&["/bin/sh", "-c"]));
        for script in [
            "exec vllm serve \"$@\"",
            "vllm serve $*",
            "vllm serve ${@}",
            "m=$1; vllm serve $m",
        ] {
            assert!(!keeps(&["/bin/sh", "-c", script, "--"]), "{script}");
        }
        assert!(!keeps(&["vllm", "serve"]));
        assert!(!keeps(&["/bin/bash", "/entrypoint.sh"]));
        assert!(!keeps(&["/bin/bash", "--rcfile", "x", "/entrypoint.sh"]));
        assert!(!keeps(&["python3", "-c", "import vllm"]));
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
            kind: EngineKind::Docker,
            owner: None,
            now: Duration::ZERO,
        };
        insta::assert_snapshot!(spec.entrypoint().unwrap_err(), @"image `vllm/vllm-openai:v0.32.0` has no entry point");
    }
}
