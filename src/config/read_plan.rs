//! `perfgate.yaml`.

use std::time::Duration;

use super::fields::{Fields, boolean, duration, number, percentage, scalar, text};
use super::problem::{Code, Collector, Problems};
use super::read_server::read_server;
use super::yaml::{self, Node, Value};
use super::{
    Dataset, Endpoint, Expectations, Fresh, LoadPoint, Plan, Sampling, Slo, is_safe_name, safe_name,
};
use crate::workload::Lengths;

/// The keys of the file, for its schema.
pub const PLAN_KEYS: [&str; 25] = [
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
    "input_tokens",
    "output_tokens",
    "prefix",
    "warmup_requests",
    "repeat",
    "seed",
    "timeout",
    "max_error_rate",
    "sampling",
    "slo",
    "telemetry",
    "profile",
    "hardware",
    "framework",
];

/// Longest prompt or answer that is asked for: more than any model takes, and far below what overflows anything.
const MOST_TOKENS: u32 = 10_000_000;

/// More requests or streams than one machine can send.
const MOST_REQUESTS: usize = 10_000_000;
const MOST_STREAMS: usize = 65_535;

/// Reads a `perfgate.yaml`. `file` is how it is called in problems.
pub fn read_plan(file: &str, source: &str) -> Result<Plan, Problems> {
    let mut collector = Collector::new(source);
    let plan = yaml::parse(source, &mut collector).and_then(|root| read(&root, &mut collector));
    collector.finish(file, plan)
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
    let (server, fresh) = fields
        .take("server")
        .map_or((None, Fresh::default()), |node| {
            read_server(node, collector)
        });
    let work = read_work(&mut fields, collector);
    let terms = read_terms(&mut fields, collector);
    fields
        .take("telemetry")
        .and_then(|node| read_telemetry(node, collector));
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
        server,
        fresh,
        endpoint: work.endpoint,
        dataset: work.dataset,
        num_requests: work.num_requests,
        loads: work.loads,
        input_tokens: work.input_tokens,
        output_tokens: work.output_tokens,
        prefix_share: work.prefix_share,
        warmup_requests: work.warmup_requests,
        repeat: work.repeat,
        seed: work.seed,
        duration: terms.duration,
        timeout: terms.timeout,
        max_error_rate: terms.max_error_rate,
        sampling: terms.sampling,
        slo: terms.slo,
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
    input_tokens: Lengths,
    output_tokens: Lengths,
    prefix_share: f64,
    warmup_requests: usize,
    repeat: u32,
    seed: u64,
}

fn read_work(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Work {
    let endpoint = fields
        .take("endpoint")
        .and_then(|node| read_endpoint(node, collector));
    let dataset = fields
        .take("dataset")
        .and_then(|node| text(node, "dataset", collector));
    let mut requests = |name: &'static str, range, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| number(node, name, &range, collector))
    };
    let num_requests = requests("num_requests", 1..=MOST_REQUESTS, collector).unwrap_or(200);
    let warmup_requests = requests("warmup_requests", 0..=MOST_REQUESTS, collector);
    let loads = read_loads(fields, collector);
    let mut lengths = |name: &'static str, collector: &mut Collector<'_>| {
        fields
            .take(name)
            .and_then(|node| read_lengths(node, name, collector))
    };
    let input_tokens = lengths("input_tokens", collector);
    let output_tokens = lengths("output_tokens", collector);
    let prefix_share = fields
        .take("prefix")
        .and_then(|node| read_prefix(node, collector));
    let repeat = fields
        .take("repeat")
        .and_then(|node| number(node, "repeat", &(1..=100), collector));
    let seed = fields
        .take("seed")
        .and_then(|node| number(node, "seed", &(0..=u64::MAX), collector));
    Work {
        endpoint: endpoint.unwrap_or_default(),
        dataset: match dataset {
            Some(name) if name != "synthetic" => Dataset::Named(name),
            Some(_) | None => Dataset::Synthetic,
        },
        num_requests,
        warmup_requests: warmup_requests
            .unwrap_or_else(|| Plan::usual_warmup(&loads, num_requests)),
        loads,
        input_tokens: input_tokens.unwrap_or(Lengths::Constant(512)),
        output_tokens: output_tokens.unwrap_or(Lengths::Constant(128)),
        prefix_share: prefix_share.unwrap_or(0.0),
        repeat: repeat.unwrap_or(3),
        seed: seed.unwrap_or(42),
    }
}

