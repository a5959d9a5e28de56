//! Splits a plan into the question, taken from the base of a change, and the answer (server and framework), taken from¶//! the change.

use super::{Expectations, Plan};

/// The combined plan, and the keys in which the question of the change differs.
#[derive(Clone, Debug, PartialEq)]
pub struct CombinedPlan {
    /// The question of the base with server and framework of the change.
    pub plan: Plan,
    /// Keys whose value differs in the change; they take effect after the merge.
    pub edits: Vec<&'static str>,
}

/// All fields of `question`, with `server` and `framework` of `answer`. `server.fresh` and `server.base` come from the
/// question.
#[expect(
    clippy::too_many_lines,
    reason = "one table assigns every field of a plan to a side"
)]
pub fn combine(question: Plan, answer: Plan) -> CombinedPlan {
    let mut edits = Vec::new();
    // Destructured without `..`, so that the compiler requires a side for every new field.
    let Plan {
        name,
        model,
        served_model_name,
        server,
        base,
        fresh,
        endpoint,
        dataset,
        num_requests,
        loads,
        loads_are_default,
        input_tokens,
        output_tokens,
        prompts,
        prefix,
        conversation,
        duration,
        ramp_up,
        warmup_requests,
        warmup_until_stable,
        repeat,
        seed,
        timeout,
        max_error_rate,
        sampling,
        headers,
        extra_body,
        telemetry_interval,
        gpu_interval,
        server_is_here,
        slo,
        expectations,
        engine_args,
    } = answer;
    let hardware = |expectations: &Expectations| Expectations {
        vllm_version: None,
        ..expectations.clone()
    };
    let expected = hardware(&expectations);
    for (key, differs) in [
        ("name", name != question.name),
        ("model", model != question.model),
        (
            "served_model_name",
            served_model_name != question.served_model_name && model == question.model,
        ),
        ("server.base", base != question.base),
        ("server.fresh", fresh != question.fresh),
        ("endpoint", endpoint != question.endpoint),
        ("dataset", dataset != question.dataset),
        ("num_requests", num_requests != question.num_requests),
        (
            "the load",
            loads != question.loads || loads_are_default != question.loads_are_default,
        ),
        ("input_tokens", input_tokens != question.input_tokens),
        ("output_tokens", output_tokens != question.output_tokens),
        ("prompts", prompts != question.prompts),
        ("prefix", prefix != question.prefix),
        ("conversation", conversation != question.conversation),
        ("duration", duration != question.duration),
        ("ramp_up", ramp_up != question.ramp_up),
        (
            "warmup_requests",
            warmup_requests != question.warmup_requests
                && loads == question.loads
                && num_requests == question.num_requests,
        ),
        (
            "warmup_until_stable",
            warmup_until_stable != question.warmup_until_stable,
        ),
        ("repeat", repeat != question.repeat),
        ("seed", seed != question.seed),
        ("timeout", timeout != question.timeout),
        (
            "max_error_rate",
            max_error_rate.to_bits() != question.max_error_rate.to_bits(),
        ),
        ("sampling", sampling != question.sampling),
        ("headers", headers != question.headers),
        ("extra_body", extra_body != question.extra_body),
        (
            "telemetry",
            (telemetry_interval, gpu_interval, server_is_here)
                != (
                    question.telemetry_interval,
                    question.gpu_interval,
                    question.server_is_here,
                ),
        ),
        ("slo", slo != question.slo),
        ("hardware", expected != hardware(&question.expectations)),
    ] {
        if differs {
            edits.push(key);
        }
    }
    let plan = Plan {
        server,
        engine_args,
        expectations: Expectations {
            vllm_version: expectations.vllm_version,
            ..question.expectations
        },
        ..question
    };
    CombinedPlan { plan, edits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fresh, read_plan};

    #[test]
    fn only_server_and_framework_come_from_the_change() {
        let plan = |text: &str| read_plan("perfgate.yaml", text).unwrap();
        let base = "model: m\nserver: {simulator: {seed: 1}, base: {simulator: {seed: 2}}}\nconcurrency: 16\nslo: {ttft: 200ms}\n";
        let change = "\
model: m
server: {simulator: {seed: 3}, fresh: run, base: {simulator: {slowdown: 2}}}
framework: {vllm_version: 0.9, config: {max_num_seqs: 1}}
hardware: {num_gpus: 0}
concurrency: 1
num_requests: 5
slo: {ttft: 20s}
repeat: 1
headers: {X-Route: empty}
extra_body: {top_k: 1}
";
        let question = plan(base);
        let CombinedPlan { plan: both, edits } = combine(question.clone(), plan(change));
        assert_eq!(
            edits,
            [
                "server.base",
                "server.fresh",
                "num_requests",
                "the load",
                "repeat",
                "headers",
                "extra_body",
                "slo",
                "hardware"
            ]
        );
        let theirs = plan(change);
        assert_eq!(both.server, theirs.server);
        assert_eq!(both.engine_args, ["--max-num-seqs", "1"]);
        assert_eq!(both.expectations.vllm_version.as_deref(), Some("0.9"));
        assert_eq!(both.fresh, Fresh::Repeat);
        let rest = Plan {
            server: question.server.clone(),
            engine_args: question.engine_args.clone(),
            expectations: question.expectations.clone(),
            ..both
        };
        assert_eq!(rest, question);
        assert!(combine(question.clone(), question).edits.is_empty());
    }
}
