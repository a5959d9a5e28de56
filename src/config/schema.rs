//! JSON Schemas of `perfgate.yaml` and `thresholds.yaml`, for editors. The reader checks more than the schemas.

use serde_json::{Map, Value, json};

use super::SIMULATOR_OPTIONS;
use crate::metric::{Better, Metric};
use crate::workload::dataset::{Format, TimeUnit, Turns};

/// The name of an environment variable.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// The schema of `perfgate.yaml`.
pub fn plan() -> Value {
    let rate = json!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"const": "inf"}]});
    let range = text_like("^[0-9]+:[0-9]+(:[0-9]+)?$");
    let prefix = json!({"share": percentage(), "groups": count(1)});
    let conversation = json!({"turns": count(1), "pause": duration()});
    let sampling = json!({
        "temperature": number(0, 2),
        "top_p": number(0, 1),
        "ignore_eos": truth(),
    });
    let hardware = json!({
        "gpu": text(),
        "num_gpus": count(0),
        "driver": text(),
        "cuda": text(),
        "strict": truth(),
    });
    let telemetry = json!({
        "interval": duration(),
        "gpu_interval": duration(),
        "server_is_here": truth(),
    });
    let variable = object(&["env"], json!({"env": text_like(VARIABLE)}));
    let header = json!({"anyOf": [scalar(), variable]});
    let properties = json!({
        "name": text_like("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"),
        "model": text(),
        "served_model_name": text(),
        "server": server(),
        "endpoint": {"enum": ["completions", "chat"]},
        "dataset": {"anyOf": [text(), dataset()]},
        "num_requests": count(1),
        "concurrency": {"anyOf": [one_or_more(&count(1)), range]},
        "request_rate": one_or_more(&rate),
        "burstiness": rate,
        "duration": duration(),
        "ramp_up": duration(),
        "input_tokens": lengths(),
        "output_tokens": lengths(),
        "prompts": {"enum": ["token_ids", "text"]},
        "prefix": object(&["share"], prefix),
        "conversation": object(&["turns"], conversation),
        "warmup_requests": count(0),
        "warmup_until_stable": percentage(),
        "repeat": {"type": "integer", "minimum": 1, "maximum": 100},
        "seed": count(0),
        "timeout": duration(),
        "max_error_rate": percentage(),
        "sampling": object(&[], sampling),
        "headers": map_of(&header),
        "extra_body": {"type": "object"},
        "slo": object(&[], json!({"ttft": duration(), "tpot": duration(), "e2e": duration()})),
        "telemetry": object(&[], telemetry),
        "profile": {"const": "never"},
        "hardware": object(&[], hardware),
        "framework": object(&[], json!({"vllm_version": text(), "config": {"type": "object"}})),
    });
    titled("perfgate.yaml", object(&["model"], properties))
}

fn dataset() -> Value {
    let properties = json!({
        "path": text(),
        "format": {"enum": Format::ALL.map(Format::name)},
        "sha256": text_like("^(sha256:)?[0-9A-Fa-f]{64}$"),
        "speedup": number(0.001, 1e6),
        "timestamp_unit": {"enum": TimeUnit::ALL.map(TimeUnit::name)},
        "block_size": count(1),
        "turns": {"enum": Turns::ALL.map(Turns::name)},
        "pause": duration(),
        "repeat_entries": truth(),
        "salt": truth(),
    });
    object(&["path"], properties)
}

fn lengths() -> Value {
    let distribution = json!({
        "mean": {"type": "number"},
        "std": {"type": "number"},
        "min": count(1),
        "max": count(1),
        "distribution": {"enum": ["constant", "normal", "lognormal", "uniform"]},
    });
    json!({"oneOf": [count(1), object(&[], distribution)]})
}

fn server() -> Value {
    let process = json!({
        "command": texts(),
        "env": map_of(&scalar()),
        "directory": text(),
        "ready_timeout": duration(),
    });
    let simulator: Map<String, Value> = SIMULATOR_OPTIONS
        .into_iter()
        .map(|name| (name.to_owned(), scalar()))
        .collect();
    let mut kinds = json!({
        "docker": docker(),
        "process": object(&["command"], process),
        "url": text(),
        "simulator": object(&[], simulator.into()),
    });
    let base = json!({"anyOf": [text(), object(&[], kinds.clone())]});
    kinds["base"] = base;
    kinds["fresh"] = json!({"enum": ["repeat", "run"]});
    object(&[], kinds)
}

