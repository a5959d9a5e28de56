//! A real vLLM on the CPU, as a process and as a container. Runs where `scripts/test` has installed them.

use std::path::Path;

use perfgate::metric::Metric;
use perfgate::record;

use crate::support::{json, run, write};

/// What this machine can measure without a GPU; P95 of a hundred requests.
const POLICY: &str = "\
version: 1
rules:
  tpot.p95:   {regression: 30%, action: block}
  throughput: {regression: 30%, action: block}
  ttft.p95:   {regression: 60%, action: warn}
";

const LOAD: &str = "\
served_model_name: tiny-llm
num_requests: 120
concurrency: 4
input_tokens: 64
output_tokens: 32
warmup_requests: 16
repeat: 1
framework: {config: {max_model_len: 2048, max_num_seqs: 32, enforce_eager: true}}
";

fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
    if value.is_none() {
        eprintln!("skipped: {name} is not set; scripts/test installs what is needed and sets it");
    }
    value
}

/// Benches as the plan says, finds believable numbers, and compares the run with itself.
fn bench_and_compare(plan: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "perfgate.yaml", &format!("{plan}{LOAD}"));
    write(at, "thresholds.yaml", POLICY);
    let shown = run(at, &["bench"]).expect(0);
    eprintln!("{}{}", shown.stdout, shown.stderr);

    let measured = record::load(&at.join("result.json")).unwrap();
    let repeat = &measured.scenarios[0].repeats[0];
    assert_eq!(repeat.requests.unwrap().completed, 120);
    assert_eq!(repeat.mean_output_tokens, Some(32.0));
    let metric = |id: &str| repeat.metrics[&Metric::parse(id).unwrap()];
    assert!(metric("kv_cache.tokens") > 2048.0);
    assert!(
        metric("ttft.p50") > 0.001 && metric("tpot.p50") > 0.0005 && metric("throughput") > 10.0
    );
    let memory = Metric::parse("gpu_memory.peak").unwrap();
    assert_eq!(repeat.not_measured[&memory], "no GPU was found");
    // Token ids of exact length: the server counted as many as were asked for.
    let prompts =
        &json(&at.join("result.json"))["scenarios"][0]["repeats"][0]["samples"]["prompt_tokens"];
    assert!(
        prompts
            .as_array()
            .unwrap()
            .iter()
            .all(|tokens| tokens == 64),
        "{prompts}"
    );

    // The whole way through the comparison; a run compared with itself shows nothing.
    let itself = run(
        at,
        &[
            "compare",
            "--baseline",
            "result.json",
            "--candidate",
            "result.json",
        ],
    )
    .expect(4);
    assert!(itself.stdout.contains("TPOT P95"), "{}", itself.stdout);
    assert!(
        itself.stdout.contains("NOT COMPARABLE"),
        "{}",
        itself.stdout
    );
}

#[test]
fn a_real_vllm_as_a_process_is_benched_and_compared() {
    let (Some(program), Some(model)) = (
        variable("PERFGATE_TEST_VLLM"),
        variable("PERFGATE_TEST_MODEL"),
    ) else {
        return;
    };
    let plan = format!(
        "model: {model}\nserver:\n  process:\n    command: [{program}, serve, \"{{model}}\", --host, 127.0.0.1, --port, \
         \"{{port}}\", \"{{args}}\"]\n    env: {{HF_HUB_OFFLINE: 1, VLLM_NO_USAGE_STATS: 1, VLLM_CPU_KVCACHE_SPACE: 1}}\n"
    );
    bench_and_compare(&plan);
}

#[test]
fn a_real_vllm_as_a_container_is_benched_and_compared() {
    let (Some(image), Some(model)) = (
        variable("PERFGATE_TEST_IMAGE"),
        variable("PERFGATE_TEST_MODEL"),
    ) else {
        return;
    };
    assert!(Path::new(&model).is_dir());
    let plan = format!(
        "model: /models/tiny-llm\nserver:\n  docker: {{image: \"{image}\", volumes: [\"{model}:/models/tiny-llm:ro\"], \
         memory: 8GiB, cpus: 2, pids_limit: 4096}}\n"
    );
    bench_and_compare(&plan);
}

/// With Docker's own 64 MiB of shared memory vLLM cannot start, and what it prints does not end with why.
#[test]
fn a_real_vllm_without_room_for_shared_memory_fails_with_what_to_do() {
    let (Some(image), Some(model)) = (
        variable("PERFGATE_TEST_IMAGE"),
        variable("PERFGATE_TEST_MODEL"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let plan = format!(
        "model: /models/tiny-llm\nserver:\n  docker: {{image: \"{image}\", volumes: [\"{model}:/models/tiny-llm:ro\"], \
         shm_size: 64MiB, args: [--tensor-parallel-size, \"1\"]}}\n"
    );
    write(folder.path(), "perfgate.yaml", &format!("{plan}{LOAD}"));
    let failed = run(folder.path(), &["bench"]).expect(2);
    let hint = "hint: the container has too little shared memory: raise server.docker.shm_size";
    assert!(failed.stderr.contains(hint), "{}", failed.stderr);
    let log = "hint: from the log: ";
    assert!(failed.stderr.contains(log), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("160 MiB required, 64 MiB free"),
        "{}",
        failed.stderr
    );
    assert!(!folder.path().join("result.json").exists());
}

#[test]
fn a_real_vllm_with_an_unknown_argument_fails_with_a_hint() {
    let Some(image) = variable("PERFGATE_TEST_IMAGE") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let plan =
        format!("model: m\nserver:\n  docker: {{image: \"{image}\", args: [--no-such-flag]}}\n");
    write(folder.path(), "perfgate.yaml", &plan);
    let failed = run(folder.path(), &["bench"]).expect(2);
    assert!(
        failed
            .stderr
            .contains("hint: this version of the server does not accept that argument"),
        "{}",
        failed.stderr
    );
}