/// On which terms it is sent.
struct Terms {
    duration: Option<Duration>,
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
    let message = format!("`name` is `{name}`, which no file can be called after");
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

fn read_loads(fields: &mut Fields<'_>, collector: &mut Collector<'_>) -> Vec<LoadPoint> {
    let concurrency = fields.take("concurrency");
    let rate = fields.take("request_rate");
    let burstiness_node = fields.take("burstiness");
    let burstiness = burstiness_node
        .and_then(|node| number_or_infinite(node, "burstiness", collector))
        .unwrap_or(1.0);
    if let (Some(_), Some(node)) = (concurrency, rate) {
        let message = "`concurrency` and `request_rate` are both given".to_owned();
        let hint = "closed loop and open loop are two runs; keep one";
        collector.push_with_hint(Code::Contradiction, node.span.clone(), message, hint);
    }
    if let (Some(node), None) = (burstiness_node, rate) {
        let message = "`burstiness` shapes arrivals and needs a `request_rate`".to_owned();
        collector.push(Code::Contradiction, node.span.clone(), message);
    }
    let loads = match (concurrency, rate) {
        (Some(node), _) => read_concurrency(node, collector),
        (None, Some(node)) => {
            let rates: Option<Vec<f64>> = items(node)
                .into_iter()
                .map(|item| number_or_infinite(item, "request_rate", collector))
                .collect();
            let rates = rates.unwrap_or_default().into_iter();
            rates
                .map(|per_second| LoadPoint::Rate {
                    per_second,
                    burstiness,
                })
                .collect()
        }
        (None, None) => vec![LoadPoint::Concurrency(16)],
    };
    for (index, load) in loads.iter().enumerate() {
        if loads[..index].contains(load) {
            let span = concurrency.or(rate).map_or(0..0, |node| node.span.clone());
            collector.push(
                Code::DuplicateKey,
                span,
                format!("the load point `{}` is given twice", load.name()),
            );
        }
    }
    loads
}

fn items(node: &Node) -> Vec<&Node> {
    match &node.value {
        Value::Sequence(items) => items.iter().collect(),
        Value::Scalar { .. } | Value::Mapping(_) => vec![node],
    }
}

/// A number, a list, or a range `start:stop:step`.
fn read_concurrency(node: &Node, collector: &mut Collector<'_>) -> Vec<LoadPoint> {
    let what = "concurrency";
    if let Value::Scalar { text, .. } = &node.value
        && text.contains(':')
    {
        let range = concurrency_range(text);
        if range.is_none() {
            let message = format!("`{text}` is no range of concurrencies");
            let hint = "write `start:stop:step`, as in `1:64:8`";
            collector.push_with_hint(Code::InvalidValue, node.span.clone(), message, hint);
        }
        return range.unwrap_or_default();
    }
    let given = items(node);
    if given.is_empty() {
        collector.push(
            Code::InvalidValue,
            node.span.clone(),
            "`concurrency` is an empty list".to_owned(),
        );
    }
    let read = given
        .into_iter()
        .filter_map(|item| number(item, what, &(1..=MOST_STREAMS), collector));
    read.map(LoadPoint::Concurrency).collect()
}

fn concurrency_range(text: &str) -> Option<Vec<LoadPoint>> {
    let parts: Vec<usize> = text
        .split(':')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    let (start, stop, step) = match parts.as_slice() {
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return None,
    };
    let sensible = start >= 1
        && stop >= start
        && stop <= MOST_STREAMS
        && step >= 1
        && (stop - start) / step < 100;
    sensible.then(|| {
        (start..=stop)
            .step_by(step)
            .map(LoadPoint::Concurrency)
            .collect()
    })
}

fn number_or_infinite(node: &Node, what: &str, collector: &mut Collector<'_>) -> Option<f64> {
    if let Value::Scalar { text, .. } = &node.value
        && text == "inf"
    {
        return Some(f64::INFINITY);
    }
    number(node, what, &(1e-6..=1e6), collector)
}

fn read_lengths(node: &Node, what: &'static str, collector: &mut Collector<'_>) -> Option<Lengths> {
    if !matches!(node.value, Value::Mapping(_)) {
        return number(node, what, &(1..=MOST_TOKENS), collector).map(Lengths::Constant);
    }
    let mut fields = Fields::of(node, what, collector)?;
    let tokens = 0.0..=f64::from(MOST_TOKENS);
    let distribution = fields
        .take("distribution")
        .and_then(|node| scalar(node, "distribution", collector));
    let mean = fields
        .take("mean")
        .and_then(|node| number(node, "mean", &(1.0..=f64::from(MOST_TOKENS)), collector));
    let std = fields
        .take("std")
        .and_then(|node| number(node, "std", &tokens, collector))
        .unwrap_or(0.0);
    let ends = [fields.take("min"), fields.take("max")].map(|node| {
        node.and_then(|node| number(node, "min and max", &(1..=MOST_TOKENS), collector))
    });
    let span = fields.span();
    fields.finish(collector);
    let problem = |message: String, collector: &mut Collector<'_>| {
        collector.push(Code::InvalidValue, span.clone(), message);
        None
    };
    match (
        distribution.unwrap_or(if ends[0].is_some() {
            "uniform"
        } else {
            "normal"
        }),
        mean,
        ends,
    ) {
        ("normal", Some(mean), _) if std > 0.0 => Some(Lengths::Normal { mean, std }),
        ("lognormal", Some(mean), _) if std > 0.0 => Some(Lengths::Lognormal { mean, std }),
        ("normal" | "lognormal" | "constant", Some(mean), _) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be 1 to 10 million"
            )]
            let tokens = mean.round() as u32;
            Some(Lengths::Constant(tokens))
        }
        ("uniform", _, [Some(min), Some(max)]) if min <= max => Some(Lengths::Uniform { min, max }),
        ("uniform", _, [Some(min), Some(max)]) => problem(
            format!("`{what}`: `min` {min} is above `max` {max}"),
            collector,
        ),
        ("uniform", ..) => problem(
            format!("`{what}`: a uniform distribution needs `min` and `max`"),
            collector,
        ),
        ("normal" | "lognormal" | "constant", None, _) => {
            problem(format!("`{what}` needs a `mean`"), collector)
        }
        (other, ..) => problem(
            format!(
                "`{what}`: `{other}` is no distribution; there are constant, normal, lognormal and uniform"
            ),
            collector,
        ),
    }
}

