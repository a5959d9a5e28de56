//! `perfgate.yaml`.

use std::ops::RangeBounds;
use std::time::Duration;

use super::fields::{Fields, boolean, duration, number, one_of, percentage, scalar, text};
use super::node::Node;
use super::plan::MIN_INTERVAL;
use super::problem::{Collector, Problems};
use super::read_dataset::{read_conversation, read_dataset, read_prefix};
use super::read_extras::{read_extra_body, read_headers};
use super::read_framework::read_framework;
use super::read_load::{read_lengths, read_loads};
use super::read_server::read_server;
use super::yaml;
use super::{Dataset, Endpoint, Expectations, Plan, Sampling, Slo, is_safe_name, safe_name};
use crate::workload::PromptForm;

/// Maximum number of requests of a run.
const MAX_REQUESTS: usize = 10_000_000;

/// Reads a `perfgate.yaml`. `file` is its name in messages.
pub fn read_plan(file: &str, source: &str) -> Result<Plan, Problems> {
    let mut collector = Collector::new(file, source);
    let plan = yaml::parse(source, "model: meta-llama/Llama-3-8B", &mut collector)
        .and_then(|root| read(&root, &mut collector));
    collector.finish(plan)
}

fn read(root: &Node, collector: &mut Collector) -> Option<Plan> {
    let mut fields = Fields::of(root, "", collector)?;
    let model = fields.require("model", "meta-llama/Llama-3-8B", text);
    // Without a model the rest is read for its problems.
    let mut plan = Plan::of(model.as_deref().unwrap_or_default());
    fields.update("name", &mut plan.name, read_name);
    fields.update("served_model_name", &mut plan.served_model_name, text);
    if let Some(node) = fields.take("server") {
        read_server(node, &mut plan, fields.collector);
    }
    read_requests(&mut fields, &mut plan);
    read_prompts(&mut fields, &mut plan);
    plan.duration = fields.read("duration", duration);
    fields.update("ramp_up", &mut plan.ramp_up, duration);
    fields.update("timeout", &mut plan.timeout, duration);
    fields.update(
        "max_error_rate",
        &mut plan.max_error_rate,
        percentage(0.0..=1.0),
    );
    fields.update("sampling", &mut plan.sampling, read_sampling);
    fields.update("headers", &mut plan.headers, read_headers);
    fields.update("extra_body", &mut plan.extra_body, read_extra_body);
    fields.update("slo", &mut plan.slo, read_slo);
    if let Some(node) = fields.take("telemetry") {
        read_telemetry(node, &mut plan, fields.collector);
    }
    fields.read("profile", refuse_profile);
    fields.update("hardware", &mut plan.expectations, read_hardware);
    if let Some(node) = fields.take("framework") {
        read_framework(node, &mut plan, fields.collector);
    }
    fields.finish();
    model.map(|_| plan)
}

/// How many requests are sent, and when.
fn read_requests(fields: &mut Fields<'_, '_>, plan: &mut Plan) {
    let endpoints = [
        ("completions", Endpoint::Completions),
        ("chat", Endpoint::Chat),
    ];
    fields.update("endpoint", &mut plan.endpoint, one_of(&endpoints));
    fields.update(
        "num_requests",
        &mut plan.num_requests,
        number(1..=MAX_REQUESTS),
    );
    (plan.loads, plan.loads_are_default) = read_loads(fields);
    plan.warmup_requests = fields
        .read("warmup_requests", number(0..=MAX_REQUESTS))
        .unwrap_or_else(|| Plan::default_warmup(&plan.loads, plan.num_requests));
    plan.warmup_until_stable = fields.read("warmup_until_stable", percentage(0.001..=1.0));
    fields.update("repeat", &mut plan.repeat, number(1..=100));
    fields.update("seed", &mut plan.seed, number(0..=u64::MAX));
}

