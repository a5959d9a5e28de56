//! `server:` of `perfgate.yaml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::address::WrongUrl;
use super::fields::{Fields, duration, entries, one_of, scalar, text, texts};
use super::node::{Node, Value};
use super::problem::{Code, Collector};
use super::read_docker::read_docker;
use super::{DockerPlan, Fresh, Plan, ProcessPlan, ServerPlan, ServerUrl};
use crate::metric::nearest;

/// The options of `perfgate simulate` that `server.simulator` accepts; a test compares them with the command.
pub const SIMULATOR_OPTIONS: [&str; 20] = [
    "decode-slowdown",
    "die-after",
    "fail-mid-stream-rate",
    "fail-rate",
    "gpu-memory",
    "gpus",
    "kv-cache-tokens",
    "max-model-len",
    "max-num-seqs",
    "memory-growth",
    "noise",
    "prefill-per-token",
    "prefill-slowdown",
    "seed",
    "slowdown",
    "startup",
    "step-base",
    "step-noise",
    "step-per-running",
    "truncate-rate",
];

pub(super) fn read_server(node: &Node, plan: &mut Plan, collector: &mut Collector) {
    let Some(mut fields) = Fields::of(node, "server", collector) else {
        return;
    };
    let kinds = take_kinds(&mut fields);
    let ways = [("repeat", Fresh::Repeat), ("run", Fresh::Run)];
    fields.update("fresh", &mut plan.fresh, one_of(&ways));
    let base = fields.take("base");
    fields.finish();
    plan.server = read_kind(&kinds, "server", node, collector);
    plan.base = base.and_then(|base| read_base(base, plan.server.as_ref(), collector));
}

/// The server kinds that are set.
fn take_kinds<'a>(fields: &mut Fields<'a, '_>) -> Vec<(&'static str, &'a Node)> {
    let kinds = ["docker", "process", "url", "simulator"];
    kinds
        .into_iter()
        .filter_map(|kind| Some((kind, fields.take(kind)?)))
        .collect()
}

/// The one server kind that is set in the map at `node`.
fn read_kind(
    given: &[(&str, &Node)],
    place: &str,
    node: &Node,
    collector: &mut Collector,
) -> Option<ServerPlan> {
    let names: Vec<String> = match given {
        [("docker", node)] => return read_docker(node, collector).map(ServerPlan::Docker),
        [("process", node)] => return read_process(node, collector).map(ServerPlan::Process),
        [("url", node)] => return read_url(node, collector).map(ServerPlan::Url),
        [("simulator", node)] => return read_simulator(node, collector).map(ServerPlan::Simulator),
        several => several
            .iter()
            .map(|(kind, _)| format!("`{kind}`"))
            .collect(),
    };
    let message = if names.is_empty() {
        format!("`{place}` has no kind of server")
    } else {
        format!("`{place}` has {}; only one is allowed", names.join(" and "))
    };
    let hint = "set one of `docker`, `process`, `url` and `simulator`";
    collector.contradiction(node, message, hint);
    None
}

/// An image for the container of the candidate, or a complete server.
fn read_base(
    node: &Node,
    candidate: Option<&ServerPlan>,
    collector: &mut Collector,
) -> Option<ServerPlan> {
    if let Value::Scalar { .. } = &node.value {
        let image = text(node, "server.base", collector)?;
        // An unreadable server is already reported.
        if let ServerPlan::Docker(docker) = candidate? {
            let docker = docker.clone();
            return Some(ServerPlan::Docker(DockerPlan { image, ..docker }));
        }
        let message = "`server.base` is an image, but `server` is not a container";
        let hint =
            "write the complete server of the base version: `base: {process: {command: […]}}`";
        collector.contradiction(node, message, hint);
        return None;
    }
    let mut fields = Fields::of(node, "server.base", collector)?;
    let kinds = take_kinds(&mut fields);
    fields.finish();
    read_kind(&kinds, "server.base", node, collector)
}

fn read_process(node: &Node, collector: &mut Collector) -> Option<ProcessPlan> {
    let mut fields = Fields::of(node, "server.process", collector)?;
    let example = "[vllm, serve, \"{model}\", --port, \"{port}\"]";
    let command = fields.require("command", example, read_command);
    let env = fields.read("env", read_map);
    let directory = fields.read("directory", text);
    let ready_timeout = fields.read("ready_timeout", duration);
    fields.finish();
    Some(ProcessPlan {
        command: command?,
        env: env.unwrap_or_default(),
        directory: directory.map(PathBuf::from),
        ready_timeout: ready_timeout.unwrap_or(DockerPlan::DEFAULT_READY_TIMEOUT),
    })
}

