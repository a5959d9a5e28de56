//! `server.docker` of `perfgate.yaml`.

use super::arguments::option_value;
use super::fields::{Fields, bytes, duration, number, text, texts};
use super::node::{Node, Value};
use super::plan::shares_ipc;
use super::problem::{Code, Collector};
use super::{DockerPlan, GpuRequest, HfCache, Limits, Network, Pull, headers};

/// The smallest memory limit that container engines accept.
const MIN_MEMORY: u64 = 6 << 20;

pub(super) fn read_docker(node: &Node, collector: &mut Collector<'_>) -> Option<DockerPlan> {
    let mut fields = Fields::of(node, "server.docker", collector)?;
    let image = fields
        .require("image", "vllm/vllm-openai:v0.32.0", collector)
        .and_then(|node| text(node, "server.docker.image", collector));
    let args_node = fields.take("args");
    let args = args_node.and_then(|node| texts(node, "args", collector));
    let mut list = |name: &'static str, collector: &mut Collector<'_>| {
        let node = fields.take(name)?;
        texts(node, name, collector)
    };
    let entrypoint = list("entrypoint", collector);
    let volumes = list("volumes", collector).unwrap_or_default();
    let devices = list("devices", collector).unwrap_or_default();
    let pull = fields.take("pull").and_then(|node| {
        let ways = [
            ("missing", Pull::Missing),
            ("always", Pull::Always),
            ("never", Pull::Never),
        ];
        read_choice(node, "server.docker.pull", &ways, collector)
    });
    let network = fields.take("network").and_then(|node| {
        let ways = [("bridge", Network::Bridge), ("host", Network::Host)];
        read_choice(node, "server.docker.network", &ways, collector)
    });
    let env = fields
        .take("env")
        .and_then(|node| read_env_names(node, collector))
        .unwrap_or_default();
    let gpus = fields
        .take("gpus")
        .and_then(|node| read_gpus(node, collector))
        .unwrap_or_default();
    let hf_cache = fields
        .take("hf_cache")
        .and_then(|node| read_hf_cache(node, collector));
    let (shm_size, ipc) = read_shared_memory(&mut fields, collector);
    let limits = read_limits(&mut fields, collector);
    let user = fields
        .take("user")
        .and_then(|node| read_user(node, collector));
    let runtime = fields
        .take("runtime")
        .and_then(|node| text(node, "server.docker.runtime", collector));
    let port_node = fields.take("port");
    let port =
        port_node.and_then(|node| number(node, "server.docker.port", &(1..=u16::MAX), collector));
    let ready_timeout = fields
        .take("ready_timeout")
        .and_then(|node| duration(node, "ready_timeout", collector));
    fields.finish(collector);

    let args = args.unwrap_or_default();
    let network = network.unwrap_or_default();
    let listens = args_node.and_then(|node| {
        let port = option_value(&args, "--port")?.parse().ok()?;
        Some((node, port))
    });
    let port = resolve_port(port_node, port, listens, network, collector);
    Some(DockerPlan {
        image: image?,
        pull: pull.unwrap_or_default(),
        entrypoint,
        args,
        gpus,
        devices,
        runtime,
        env,
        volumes,
        hf_cache,
        shm_size,
        ipc,
        limits,
        user,
        network,
        port,
        ready_timeout: ready_timeout.unwrap_or(DockerPlan::DEFAULT_READY_TIMEOUT),
    })
}