/// What is sent.
fn read_prompts(fields: &mut Fields<'_, '_>, plan: &mut Plan) {
    fields.update("dataset", &mut plan.dataset, read_dataset);
    plan.input_tokens = fields.read("input_tokens", read_lengths);
    plan.output_tokens = fields.read("output_tokens", read_lengths);
    let forms = [
        ("token_ids", PromptForm::TokenIds),
        ("text", PromptForm::Words),
    ];
    plan.prompts = fields.read("prompts", one_of(&forms));
    fields.update("prefix", &mut plan.prefix, read_prefix);
    plan.conversation = fields.read("conversation", read_conversation);
    if let (Dataset::File(file), Some(node)) = (&plan.dataset, fields.take("dataset"))
        && file.speedup.is_some()
        && !plan.loads_are_default
    {
        fields.collector.contradiction(
            node,
            "`dataset.speedup` has no effect with a given load: it scales a trace's own arrival times",
            "remove `concurrency` and `request_rate`, or `speedup`",
        );
    }
    if plan.dataset != Dataset::Synthetic {
        for name in ["prompts", "prefix", "conversation"] {
            let Some(node) = fields.take(name) else {
                continue;
            };
            let message =
                format!("`{name}` has no effect with a data set: it shapes synthetic prompts");
            fields
                .collector
                .contradiction(node, message, "remove one of them");
        }
    }
}

fn read_name(node: &Node, what: &str, collector: &mut Collector) -> Option<String> {
    let name = text(node, what, collector)?;
    if is_safe_name(&name) {
        return Some(name);
    }
    let message = format!("`name` is `{name}`, which is not a valid file name");
    collector.invalid_with_hint(node, message, format!("write `{}`", safe_name(&name)))
}

fn read_sampling(node: &Node, what: &str, collector: &mut Collector) -> Option<Sampling> {
    let mut fields = Fields::of(node, what, collector)?;
    let mut sampling = Sampling::default();
    fields.update("temperature", &mut sampling.temperature, number(0.0..=2.0));
    sampling.top_p = fields.read("top_p", number(0.0..=1.0));
    fields.update("ignore_eos", &mut sampling.ignore_eos, boolean);
    fields.finish();
    Some(sampling)
}

fn read_slo(node: &Node, what: &str, collector: &mut Collector) -> Option<Slo> {
    let mut fields = Fields::of(node, what, collector)?;
    let mut limit = |name| fields.read(name, duration).map(|limit| limit.as_secs_f64());
    let slo = Slo {
        ttft: limit("ttft"),
        tpot: limit("tpot"),
        e2e: limit("e2e"),
    };
    fields.finish();
    Some(slo)
}

/// Longest interval between two GPU samples: with fewer samples, shares of a repeat of minutes are unreliable.
const MAX_GPU_INTERVAL: Duration = Duration::from_secs(10);

fn read_telemetry(node: &Node, plan: &mut Plan, collector: &mut Collector) {
    let Some(mut fields) = Fields::of(node, "telemetry", collector) else {
        return;
    };
    let any = interval(MIN_INTERVAL.., "at least 100ms");
    fields.update("interval", &mut plan.telemetry_interval, any);
    let of_gpu = interval(MIN_INTERVAL..=MAX_GPU_INTERVAL, "100ms to 10s");
    fields.update("gpu_interval", &mut plan.gpu_interval, of_gpu);
    plan.server_is_here = fields.read("server_is_here", boolean);
    fields.finish();
}

/// A duration within limits; `limits` is their wording.
fn interval(
    range: impl RangeBounds<Duration>,
    limits: &str,
) -> impl Fn(&Node, &str, &mut Collector) -> Option<Duration> {
    move |node, what, collector| {
        let interval = duration(node, what, collector)?;
        if range.contains(&interval) {
            return Some(interval);
        }
        collector.invalid(node, format!("`{what}` must be {limits}"))
    }
}

fn refuse_profile(node: &Node, what: &str, collector: &mut Collector) -> Option<()> {
    if scalar(node, what, collector)? == "never" {
        return Some(());
    }
    let message = "this version of perfgate cannot capture profiles";
    collector.invalid_with_hint(node, message, "write `profile: never`, or remove it")
}

fn read_hardware(node: &Node, what: &str, collector: &mut Collector) -> Option<Expectations> {
    let mut fields = Fields::of(node, what, collector)?;
    let expectations = Expectations {
        gpu: fields.read("gpu", text),
        num_gpus: fields.read("num_gpus", number(0..=1024)),
        driver: fields.read("driver", text),
        cuda: fields.read("cuda", text),
        strict: fields.read("strict", boolean).unwrap_or_default(),
        vllm_version: None,
    };
    fields.finish();
    Some(expectations)
}

