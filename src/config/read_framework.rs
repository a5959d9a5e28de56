//! `framework:` of `perfgate.yaml`: the version expected and the engine's arguments.

use super::Expectations;
use super::fields::{Fields, report_duplicates, text};
use super::problem::{Code, Collector};
use super::yaml::{Node, Value};

pub(super) fn read_framework(
    node: &Node,
    expectations: &mut Expectations,
    collector: &mut Collector<'_>,
) -> Option<Vec<String>> {
    let mut fields = Fields::of(node, "framework", collector)?;
    expectations.vllm_version = fields
        .take("vllm_version")
        .and_then(|node| text(node, "framework.vllm_version", collector));
    let args = fields
        .take("config")
        .and_then(|node| read_engine_config(node, collector));
    fields.finish(collector);
    args
}

/// `tensor_parallel_size: 8` → `--tensor-parallel-size 8`; true is a bare flag and false `--no-…`, as vLLM has them.
fn read_engine_config(node: &Node, collector: &mut Collector<'_>) -> Option<Vec<String>> {
    let Value::Mapping(entries) = &node.value else {
        let message = "`framework.config` must be a map of keys and values".to_owned();
        collector.push(Code::InvalidValue, node.span.clone(), message);
        return None;
    };
    report_duplicates(entries, collector);
    let mut args = Vec::new();
    for (key, value) in entries {
        let flag = key.name.replace('_', "-");
        match &value.value {
            _ if value.is_null() => {}
            Value::Scalar {
                text,
                quoted: false,
            } if text == "true" => args.push(format!("--{flag}")),
            Value::Scalar {
                text,
                quoted: false,
            } if text == "false" => args.push(format!("--no-{flag}")),
            Value::Scalar { text, .. } => args.extend([format!("--{flag}"), text.clone()]),
            Value::Sequence(_) | Value::Mapping(_) => {
                args.extend([format!("--{flag}"), to_json(value).to_string()]);
            }
        }
    }
    Some(args)
}

fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        _ if node.is_null() => serde_json::Value::Null,
        Value::Scalar { text, quoted: true } => text.clone().into(),
        // A plain scalar that JSON understands is what it looks like; the rest is text.
        Value::Scalar {
            text,
            quoted: false,
        } => serde_json::from_str(text).unwrap_or_else(|_not_json| text.clone().into()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let object = entries
                .iter()
                .map(|(key, value)| (key.name.clone(), to_json(value)));
            serde_json::Value::Object(object.collect())
        }
    }
}
