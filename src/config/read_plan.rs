//! `perfgate.yaml`.

use std::time::Duration;

use super::fields::{Fields, boolean, duration, number, percentage, scalar, text};
use super::node::Node;
use super::problem::{Code, Collector, Problems};
use super::read_dataset::{read_conversation, read_dataset, read_prefix, read_prompts};
use super::read_extras::read_extras;
use super::read_framework::read_framework;
use super::read_load::{read_lengths, read_loads};
use super::read_server::{Servers, read_server};
use super::yaml;
use super::{
    ConversationPlan, Dataset, Endpoint, Expectations, LoadPoint, Plan, Prefix, Prompts, Sampling,
    Slo, is_safe_name, safe_name,
};
use crate::workload::Lengths;

/// The keys of the file, for its schema.
pub const PLAN_KEYS: [&str; 31] = [
    "name",
    "model",
    "served_model_name",
    "server",
    "endpoint",
    "dataset",
    "num_requests",
    "concurrency",
    "request_rate",
    "burstiness",
    "duration",
    "ramp_up",
    "input_tokens",
    "output_tokens",
    "prompts",
    "prefix",
    "conversation",
    "warmup_requests",
    "warmup_until_stable",
    "repeat",
    "seed",
    "timeout",
    "max_error_rate",
    "sampling",
    "headers",
    "extra_body",
    "slo",
    "telemetry",
    "profile",
    "hardware",
    "framework",
];

/// Maximum number of requests of a run.
const MAX_REQUESTS: usize = 10_000_000;

/// Reads a `perfgate.yaml`. `file` is its name in messages.
pub fn read_plan(file: &str, source: &str) -> Result<Plan, Problems> {
    let mut collector = Collector::new(file, source);
    let plan = yaml::parse(source, "model: meta-llama/Llama-3-8B", &mut collector)
        .and_then(|root| read(&root, &mut collector));
    collector.finish(plan)
}

fn read(root: &Node, collector: &mut Collector<'_>) -> Option<Plan> {
    let mut fields = Fields::of(root, "", collector)?;
    let model = fields
        .require("model", "meta-llama/Llama-3-8B", collector)
        .and_then(|node| text(node, "model", collector));
    let name = fields
        .take("name")
        .and_then(|node| read_name(node, collector));
    let served = fields
        .take("served_model_name")
        .and_then(|node| text(node, "served_model_name", collector));
    let servers = fields
        .take("server")
        .map_or_else(Servers::default, |node| read_server(node, collector));
    let work = read_work(&mut fields, collector);
    let terms = read_terms(&mut fields, collector);
    let (headers, extra_body) = read_extras(&mut fields, collector);
    let (telemetry_interval, gpu_interval, server_is_here) = fields
        .take("telemetry")
        .and_then(|node| read_telemetry(node, collector))
        .unwrap_or_default();
    if let Some(node) = fields.take("profile") {
        read_profile(node, collector);
    }
    let mut expectations = fields
        .take("hardware")
        .and_then(|node| read_hardware(node, collector))
        .unwrap_or_default();
    let engine_args = fields
        .take("framework")
        .and_then(|node| read_framework(node, &mut expectations, collector))
        .unwrap_or_default();
    fields.finish(collector);

    let model = model?;
    Some(Plan {
        name: name.unwrap_or_else(|| safe_name(model.rsplit('/').next().unwrap_or(&model))),
        served_model_name: served.unwrap_or_else(|| model.clone()),
        model,
        server: servers.plan,
        base: servers.base,
        fresh: servers.fresh,
        endpoint: work.endpoint,
        dataset: work.dataset,
        num_requests: work.num_requests,
        loads: work.loads,
        loads_are_usual: work.loads_are_usual,
        input_tokens: work.input_tokens,
        output_tokens: work.output_tokens,
        prompts: work.prompts,
        prefix: work.prefix,
        conversation: work.conversation,
        warmup_requests: work.warmup_requests,
        warmup_until_stable: work.warmup_until_stable,
        repeat: work.repeat,
        seed: work.seed,
        duration: terms.duration,
        ramp_up: terms.ramp_up,
        timeout: terms.timeout,
        max_error_rate: terms.max_error_rate,
        sampling: terms.sampling,
        headers,
        extra_body,
        slo: terms.slo,
        telemetry_interval: telemetry_interval.unwrap_or(Duration::from_secs(1)),
        server_is_here,
        gpu_interval: gpu_interval.unwrap_or(MIN_INTERVAL),
        expectations,
        engine_args,
    })
}

/// What is sent.
struct Work {
    endpoint: Endpoint,
    dataset: Dataset,
    num_requests: usize,
    loads: Vec<LoadPoint>,
    loads_are_usual: bool,
    input_tokens: Option<Lengths>,
    output_tokens: Option<Lengths>,
    prompts: Option<Prompts>,
    prefix: Prefix,
    conversation: Option<ConversationPlan>,
    warmup_requests: usize,
    warmup_until_stable: Option<f64>,
    repeat: u32,
    seed: u64,
}

