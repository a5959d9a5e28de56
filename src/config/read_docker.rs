//! `server.docker` of `perfgate.yaml`.

use super::arguments::option_value;
use super::fields::{Fields, bytes, duration, number, one_of, text, texts};
use super::node::{Node, Value};
use super::plan::shares_ipc;
use super::problem::Collector;
use super::{DockerPlan, GpuRequest, HfCache, Network, Pull, headers};

/// The smallest memory limit that container engines accept.
const MIN_MEMORY: u64 = 6 << 20;

pub(super) fn read_docker(node: &Node, collector: &mut Collector) -> Option<DockerPlan> {
    let mut fields = Fields::of(node, "server.docker", collector)?;
    let image = fields.require("image", "vllm/vllm-openai:v0.32.0", text);
    let mut plan = DockerPlan::of(image.as_deref().unwrap_or_default());
    let pulls = [
        ("missing", Pull::Missing),
        ("always", Pull::Always),
        ("never", Pull::Never),
    ];
    fields.update("pull", &mut plan.pull, one_of(&pulls));
    plan.entrypoint = fields.read("entrypoint", texts);
    fields.update("args", &mut plan.args, texts);
    fields.update("gpus", &mut plan.gpus, read_gpus);
    fields.update("devices", &mut plan.devices, texts);
    plan.runtime = fields.read("runtime", text);
    fields.update("env", &mut plan.env, read_env_names);
    fields.update("volumes", &mut plan.volumes, texts);
    plan.hf_cache = fields.read("hf_cache", read_hf_cache);
    plan.shm_size = fields.read("shm_size", bytes);
    plan.ipc = fields.read("ipc", text);
    plan.limits.memory = fields.read("memory", read_memory);
    plan.limits.cpus = fields.read("cpus", number(0.01..=4096.0));
    plan.limits.cpuset = fields.read("cpuset", read_cpuset);
    plan.limits.pids = fields.read("pids_limit", number(1..=u32::MAX >> 1));
    plan.user = fields.read("user", read_user);
    let networks = [("bridge", Network::Bridge), ("host", Network::Host)];
    fields.update("network", &mut plan.network, one_of(&networks));
    fields.update("ready_timeout", &mut plan.ready_timeout, duration);
    read_port(&mut fields, &mut plan);
    if let (Some(node), Some(mode)) = (fields.take("shm_size"), &plan.ipc)
        && shares_ipc(mode)
    {
        // Container engines accept both and ignore the size.
        let message = format!("`server.docker.shm_size` has no effect with `ipc: {mode}`");
        fields
            .collector
            .contradiction(node, message, "keep one of them");
    }
    fields.finish();
    image.map(|_| plan)
}

/// The port inside the container, which the file can set in two places.
fn read_port(fields: &mut Fields<'_, '_>, plan: &mut DockerPlan) {
    let port = fields.read("port", number(1..=u16::MAX));
    let listens = option_value(&plan.args, "--port").and_then(|port| port.parse().ok());
    match plan.network {
        Network::Host => {
            if let Some(node) = fields.take("port") {
                let message = "`server.docker.port` has no effect with `network: host`";
                let hint = "remove it: in the host's network perfgate chooses a free port and passes `--port`";
                fields.collector.contradiction(node, message, hint);
            }
        }
        Network::Bridge => {
            if let (Some(port), Some(listens), Some(node)) = (port, listens, fields.take("args"))
                && listens != port
            {
                let message = format!(
                    "`server.docker.args` has `--port {listens}`, and `server.docker.port` is {port}"
                );
                let hint = "remove one of them: perfgate derives it from the other";
                fields.collector.contradiction(node, message, hint);
            }
        }
    }
    plan.port = port.or(listens).unwrap_or(DockerPlan::DEFAULT_PORT);
}

