//! `framework:` of `perfgate.yaml`: the expected version and the engine's arguments.

use std::collections::HashMap;

use super::Plan;
use super::fields::{Fields, entries, text};
use super::node::{Node, Value};
use super::problem::{Code, Collector};
use super::read_extras::{report_unclear_values, to_json};

pub(super) fn read_framework(node: &Node, plan: &mut Plan, collector: &mut Collector) {
    let Some(mut fields) = Fields::of(node, "framework", collector) else {
        return;
    };
    plan.expectations.vllm_version = fields.read("vllm_version", text);
    fields.update("config", &mut plan.engine_args, read_engine_config);
    fields.finish();
}

/// `tensor_parallel_size: 8` → `--tensor-parallel-size 8`; true is a bare flag and false is `--no-…`, as in vLLM.
fn read_engine_config(node: &Node, what: &str, collector: &mut Collector) -> Option<Vec<String>> {
    let message = format!("`{what}` must be a map of keys and values");
    let entries = entries(node, message, None, collector)?;
    let mut args = Vec::new();
    let mut flags = HashMap::new();
    for (key, value) in entries {
        let flag = key.name.replace('_', "-");
        if !is_flag(&flag) {
            let message = format!("`{}` is not a valid name of an engine argument", key.name);
            let hint = "write it as vLLM does, without the dashes: `tensor_parallel_size`";
            collector.push_with_hint(Code::InvalidValue, &key.span, message, hint);
            continue;
        }
        if let Some(first) = flags.insert(flag.clone(), key.name.as_str())
            && first != key.name
        {
            let message = format!("`{}` and `{first}` are the same argument", key.name);
            collector.push_with_hint(Code::DuplicateKey, &key.span, message, "keep one of them");
        }
        report_unclear_values(value, "an engine argument", collector);
        match (&value.value, value.truth()) {
            _ if value.is_null() => {}
            (_, Some(true)) => args.push(format!("--{flag}")),
            (_, Some(false)) => args.push(format!("--no-{flag}")),
            (Value::Scalar { text, .. }, None) => args.extend([format!("--{flag}"), text.clone()]),
            (Value::Sequence(_) | Value::Mapping(_), None) => {
                args.extend([format!("--{flag}"), to_json(value).to_string()]);
            }
        }
    }
    Some(args)
}

fn is_flag(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::super::read_plan;

    fn read(config: &str) -> String {
        let source = format!("model: m\nframework: {{config: {config}}}");
        match read_plan("perfgate.yaml", &source) {
            Ok(plan) => plan.engine_args.join(" "),
            Err(problems) => {
                let messages: Vec<String> = problems
                    .problems
                    .into_iter()
                    .map(|problem| problem.message)
                    .collect();
                messages.join("; ")
            }
        }
    }

    #[test]
    fn a_boolean_is_a_flag_in_every_spelling() {
        insta::assert_snapshot!(read("{enable_prefix_caching: True, enforce_eager: FALSE, dtype: \"True\"}"), @"--enable-prefix-caching --no-enforce-eager --dtype True");
        insta::assert_snapshot!(read("{compilation: {eager: True}}"), @r#"--compilation {"eager":true}"#);
    }

    #[test]
    fn a_repeated_argument_is_found_at_any_depth_and_in_any_spelling() {
        insta::assert_snapshot!(read("{speculative_config: {tokens: 1, tokens: 2}}"), @"`tokens` is given twice");
        insta::assert_snapshot!(read("{block_size: 8, block-size: 16}"), @"`block-size` and `block_size` are the same argument");
        insta::assert_snapshot!(read("{block_size: 8, block_size: 16}"), @"`block_size` is given twice");
    }

    #[test]
    fn an_invalid_argument_never_reaches_the_engine() {
        insta::assert_snapshot!(read("{\"\": 4, \"a b\": 1, \"--seed\": 1}"), @"`` is not a valid name of an engine argument; `a b` is not a valid name of an engine argument; `--seed` is not a valid name of an engine argument");
        insta::assert_snapshot!(read("{gpu_memory_utilization: .nan, s: [-.inf]}"), @"an engine argument must be a finite number, not `.nan`; an engine argument must be a finite number, not `-.inf`");
    }
}