fn read_command(node: &Node, what: &str, collector: &mut Collector) -> Option<Vec<String>> {
    let command = texts(node, what, collector)?;
    if command.first().is_none_or(String::is_empty) {
        return collector.invalid(node, format!("`{what}` has no program"));
    }
    if !command.iter().any(|part| part.contains("{port}")) {
        let message = format!("`{what}` has no port to listen on");
        let hint = "write `{port}` in place of the port; perfgate chooses a free one";
        collector.push_with_hint(Code::MissingKey, &node.span, message, hint);
        return None;
    }
    Some(command)
}

fn read_map(
    node: &Node,
    what: &str,
    collector: &mut Collector,
) -> Option<BTreeMap<String, String>> {
    let message = format!("`{what}` must be a map of names and values");
    let entries = entries(node, message, None, collector)?;
    let values = entries
        .iter()
        .map(|(key, value)| Some((key.name.clone(), scalar(value, what, collector)?.to_owned())));
    values.collect()
}

fn read_url(node: &Node, collector: &mut Collector) -> Option<ServerUrl> {
    match ServerUrl::parse(&text(node, "server.url", collector)?) {
        Ok(url) => Some(url),
        Err(WrongUrl { message, hint }) => {
            collector.invalid_with_hint(node, format!("`server.url` {message}"), hint)
        }
    }
}

fn read_simulator(node: &Node, collector: &mut Collector) -> Option<BTreeMap<String, String>> {
    let options = read_map(node, "server.simulator", collector)?;
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    for (key, _) in entries {
        if !SIMULATOR_OPTIONS.contains(&key.name.as_str()) {
            let hint = nearest(&key.name, SIMULATOR_OPTIONS.into_iter())
                .map_or_else(String::new, |known| {
                    format!("the nearest option is `{known}`")
                });
            let message = format!("the simulator has no option `{}`", key.name);
            collector.push_with_hint(Code::UnknownKey, &key.span, message, hint);
        }
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::super::{GpuRequest, read_plan};
    use super::*;

    fn server(source: &str) -> Result<ServerPlan, String> {
        let plan = read_plan("perfgate.yaml", &format!("model: m\nserver:\n  {source}\n"));
        plan.map_err(|problems| problems.to_string())
            .map(|plan| plan.server.unwrap())
    }

    fn base(source: &str) -> Result<Option<ServerPlan>, String> {
        let plan = read_plan("perfgate.yaml", &format!("model: m\nserver: {source}\n"));
        plan.map_err(|problems| problems.to_string())
            .map(|plan| plan.base)
    }

    #[test]
    fn the_base_version_is_an_image_for_the_same_container_or_a_server_in_full() {
        let Ok(Some(ServerPlan::Docker(docker))) =
            base("{docker: {image: \"vllm:pull\", gpus: all}, base: \"vllm:main\"}")
        else {
            panic!()
        };
        assert_eq!(
            (docker.image.as_str(), docker.gpus),
            ("vllm:main", GpuRequest::All)
        );
        assert_eq!(
            base("{simulator: {slowdown: 1.08}, base: {simulator: {}}}").unwrap(),
            Some(ServerPlan::Simulator(BTreeMap::new()))
        );
        assert_eq!(base("{simulator: {}}").unwrap(), None);
    }

    #[test]
    fn a_base_image_without_a_container_is_a_problem_that_shows_no_secret() {
        let problem = base("{simulator: {}, base: \"vllm:main\"}").unwrap_err();
        assert!(problem.contains("`server` is not a container"), "{problem}");
        let source = "{simulator: {}, base: {process: {command: [a, \"{port}\"], env: {KEY: sesame}, more: 1}}}";
        let problem = base(source).unwrap_err();
        assert!(
            problem.contains("more") && !problem.contains("sesame"),
            "{problem}"
        );
    }

    #[test]
    fn an_address_has_a_host_and_no_credentials() {
        assert!(server("url: \"http://127.0.0.1:8000/\"").is_ok());
        for (url, message) in [
            ("127.0.0.1:8000", "is not an address"),
            ("http://me:sesame@host", "carries credentials"),
            ("http://host/v1", "write `http://host`"),
        ] {
            let problem = server(&format!("url: \"{url}\"")).unwrap_err();
            assert!(problem.contains(message), "{problem}");
        }
    }

    #[test]
    fn a_process_needs_a_place_for_its_port() {
        assert!(
            server("process: {command: [vllm, serve, m]}")
                .unwrap_err()
                .contains("write `{port}` in place")
        );
        assert!(server("process: {command: [vllm, --port, \"{port}\"], env: {A: 1}}").is_ok());
        assert!(
            server("process: {command: vllm serve}")
                .unwrap_err()
                .contains("must be a list")
        );
    }

    #[test]
    fn a_simulator_takes_known_options_only() {
        assert!(server("simulator: {slowdown: 1.08, seed: 3}").is_ok());
        let problem = server("simulator: {slow-down: 1.08}").unwrap_err();
        assert!(
            problem.contains("the nearest option is `slowdown`"),
            "{problem}"
        );
    }
}