/// The port inside the container, which the file can set in two places.
fn resolve_port(
    node: Option<&Node>,
    port: Option<u16>,
    listens: Option<(&Node, u16)>,
    network: Network,
    collector: &mut Collector<'_>,
) -> u16 {
    if let (Network::Host, Some(node)) = (network, node) {
        let message = "`server.docker.port` has no effect with `network: host`".to_owned();
        let hint =
            "remove it: in the host's network perfgate chooses a free port and passes `--port`";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    if let (Network::Bridge, Some(port), Some((node, listens))) = (network, port, listens)
        && listens != port
    {
        let message = format!(
            "`server.docker.args` has `--port {listens}`, and `server.docker.port` is {port}"
        );
        let hint = "remove one of them: perfgate derives it from the other";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    port.or(listens.map(|(_, port)| port))
        .unwrap_or(DockerPlan::DEFAULT_PORT)
}

fn read_choice<T: Copy>(
    node: &Node,
    what: &str,
    ways: &[(&str, T)],
    collector: &mut Collector<'_>,
) -> Option<T> {
    let written = text(node, what, collector)?;
    let chosen = ways.iter().find(|(name, _)| *name == written);
    if chosen.is_none() {
        let names: Vec<String> = ways.iter().map(|(name, _)| format!("`{name}`")).collect();
        let (last, first) = names.split_last()?;
        let message = format!(
            "`{what}` must be {} or {last}, not `{written}`",
            first.join(", ")
        );
        collector.push(Code::InvalidValue, node.span.clone(), message);
    }
    chosen.map(|(_, value)| *value)
}

fn read_shared_memory(
    fields: &mut Fields<'_>,
    collector: &mut Collector<'_>,
) -> (Option<u64>, Option<String>) {
    let shm_node = fields.take("shm_size");
    let shm_size = shm_node.and_then(|node| bytes(node, "server.docker.shm_size", collector));
    let ipc = fields
        .take("ipc")
        .and_then(|node| text(node, "server.docker.ipc", collector));
    if let (Some(node), Some(mode)) = (shm_node, &ipc)
        && shares_ipc(mode)
    {
        // Container engines accept both and ignore the size.
        let message = format!("`server.docker.shm_size` has no effect with `ipc: {mode}`");
        collector.push_with_hint(
            Code::Contradiction,
            node.span.clone(),
            message,
            "keep one of them",
        );
    }
    (shm_size, ipc)
}

fn read_limits(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Limits {
    let memory = fields.take("memory").and_then(|node| {
        let what = "server.docker.memory";
        let memory = bytes(node, what, collector)?;
        if memory < MIN_MEMORY {
            let message = format!("`{what}` is less than 6MiB, the minimum of container engines");
            collector.push(Code::InvalidValue, node.span.clone(), message);
            return None;
        }
        Some(memory)
    });
    let cpus = fields
        .take("cpus")
        .and_then(|node| number(node, "server.docker.cpus", &(0.01..=4096.0), collector));
    let cpuset = fields.take("cpuset").and_then(|node| {
        let what = "server.docker.cpuset";
        let written = text(node, what, collector)?;
        if is_cpu_list(&written) {
            return Some(written);
        }
        let message = format!("`{what}` must be a list of CPUs, not `{written}`");
        let hint = "write `\"0-7\"` or `\"0,2,4-6\"`";
        collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
        None
    });
    let pids = fields.take("pids_limit").and_then(|node| {
        number(
            node,
            "server.docker.pids_limit",
            &(1..=u32::MAX >> 1),
            collector,
        )
    });
    Limits {
        memory,
        cpus,
        cpuset,
        pids,
    }
}

/// `0-7,16`, with ascending ranges.
fn is_cpu_list(text: &str) -> bool {
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= last && !part.contains('+'),
            _ => false,
        }
    })
}

/// `2000`, `2000:0`, `vllm`, `vllm:root`.
fn read_user(node: &Node, collector: &mut Collector<'_>) -> Option<String> {
    let what = "server.docker.user";
    let user = text(node, what, collector)?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let (name, group) = user.split_once(':').unwrap_or((&user, "0"));
    if is_plain(name) && is_plain(group) {
        return Some(user);
    }
    let message = format!("`{what}` must be a user with an optional group, not `{user}`");
    let hint = "write `\"2000:0\"`";
    collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
    None
}

/// `true`, `false` or a folder.
fn read_hf_cache(node: &Node, collector: &mut Collector<'_>) -> Option<HfCache> {
    let what = "server.docker.hf_cache";
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
    let hint = "a folder begins with `/`, `./` or `~/`";
    collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
    None
}

/// Names only: a value here would be a secret in a committed file. Problems never quote an entry that is not a name,
/// and `secret` masks it in the lines that are shown.
fn read_env_names(node: &Node, collector: &mut Collector<'_>) -> Option<Vec<String>> {
    let what = "server.docker.env";
    let hint =
        "write only the name; perfgate reads the value from its environment and never stores it";
    let Value::Sequence(items) = &node.value else {
        let message = format!("`{what}` must be a list of variable names");
        collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
        return None;
    };
    let mut names = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar { text, .. } if headers::is_name(text) => names.push(text.clone()),
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {
                let message = format!("`{what}` has an entry that is not a variable name");
                collector.push_with_hint(Code::InvalidValue, item.span.clone(), message, hint);
            }
        }
    }
    (names.len() == items.len()).then_some(names)
}

fn read_gpus(node: &Node, collector: &mut Collector<'_>) -> Option<GpuRequest> {
    match &node.value {
        Value::Sequence(items) if items.is_empty() => {
            let message = "`server.docker.gpus` is an empty list".to_owned();
            let hint = "write `none`, or remove it";
            collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
            None
        }
        Value::Sequence(_) => texts(node, "server.docker.gpus", collector).map(GpuRequest::Devices),
        Value::Scalar { text, .. } if text == "all" => Some(GpuRequest::All),
        Value::Scalar { text, .. } if text == "none" => Some(GpuRequest::None),
        Value::Scalar { .. } | Value::Mapping(_) => {
            let count = number(node, "server.docker.gpus", &(0..=1024), collector)?;
            Some(if count == 0 {
                GpuRequest::None
            } else {
                GpuRequest::Count(count)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            ("args: [~, --x]", "`args` has an empty entry"),
        ] {
            let problem = server(&format!("docker: {{image: i, {docker}}}")).unwrap_err();
            assert!(problem.contains(message), "{problem}");
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