fn read_work(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Work {
    let endpoint = fields
        .take("endpoint")
        .and_then(|node| read_endpoint(node, collector));
    let dataset_node = fields.take("dataset");
    let dataset = dataset_node
        .and_then(|node| read_dataset(node, collector))
        .unwrap_or_default();
    let mut requests = |name: &'static str, range, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| number(node, name, &range, collector))
    };
    let num_requests = requests("num_requests", 1..=MAX_REQUESTS, collector).unwrap_or(200);
    let warmup_requests = requests("warmup_requests", 0..=MAX_REQUESTS, collector);
    let warmup_until_stable = fields
        .take("warmup_until_stable")
        .and_then(|node| percentage(node, "warmup_until_stable", &(0.001..=1.0), collector));
    let (loads, loads_are_usual) = read_loads(fields, collector);
    if let (Dataset::File(file), Some(node), false) = (&dataset, dataset_node, loads_are_usual)
        && file.speedup.is_some()
    {
        let message = "`dataset.speedup` has no effect with a given load: it scales a trace's own arrival times";
        let hint = "remove `concurrency` and `request_rate`, or `speedup`";
        collector.push_with_hint(
            Code::Contradiction,
            node.span.clone(),
            message.to_owned(),
            hint,
        );
    }
    let mut lengths = |name: &'static str, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| read_lengths(node, name, collector))
    };
    let input_tokens = lengths("input_tokens", collector);
    let output_tokens = lengths("output_tokens", collector);
    let shape = ["prompts", "prefix", "conversation"].map(|name| (name, fields.take(name)));
    let [(_, prompts), (_, prefix), (_, conversation)] = shape;
    let prompts = prompts.and_then(|node| read_prompts(node, collector));
    let prefix = prefix.and_then(|node| read_prefix(node, collector));
    let conversation = conversation.and_then(|node| read_conversation(node, collector));
    if dataset != Dataset::Synthetic {
        for (name, node) in shape {
            let Some(node) = node else { continue };
            let message =
                format!("`{name}` has no effect with a data set: it shapes synthetic prompts");
            let hint = "remove one of them";
            collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
        }
    }
    let repeat = fields
        .take("repeat")
        .and_then(|node| number(node, "repeat", &(1..=100), collector));
    let seed = fields
        .take("seed")
        .and_then(|node| number(node, "seed", &(0..=u64::MAX), collector));
    Work {
        endpoint: endpoint.unwrap_or_default(),
        dataset,
        num_requests,
        warmup_requests: warmup_requests
            .unwrap_or_else(|| Plan::default_warmup(&loads, num_requests)),
        warmup_until_stable,
        loads,
        loads_are_usual,
        input_tokens,
        output_tokens,
        prompts,
        prefix: prefix.unwrap_or_default(),
        conversation,
        repeat: repeat.unwrap_or(3),
        seed: seed.unwrap_or(42),
    }
}

/// Conditions and limits of requests.
struct Terms {
    duration: Option<Duration>,
    ramp_up: Duration,
    timeout: Duration,
    max_error_rate: f64,
    sampling: Sampling,
    slo: Slo,
}

fn read_terms(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Terms {
    let mut time = |name: &'static str, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| duration(node, name, collector))
    };
    let timeout = time("timeout", collector);
    let duration = time("duration", collector);
    let ramp_up = time("ramp_up", collector);
    let max_error_rate = fields
        .take("max_error_rate")
        .and_then(|node| percentage(node, "max_error_rate", &(0.0..=1.0), collector));
    let sampling = fields
        .take("sampling")
        .and_then(|node| read_sampling(node, collector));
    let slo = fields
        .take("slo")
        .and_then(|node| read_slo(node, collector));
    Terms {
        duration,
        ramp_up: ramp_up.unwrap_or_default(),
        timeout: timeout.unwrap_or(Duration::from_mins(10)),
        max_error_rate: max_error_rate.unwrap_or(0.01),
        sampling: sampling.unwrap_or_default(),
        slo: slo.unwrap_or_default(),
    }
}

fn read_name(node: &Node, collector: &mut Collector<'_>) -> Option<String> {
    let name = text(node, "name", collector)?;
    if is_safe_name(&name) {
        return Some(name);
    }
    let message = format!("`name` is `{name}`, which is not a valid file name");
    let hint = format!("write `{}`", safe_name(&name));
    collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
    None
}