fn read_memory(node: &Node, what: &str, collector: &mut Collector) -> Option<u64> {
    let memory = bytes(node, what, collector)?;
    if memory < MIN_MEMORY {
        let message = format!("`{what}` is less than 6MiB, the minimum of container engines");
        return collector.invalid(node, message);
    }
    Some(memory)
}

/// `0-7,16`, with ascending ranges.
fn read_cpuset(node: &Node, what: &str, collector: &mut Collector) -> Option<String> {
    let written = text(node, what, collector)?;
    let is_range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= last && !part.contains('+'),
            _ => false,
        }
    };
    if written.split(',').all(is_range) {
        return Some(written);
    }
    let message = format!("`{what}` must be a list of CPUs, not `{written}`");
    collector.invalid_with_hint(node, message, "write `\"0-7\"` or `\"0,2,4-6\"`")
}

/// `2000`, `2000:0`, `vllm`, `vllm:root`.
fn read_user(node: &Node, what: &str, collector: &mut Collector) -> Option<String> {
    let user = text(node, what, collector)?;
    let is_plain = |part: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !part.is_empty() && part.chars().all(is_allowed)
    };
    let (name, group) = user.split_once(':').unwrap_or((&user, "0"));
    if is_plain(name) && is_plain(group) {
        return Some(user);
    }
    let message = format!("`{what}` must be a user with an optional group, not `{user}`");
    collector.invalid_with_hint(node, message, "write `\"2000:0\"`")
}

/// `true`, `false` or a folder.
fn read_hf_cache(node: &Node, what: &str, collector: &mut Collector) -> Option<HfCache> {
    match node.truth() {
        Some(true) => return Some(HfCache::Usual),
        Some(false) => return None,
        None => {}
    }
    let folder = text(node, what, collector)?;
    if folder.starts_with(['/', '.', '~']) {
        return Some(HfCache::Folder(folder));
    }
    let message = format!("`{what}` must be `true`, `false` or a folder, not `{folder}`");
    collector.invalid_with_hint(node, message, "a folder begins with `/`, `./` or `~/`")
}

/// Names only: a value here would be a secret in a committed file. Problems never quote an entry that is not a name,
/// and `secret` masks it in the lines that are shown.
fn read_env_names(node: &Node, what: &str, collector: &mut Collector) -> Option<Vec<String>> {
    let hint =
        "write only the name; perfgate reads the value from its environment and never stores it";
    let Value::Sequence(items) = &node.value else {
        let message = format!("`{what}` must be a list of variable names");
        return collector.invalid_with_hint(node, message, hint);
    };
    let mut names = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar { text, .. } if headers::is_name(text) => names.push(text.clone()),
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {
                let message = format!("`{what}` has an entry that is not a variable name");
                collector.invalid_with_hint::<()>(item, message, hint);
            }
        }
    }
    (names.len() == items.len()).then_some(names)
}

fn read_gpus(node: &Node, what: &str, collector: &mut Collector) -> Option<GpuRequest> {
    match &node.value {
        Value::Sequence(items) if items.is_empty() => {
            let message = format!("`{what}` is an empty list");
            collector.invalid_with_hint(node, message, "write `none`, or remove it")
        }
        Value::Sequence(_) => texts(node, what, collector).map(GpuRequest::Devices),
        // A quoted number is a text.
        Value::Scalar { text, quoted }
            if let Some(request) = gpus(text)
                && !(*quoted && text.parse::<u32>().is_ok()) =>
        {
            Some(request)
        }
        Value::Scalar { .. } | Value::Mapping(_) => {
            let message = format!(
                "`{what}` must be `all`, `none`, a number of GPUs, or a list of ids as in `[0, 1]`"
            );
            collector.invalid(node, message)
        }
    }
}

/// `all`, `none`, or a number up to 1024.
pub(super) fn gpus(text: &str) -> Option<GpuRequest> {
    match (text, text.parse()) {
        ("all", _) => Some(GpuRequest::All),
        ("none", _) | (_, Ok(0)) => Some(GpuRequest::None),
        (_, Ok(count @ 1..=1024)) => Some(GpuRequest::Count(count)),
        (_, Ok(_) | Err(_)) => None,
    }
}

