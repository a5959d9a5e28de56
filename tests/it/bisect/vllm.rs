//! A real vLLM on the CPU whose flags change over the history. Runs where `scripts/test` has installed it.

use super::history::History;
use super::variable;
use crate::support::{json, run, write};

/// With room for one of four, requests wait for three others: TTFT shows it on a machine that is busy with other things.
const RULES: &str = "\
version: 1
rules:
  ttft.p50: {regression: 90%, action: block}
";

fn plan(program: &str, model: &str, config: &str) -> String {
    format!(
        "name: tiny\nmodel: {model}\nserved_model_name: tiny-llm\nserver:\n  fresh: run\n  process:\n    command: [{program}, serve, \"{{model}}\", \
         --host, 127.0.0.1, --port, \"{{port}}\", \"{{args}}\"]\n    env: {{HF_HUB_OFFLINE: 1, VLLM_NO_USAGE_STATS: 1, \
         VLLM_CPU_KVCACHE_SPACE: 1}}\nframework: {{config: {{max_model_len: 2048, enforce_eager: true, {config}}}}}\n\
         num_requests: 40\nconcurrency: 4\ninput_tokens: 32\noutput_tokens: 16\nwarmup_requests: 8\nrepeat: 3\n"
    )
}

/// The good end is measured once, and one server serves all repeats of a commit; the confirmation starts a fresh one for
/// each. It takes minutes, so it is run by name: `PERFGATE_TEST_VLLM=… PERFGATE_TEST_MODEL=… cargo nextest run
/// --run-ignored only -E 'test(bisect::vllm)'`.
#[test]
#[ignore = "some ten minutes, as a real vLLM is started some fifteen times: --run-ignored only -E 'test(bisect::vllm)'"]
fn the_commit_that_serves_one_request_at_a_time_is_found_with_a_real_vllm() {
    let variable = |name: &str| variable(name).unwrap_or_else(|| panic!("{name} is not set"));
    let program = variable("PERFGATE_TEST_VLLM");
    let model = variable("PERFGATE_TEST_MODEL");
    let mut history = History::new();
    write(history.path(), "thresholds.yaml", RULES);
    for (subject, config) in [
        ("a server", "max_num_seqs: 32"),
        (
            "a flag that this version does not have",
            "max_num_seqs: 32, no_such_flag: 7",
        ),
        ("a seed", "max_num_seqs: 32, seed: 7"),
        ("save memory", "max_num_seqs: 1, seed: 7"),
        ("another seed", "max_num_seqs: 1, seed: 8"),
        ("yet another seed", "max_num_seqs: 1, seed: 9"),
    ] {
        write(
            history.path(),
            "perfgate.yaml",
            &plan(&program, &model, config),
        );
        history.commit(subject);
    }
    history.git(&["checkout", "--quiet", &history.commits[0]]);
    let elsewhere = tempfile::tempdir().unwrap();
    let good = elsewhere.path().join("good.json");
    let good = good.to_str().unwrap();
    run(
        history.path(),
        &["bench", "--repeat", "15", "--output", good],
    )
    .expect(0);
    history.git(&["checkout", "--quiet", "main"]);
    let started = history.start(&["--good-result", good]);
    eprintln!("{}", started.stderr);
    started.expect(0);
    let ran = history.run(&[]);
    eprintln!("{}\n{}", ran.stdout, ran.stderr);
    let named = format!("{} is the first bad commit", history.commits[3]);
    assert!(ran.stdout.contains(&named));
    assert_eq!(json(&history.state("summary.json"))["outcome"], "found");
}