fn read_endpoint(node: &Node, collector: &mut Collector<'_>) -> Option<Endpoint> {
    match scalar(node, "endpoint", collector)? {
        "completions" => Some(Endpoint::Completions),
        "chat" => Some(Endpoint::Chat),
        other => {
            let message = format!("`endpoint` must be `completions` or `chat`, not `{other}`");
            collector.push(Code::InvalidValue, node.span.clone(), message);
            None
        }
    }
}

fn read_sampling(node: &Node, collector: &mut Collector<'_>) -> Option<Sampling> {
    let mut fields = Fields::of(node, "sampling", collector)?;
    let usual = Sampling::default();
    let temperature = fields
        .take("temperature")
        .and_then(|node| number(node, "sampling.temperature", &(0.0..=2.0), collector));
    let top_p = fields
        .take("top_p")
        .and_then(|node| number(node, "sampling.top_p", &(0.0..=1.0), collector));
    let ignore_eos = fields
        .take("ignore_eos")
        .and_then(|node| boolean(node, "sampling.ignore_eos", collector));
    fields.finish(collector);
    Some(Sampling {
        temperature: temperature.unwrap_or(usual.temperature),
        top_p,
        ignore_eos: ignore_eos.unwrap_or(usual.ignore_eos),
    })
}

fn read_slo(node: &Node, collector: &mut Collector<'_>) -> Option<Slo> {
    let mut fields = Fields::of(node, "slo", collector)?;
    let mut limit = |name: &'static str| {
        let node = fields.take(name)?;
        duration(node, name, collector).map(|limit| limit.as_secs_f64())
    };
    let slo = Slo {
        ttft: limit("ttft"),
        tpot: limit("tpot"),
        e2e: limit("e2e"),
    };
    fields.finish(collector);
    Some(slo)
}

/// Shortest telemetry interval: NVML updates its counters at this rate.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Longest interval between two GPU samples: with fewer samples, shares of a repeat of minutes are unreliable.
const MAX_GPU_INTERVAL: Duration = Duration::from_secs(10);

/// `interval`, `gpu_interval` and `server_is_here`.
fn read_telemetry(
    node: &Node,
    collector: &mut Collector<'_>,
) -> Option<(Option<Duration>, Option<Duration>, Option<bool>)> {
    let mut fields = Fields::of(node, "telemetry", collector)?;
    let interval = fields.take("interval").and_then(|node| {
        let interval = duration(node, "telemetry.interval", collector)?;
        if interval < MIN_INTERVAL {
            let message = "`telemetry.interval` must be at least 100ms".to_owned();
            collector.push(Code::InvalidValue, node.span.clone(), message);
        }
        Some(interval)
    });
    let gpu_interval = fields.take("gpu_interval").and_then(|node| {
        let interval = duration(node, "telemetry.gpu_interval", collector)?;
        if !(MIN_INTERVAL..=MAX_GPU_INTERVAL).contains(&interval) {
            let message = "`telemetry.gpu_interval` must be 100ms to 10s".to_owned();
            collector.push(Code::InvalidValue, node.span.clone(), message);
        }
        Some(interval)
    });
    let server_is_here = fields
        .take("server_is_here")
        .and_then(|node| boolean(node, "telemetry.server_is_here", collector));
    fields.finish(collector);
    Some((interval, gpu_interval, server_is_here))
}

fn read_profile(node: &Node, collector: &mut Collector<'_>) {
    if scalar(node, "profile", collector).is_some_and(|mode| mode != "never") {
        let message = "this version of perfgate cannot capture profiles".to_owned();
        collector.push_with_hint(
            Code::InvalidValue,
            node.span.clone(),
            message,
            "write `profile: never`, or remove it",
        );
    }
}

fn read_hardware(node: &Node, collector: &mut Collector<'_>) -> Option<Expectations> {
    let mut fields = Fields::of(node, "hardware", collector)?;
    let mut words = |name: &'static str| {
        fields
            .take(name)
            .and_then(|node| text(node, name, collector))
    };
    let (gpu, driver, cuda) = (words("gpu"), words("driver"), words("cuda"));
    let num_gpus = fields
        .take("num_gpus")
        .and_then(|node| number(node, "hardware.num_gpus", &(0..=1024), collector));
    let strict = fields
        .take("strict")
        .and_then(|node| boolean(node, "hardware.strict", collector))
        .unwrap_or(false);
    fields.finish(collector);
    Some(Expectations {
        gpu,
        num_gpus,
        driver,
        cuda,
        strict,
        vllm_version: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::DatasetFile;
    use super::*;

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

    #[test]
    fn the_list_of_keys_equals_the_keys_that_are_read() {
        let all = format!(
            "model: m\n{}",
            PLAN_KEYS.map(|key| format!("{key}: ~\n")).concat()
        );
        let problems = read_plan("perfgate.yaml", &all).unwrap_err();
        assert!(
            problems
                .problems
                .iter()
                .all(|problem| problem.code != Code::UnknownKey),
            "{problems}"
        );
    }
}