/// `0,1`, `0:1` (slice 1 of GPU 0), `GPU-8f3c…` or `nvidia.com/gpu=0`: indices, UUIDs, or full names for podman.
pub(super) fn gpu_ids(text: &str) -> Option<GpuRequest> {
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).collect();
    let is_index = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let is_id = |id: &String| {
        id.split(':').all(is_index)
            || id.starts_with("GPU-")
            || id.starts_with("MIG-")
            || id.contains("/gpu=")
    };
    let is_count = ids.len() == 1 && text.parse::<u32>().is_ok();
    (ids.iter().all(is_id) && !is_count).then_some(GpuRequest::Devices(ids))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Limits;
    use super::super::{ServerPlan, read_plan};
    use super::*;

    fn server(source: &str) -> Result<ServerPlan, String> {
        let plan = read_plan("perfgate.yaml", &format!("model: m\nserver:\n  {source}\n"));
        plan.map_err(|problems| problems.to_string())
            .map(|plan| plan.server.unwrap())
    }

    fn docker(more: &str) -> Result<DockerPlan, String> {
        let ServerPlan::Docker(docker) = server(&format!("docker: {{image: i, {more}}}"))? else {
            panic!()
        };
        Ok(docker)
    }

    #[test]
    fn a_container_is_read_with_all_its_options() {
        let source = "docker: {image: \"vllm/vllm-openai:v0.32.0\", args: [\"--max-model-len\", \"8192\"], gpus: all, env: [HF_TOKEN], volumes: [\"~/.cache/huggingface:/root/.cache/huggingface\"], shm_size: 8GiB, ready_timeout: 15m}";
        let Ok(ServerPlan::Docker(docker)) = server(source) else {
            panic!()
        };
        assert_eq!(docker.gpus, GpuRequest::All);
        assert_eq!(docker.shm_size, Some(8 << 30));
        assert_eq!(
            (docker.port, docker.ready_timeout),
            (8000, Duration::from_mins(15))
        );
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_being_shown() {
        let problem =
            server("docker: {image: i, env: [HF_TOKEN, \"HF_TOKEN=hf_secret\"]}").unwrap_err();
        insta::assert_snapshot!(problem, @r#"
        `perfgate.yaml` has 1 problem

        error[invalid-value]: `server.docker.env` has an entry that is not a variable name
         --> perfgate.yaml:3:38
          |
        3 |   docker: {image: i, env: [HF_TOKEN, "HF_TOKEN=**********]}
          |                                      ^^^^^^^^^^^^^^^^^^^^
          |
          = help: write only the name; perfgate reads the value from its environment and never stores it
        "#);
    }

    #[test]
    fn empty_lists_and_entries_are_refused() {
        for (docker, message) in [
            ("gpus: []", "is an empty list"),
            ("args: [~, --x]", "`server.docker.args` has an empty entry"),
        ] {
            let problem = server(&format!("docker: {{image: i, {docker}}}")).unwrap_err();
            assert!(problem.contains(message), "{problem}");
        }
    }

    #[test]
    fn gpus_are_all_none_a_number_or_ids() {
        for wrong in [
            "al", "\"0,1\"", "\"2\"", "device=0", "2000", "-1", "1.5", "{a: 1}",
        ] {
            let problem = docker(&format!("gpus: {wrong}")).unwrap_err();
            let message = "`server.docker.gpus` must be `all`, `none`, a number of GPUs, or a list of ids as in `[0, 1]`";
            assert!(problem.contains(message), "{wrong}: {problem}");
        }
        let ids = GpuRequest::Devices(vec!["0".to_owned(), "1".to_owned()]);
        assert_eq!(docker("gpus: [0, 1]").unwrap().gpus, ids);
        assert_eq!(docker("gpus: \"all\"").unwrap().gpus, GpuRequest::All);
        let flag = crate::config::parse_gpus;
        assert_eq!(flag("0, 1"), Ok(ids));
        assert_eq!(flag("2"), Ok(GpuRequest::Count(2)));
        assert_eq!(flag("0"), Ok(GpuRequest::None));
        for one in ["0:1", "GPU-8f3c", "MIG-GPU-8f3c/1/0", "nvidia.com/gpu=0"] {
            assert_eq!(flag(one), Ok(GpuRequest::Devices(vec![one.to_owned()])));
        }
        for wrong in ["al", "device=0", "0,", "0:", "", "2000", "-1", "0,x"] {
            assert!(flag(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn missing_options_have_defaults() {
        assert_eq!(docker("").unwrap(), DockerPlan::of("i"));
        assert_eq!(DockerPlan::of("i").shm_bytes(), Some(8 << 30));
        assert_eq!(docker("ipc: host").unwrap().shm_bytes(), None);
        assert_eq!(docker("ipc: private").unwrap().shm_bytes(), Some(8 << 30));
    }

    #[test]
    fn limits_user_network_and_cache_are_read() {
        let plan = docker(
            "pull: always, memory: 32GiB, cpus: 7.5, cpuset: \"0-7,16\", pids_limit: 4096, user: \"2000:0\", \
             network: host, runtime: nvidia, hf_cache: true",
        )
        .unwrap();
        assert_eq!(
            plan,
            DockerPlan {
                pull: Pull::Always,
                limits: Limits {
                    memory: Some(32 << 30),
                    cpus: Some(7.5),
                    cpuset: Some("0-7,16".to_owned()),
                    pids: Some(4096),
                },
                user: Some("2000:0".to_owned()),
                network: Network::Host,
                runtime: Some("nvidia".to_owned()),
                hf_cache: Some(HfCache::Usual),
                ..DockerPlan::of("i")
            }
        );
        let folder = docker("hf_cache: ~/models").unwrap().hf_cache;
        assert_eq!(folder, Some(HfCache::Folder("~/models".to_owned())));
        assert_eq!(docker("hf_cache: false").unwrap().hf_cache, None);
    }

    #[test]
    fn the_port_defaults_to_the_servers_argument() {
        assert_eq!(docker("args: [--port, \"9000\"]").unwrap().port, 9000);
        assert_eq!(docker("args: [--port=9000]").unwrap().port, 9000);
        let problem = docker("args: [--port, \"9000\"], port: 8000").unwrap_err();
        assert!(problem.contains("has `--port 9000`, and"), "{problem}");
        let problem = docker("network: host, port: 8000").unwrap_err();
        assert!(
            problem.contains("has no effect with `network: host`"),
            "{problem}"
        );
    }

    #[test]
    fn impossible_values_are_reported_with_name_and_value() {
        for (more, message) in [
            (
                "pull: sometimes",
                "must be `missing`, `always` or `never`, not `sometimes`",
            ),
            ("network: none", "must be `bridge` or `host`, not `none`"),
            (
                "ipc: host, shm_size: 8GiB",
                "has no effect with `ipc: host`",
            ),
            ("memory: 1MiB", "less than 6MiB"),
            ("cpus: 0", "must be between 0.01 and 4096"),
            ("cpus: .inf", "must be a finite number"),
            ("cpuset: 7-0", "must be a list of CPUs, not `7-0`"),
            ("cpuset: all", "must be a list of CPUs, not `all`"),
            ("pids_limit: 0", "must be between 1 and"),
            ("user: \"2000:\"", "must be a user with"),
            (
                "hf_cache: yes",
                "must be `true`, `false` or a folder, not `yes`",
            ),
        ] {
            let problem = docker(more).unwrap_err();
            assert!(problem.contains(message), "{more}: {problem}");
        }
    }
}
