//! JSON Schemas of `perfgate.yaml` and `thresholds.yaml`, for editors. The reader checks more than the schemas.

use serde_json::{Map, Value, json};

use super::SIMULATOR_OPTIONS;
use crate::metric::{Better, Metric};
use crate::workload::dataset::{Format, TimeUnit, Turns};

/// The schema of `perfgate.yaml`.
pub fn plan() -> Value {
    let properties: Vec<(&str, Value)> = work().into_iter().chain(terms()).collect();
    titled("perfgate.yaml", object(&properties, &["model"]))
}

/// The name of an environment variable.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

fn duration() -> Value {
    json!({"type": "string", "pattern": "^[0-9.]+(us|ms|s|m|h|d)$"})
}

fn percentage() -> Value {
    json!({"type": "string", "pattern": "^[0-9.]+%$"})
}

fn count(least: u32) -> Value {
    json!({"type": "integer", "minimum": least})
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn one_or_more(item: &Value) -> Value {
    json!({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})
}

/// What is sent.
fn work() -> Vec<(&'static str, Value)> {
    let rate = json!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "inf"}]});
    let range = json!({"type": "string", "pattern": "^[0-9]+:[0-9]+(:[0-9]+)?$"});
    vec![
        (
            "name",
            json!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
        ),
        ("model", text()),
        ("served_model_name", text()),
        ("endpoint", json!({"enum": ["completions", "chat"]})),
        ("dataset", json!({"anyOf": [text(), dataset()]})),
        ("num_requests", count(1)),
        (
            "concurrency",
            json!({"anyOf": [one_or_more(&count(1)), range]}),
        ),
        ("request_rate", one_or_more(&rate)),
        ("burstiness", rate),
        ("duration", duration()),
        ("ramp_up", duration()),
        ("input_tokens", lengths()),
        ("output_tokens", lengths()),
        ("prompts", json!({"enum": ["token_ids", "text"]})),
        (
            "prefix",
            object(&[("share", percentage()), ("groups", count(1))], &["share"]),
        ),
        (
            "conversation",
            object(&[("turns", count(1)), ("pause", duration())], &["turns"]),
        ),
        ("warmup_requests", count(0)),
        ("warmup_until_stable", percentage()),
        (
            "repeat",
            json!({"type": "integer", "minimum": 1, "maximum": 100}),
        ),
        ("seed", count(0)),
    ]
}

fn dataset() -> Value {
    let format = Format::ALL.map(Format::name);
    let turns = Turns::ALL.map(Turns::name);
    object(
        &[
            ("path", text()),
            ("format", json!({"enum": format})),
            (
                "sha256",
                json!({"type": "string", "pattern": "^(sha256:)?[0-9A-Fa-f]{64}$"}),
            ),
            (
                "speedup",
                json!({"type": "number", "minimum": 0.001, "maximum": 1e6}),
            ),
            (
                "timestamp_unit",
                json!({"enum": TimeUnit::ALL.map(TimeUnit::name)}),
            ),
            ("block_size", count(1)),
            ("turns", json!({"enum": turns})),
            ("pause", duration()),
            ("repeat_entries", json!({"type": "boolean"})),
            ("salt", json!({"type": "boolean"})),
        ],
        &["path"],
    )
}

fn lengths() -> Value {
    let distribution = object(
        &[
            ("mean", json!({"type": "number"})),
            ("std", json!({"type": "number"})),
            ("min", count(1)),
            ("max", count(1)),
            (
                "distribution",
                json!({"enum": ["constant", "normal", "lognormal", "uniform"]}),
            ),
        ],
        &[],
    );
    json!({"oneOf": [count(1), distribution]})
}

/// Server, limits and conditions.
fn terms() -> Vec<(&'static str, Value)> {
    let sampling = [
        (
            "temperature",
            json!({"type": "number", "minimum": 0, "maximum": 2}),
        ),
        (
            "top_p",
            json!({"type": "number", "minimum": 0, "maximum": 1}),
        ),
        ("ignore_eos", json!({"type": "boolean"})),
    ];
    let hardware = [
        ("gpu", text()),
        ("num_gpus", count(0)),
        ("driver", text()),
        ("cuda", text()),
        ("strict", json!({"type": "boolean"})),
    ];
    let limits = ["ttft", "tpot", "e2e"].map(|name| (name, duration()));
    let variable = object(
        &[("env", json!({"type": "string", "pattern": VARIABLE}))],
        &["env"],
    );
    let header = json!({"anyOf": [{"type": ["string", "number", "boolean"]}, variable]});
    vec![
        ("server", server()),
        ("timeout", duration()),
        ("max_error_rate", percentage()),
        ("sampling", object(&sampling, &[])),
        (
            "headers",
            json!({"type": "object", "additionalProperties": header}),
        ),
        ("extra_body", json!({"type": "object"})),
        ("slo", object(&limits, &[])),
        (
            "telemetry",
            object(
                &[
                    ("interval", duration()),
                    ("gpu_interval", duration()),
                    ("server_is_here", json!({"type": "boolean"})),
                ],
                &[],
            ),
        ),
        ("profile", json!({"const": "never"})),
        ("hardware", object(&hardware, &[])),
        (
            "framework",
            object(
                &[
                    ("vllm_version", text()),
                    ("config", json!({"type": "object"})),
                ],
                &[],
            ),
        ),
    ]
}