fn docker() -> Value {
    let cpus = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$";
    let user = "^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$";
    let properties = json!({
        "image": text(),
        "pull": {"enum": ["missing", "always", "never"]},
        "entrypoint": texts(),
        "args": texts(),
        "gpus": {"anyOf": [{"enum": ["all", "none"]}, count(0), texts()]},
        "devices": texts(),
        "runtime": text(),
        "env": {"type": "array", "items": text_like(VARIABLE)},
        "volumes": texts(),
        "hf_cache": {"anyOf": [truth(), text_like("^[/.~]")]},
        "shm_size": size(),
        "ipc": text(),
        "memory": size(),
        "cpus": number(0.01, 4096),
        "cpuset": {"type": ["string", "integer"], "pattern": cpus},
        "pids_limit": count(1),
        "user": {"type": ["string", "integer"], "pattern": user},
        "network": {"enum": ["bridge", "host"]},
        "port": count(1),
        "ready_timeout": duration(),
    });
    object(&["image"], properties)
}

/// The schema of `thresholds.yaml`.
pub fn policy() -> Value {
    let budget = json!({"type": ["string", "number"]});
    let rule = json!({
        "regression": percentage(),
        "max": budget,
        "min": budget,
        "action": {"enum": ["block", "warn", "report"]},
        "explain": truth(),
    });
    let noise = json!({
        "max_repeats": {"type": "integer", "minimum": 1, "maximum": 100},
        "max_pairs": {"type": "integer", "minimum": 2, "maximum": 100},
        "budget": text_like("^[0-9.]+ ?(gpu-h|gpu-min|s|m|h|d)$"),
        "on_inconclusive": {"enum": ["auto", "pass", "fail"]},
    });
    let per_metric = |schema: &Value| {
        let watched = Metric::all().filter(|metric| metric.better() != Better::Neither);
        let properties: Map<String, Value> = watched
            .map(|metric| (metric.id().to_owned(), schema.clone()))
            .collect();
        object(&[], properties.into())
    };
    let rules = per_metric(&object(&[], rule));
    let properties = json!({
        "version": {"const": 1},
        "rules": rules,
        "scenarios": map_of(&rules),
        "slo": per_metric(&budget),
        "noise": object(&[], noise),
        "first_run": {"enum": ["pass", "fail"]},
    });
    titled("thresholds.yaml", object(&["version"], properties))
}

fn duration() -> Value {
    text_like("^[0-9.]+(us|ms|s|m|h|d)$")
}

fn percentage() -> Value {
    text_like("^[0-9.]+%$")
}

fn size() -> Value {
    text_like("^[0-9.]+ ?([kMGT]?B|[KMGT]iB)$")
}

fn text_like(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

fn text() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn scalar() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

fn truth() -> Value {
    json!({"type": "boolean"})
}

fn count(least: u32) -> Value {
    json!({"type": "integer", "minimum": least})
}

fn number(least: impl Into<Value>, most: impl Into<Value>) -> Value {
    let (least, most) = (least.into(), most.into());
    json!({"type": "number", "minimum": least, "maximum": most})
}

fn one_or_more(item: &Value) -> Value {
    json!({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})
}

fn map_of(value: &Value) -> Value {
    json!({"type": "object", "additionalProperties": value})
}

/// A map with these keys only.
fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({"type": "object", "required": required, "additionalProperties": false});
    schema["properties"] = properties;
    schema
}

fn titled(title: &str, mut schema: Value) -> Value {
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::super::{Code, read_plan, read_policy};
    use super::*;

    #[test]
    fn every_key_of_a_schema_is_read() {
        let all = |schema: Value| -> String {
            let properties = schema["properties"].as_object().unwrap();
            properties.keys().map(|key| format!("{key}: ~\n")).collect()
        };
        let of_plan = read_plan("perfgate.yaml", &all(plan())).unwrap_err();
        let of_policy = read_policy("thresholds.yaml", &all(policy())).unwrap_err();
        for problems in [of_plan, of_policy] {
            let mut problem = problems.problems.iter();
            assert!(
                problem.all(|problem| problem.code != Code::UnknownKey),
                "{problems}"
            );
        }
    }
}