#[cfg(test)]
mod tests {
    use super::super::{DatasetFile, LoadPoint};
    use super::*;
    use crate::workload::Lengths;

    /// As published, without a change.
    const PUBLISHED: &str = r#"
model: "meta-llama/Llama-3-8B"
dataset: "ShareGPT_v3"
num_requests: 1000
concurrency: [1, 4, 16, 64, 256]
input_tokens: {mean: 1000, std: 200, distribution: "normal"}
output_tokens: {mean: 200, std: 50, distribution: "normal"}
warmup_requests: 100
repeat: 3
seed: 42
hardware: {gpu: "H100-80GB SXM", num_gpus: 8, driver: "535.129.03", cuda: "12.3"}
framework:
  vllm_version: "0.6.4"
  config: {tensor_parallel_size: 8, enable_prefix_caching: true, max_num_batched_tokens: 8192}
"#;

    #[test]
    fn the_published_configuration_loads_unchanged() {
        let plan = read_plan("perfgate.yaml", PUBLISHED).unwrap();
        assert_eq!(plan.name, "llama-3-8b");
        let file = DatasetFile::at("ShareGPT_v3");
        assert_eq!(plan.dataset, Dataset::File(file));
        assert_eq!(plan.loads.len(), 5);
        assert_eq!(
            plan.input_tokens,
            Some(Lengths::Normal {
                mean: 1000.0,
                std: 200.0
            })
        );
        assert_eq!(plan.expectations.vllm_version.as_deref(), Some("0.6.4"));
        let args = "--tensor-parallel-size 8 --enable-prefix-caching --max-num-batched-tokens 8192";
        assert_eq!(plan.engine_args.join(" "), args);
    }

    #[test]
    fn a_model_is_all_that_is_needed() {
        let plan = read_plan("perfgate.yaml", "model: m").unwrap();
        assert_eq!(
            (
                plan.num_requests,
                plan.warmup_requests,
                plan.repeat,
                plan.seed
            ),
            (200, 32, 3, 42)
        );
        assert_eq!(plan.loads, [LoadPoint::Concurrency(16)]);
        assert!(plan.sampling.ignore_eos);
    }

    #[test]
    fn every_problem_is_shown_at_once_with_its_line() {
        let source = "\
modle: m
name: \"../evil\"
endpoint: images
num_requests: 0
concurrency: [4, many, 4]
request_rate: 2
timeout: 30
input_tokens: {mean: .nan}
prefix: {share: 0.5}
seed: 1
seed: 2
profile: always
server: {docker: {}, url: \"http://127.0.0.1:1\"}
";
        insta::assert_snapshot!(read_plan("perfgate.yaml", source).unwrap_err().to_string());
    }

    #[test]
    fn broken_yaml_is_reported_with_its_position() {
        let problems = [
            "",
            "a: b\n---\nc: d\n",
            "model: m\n\tname: x\n",
            "model: &a m\n",
            "- a\n",
            "model: [m\n",
        ]
        .map(|source| read_plan("perfgate.yaml", source).unwrap_err().to_string());
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn engine_arguments_follow_the_file() {
        let source = "model: m\nframework: {config: {enforce_eager: false, speculative_config: {num_tokens: 3, method: ngram}, dtype: \"true\"}}";
        let plan = read_plan("perfgate.yaml", source).unwrap();
        assert_eq!(
            plan.engine_args,
            [
                "--no-enforce-eager",
                "--speculative-config",
                r#"{"method":"ngram","num_tokens":3}"#,
                "--dtype",
                "true"
            ]
        );
    }

    #[test]
    fn loads_may_be_ranges_and_rates() {
        let loads = |source: &str| {
            read_plan("perfgate.yaml", &format!("model: m\n{source}"))
                .unwrap()
                .loads
        };
        let names: Vec<String> = loads("concurrency: \"1:17:8\"")
            .into_iter()
            .map(LoadPoint::name)
            .collect();
        assert_eq!(names, ["concurrency=1", "concurrency=9", "concurrency=17"]);
        assert_eq!(
            loads("request_rate: [2, inf]\nburstiness: 0.5"),
            [
                LoadPoint::Rate {
                    per_second: 2.0,
                    burstiness: 0.5
                },
                LoadPoint::Rate {
                    per_second: f64::INFINITY,
                    burstiness: 0.5
                }
            ]
        );
    }
}