fn size() -> Value {
    json!({"type": "string", "pattern": "^[0-9.]+ ?([kMGT]?B|[KMGT]iB)$"})
}

fn docker() -> Vec<(&'static str, Value)> {
    vec![
        ("image", text()),
        ("pull", json!({"enum": ["missing", "always", "never"]})),
        ("entrypoint", texts()),
        ("args", texts()),
        (
            "gpus",
            json!({"anyOf": [{"enum": ["all", "none"]}, count(0), texts()]}),
        ),
        ("devices", texts()),
        ("runtime", text()),
        (
            "env",
            json!({"type": "array", "items": {"type": "string", "pattern": VARIABLE}}),
        ),
        ("volumes", texts()),
        (
            "hf_cache",
            json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^[/.~]"}]}),
        ),
        ("shm_size", size()),
        ("ipc", text()),
        ("memory", size()),
        (
            "cpus",
            json!({"type": "number", "minimum": 0.01, "maximum": 4096}),
        ),
        (
            "cpuset",
            json!({"type": ["string", "integer"], "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"}),
        ),
        ("pids_limit", count(1)),
        (
            "user",
            json!({"type": ["string", "integer"], "pattern": "^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$"}),
        ),
        ("network", json!({"enum": ["bridge", "host"]})),
        ("port", count(1)),
        ("ready_timeout", duration()),
    ]
}

fn server() -> Value {
    let scalar = || json!({"type": ["string", "number", "boolean"]});
    let docker = docker();
    let process = [
        ("command", texts()),
        (
            "env",
            json!({"type": "object", "additionalProperties": scalar()}),
        ),
        ("directory", text()),
        ("ready_timeout", duration()),
    ];
    let simulator = SIMULATOR_OPTIONS.map(|name| (name, scalar()));
    let kinds = [
        ("docker", object(&docker, &["image"])),
        ("process", object(&process, &["command"])),
        ("url", text()),
        ("simulator", object(&simulator, &[])),
    ];
    let base = json!({"anyOf": [text(), object(&kinds, &[])]});
    let more = [
        ("base", base),
        ("fresh", json!({"enum": ["repeat", "run"]})),
    ];
    let properties: Vec<(&str, Value)> = kinds.into_iter().chain(more).collect();
    object(&properties, &[])
}

/// The schema of `thresholds.yaml`.
pub fn policy() -> Value {
    let rule = object(
        &[
            (
                "regression",
                json!({"type": "string", "pattern": "^[0-9.]+%$"}),
            ),
            ("max", json!({"type": ["string", "number"]})),
            ("min", json!({"type": ["string", "number"]})),
            ("action", json!({"enum": ["block", "warn", "report"]})),
            ("explain", json!({"type": "boolean"})),
        ],
        &[],
    );
    let watched = || Metric::all().filter(|metric| metric.better() != Better::Neither);
    let rules: Vec<(&str, Value)> = watched()
        .map(|metric| (metric.id(), rule.clone()))
        .collect();
    let budgets: Vec<(&str, Value)> = watched()
        .map(|metric| (metric.id(), json!({"type": ["string", "number"]})))
        .collect();
    let rules = object(&rules, &[]);
    let properties = [
        ("version", json!({"const": 1})),
        ("rules", rules.clone()),
        (
            "scenarios",
            json!({"type": "object", "additionalProperties": rules}),
        ),
        ("slo", object(&budgets, &[])),
        (
            "noise",
            object(
                &[
                    (
                        "max_repeats",
                        json!({"type": "integer", "minimum": 1, "maximum": 100}),
                    ),
                    ("on_inconclusive", json!({"enum": ["auto", "pass", "fail"]})),
                ],
                &[],
            ),
        ),
        ("first_run", json!({"enum": ["pass", "fail"]})),
    ];
    titled("thresholds.yaml", object(&properties, &["version"]))
}

fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn titled(title: &str, mut schema: Value) -> Value {
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::super::{PLAN_KEYS, POLICY_KEYS};
    use super::*;

    #[test]
    fn the_schemas_have_the_keys_that_are_read() {
        for (schema, keys) in [(plan(), &PLAN_KEYS[..]), (policy(), &POLICY_KEYS[..])] {
            let mut known: Vec<&str> = keys.to_vec();
            known.sort_unstable();
            let properties: Vec<&String> =
                schema["properties"].as_object().unwrap().keys().collect();
            assert_eq!(properties, known);
        }
    }
}