fn read_prefix(node: &Node, collector: &mut Collector<'_>) -> Option<f64> {
    let mut fields = Fields::of(node, "prefix", collector)?;
    let share = fields
        .require("share", "50%", collector)
        .and_then(|node| percentage(node, "prefix.share", &(0.0..=1.0), collector));
    fields.finish(collector);
    share
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

/// Shortest telemetry interval: NVML's own counters do not move faster.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

fn read_telemetry(node: &Node, collector: &mut Collector<'_>) -> Option<Duration> {
    let mut fields = Fields::of(node, "telemetry", collector)?;
    let interval = fields.take("interval").and_then(|node| {
        let interval = duration(node, "telemetry.interval", collector)?;
        if interval < SHORTEST_INTERVAL {
            let message = "`telemetry.interval` must be at least 100ms".to_owned();
            collector.push(Code::InvalidValue, node.span.clone(), message);
        }
        Some(interval)
    });
    fields.finish(collector);
    interval
}

fn read_profile(node: &Node, collector: &mut Collector<'_>) {
    if scalar(node, "profile", collector).is_some_and(|mode| mode != "never") {
        let message = "this version of perfgate captures no profiles".to_owned();
        collector.push_with_hint(
            Code::InvalidValue,
            node.span.clone(),
            message,
            "write `profile: never`, or leave it out",
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

fn read_framework(
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
    super::fields::report_duplicates(entries, collector);
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

#[cfg(test)]
mod tests {
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
        assert_eq!(plan.dataset, Dataset::Named("ShareGPT_v3".to_owned()));
        assert_eq!(plan.loads.len(), 5);
        assert_eq!(
            plan.input_tokens,
            Lengths::Normal {
                mean: 1000.0,
                std: 200.0
            }
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
    fn broken_yaml_is_said_with_its_place() {
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
    fn the_list_of_keys_is_the_one_that_is_read() {
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
