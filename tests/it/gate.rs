//! `perfgate gate`: the whole job on the simulator, once on the clock and else in virtual time.

use std::path::Path;

use crate::support::{Ran, json, run, run_scripted, scripted, write};

const PLAN: &str = "\
name: demo
model: demo
server: {simulator: {seed: 7, noise: 0.2%}}
num_requests: 160
concurrency: 16
input_tokens: 64
output_tokens: 24
repeat: 3
";

const BENCH: [&str; 3] = [
    "bench",
    "--output",
    "baselines/demo/simulated-gpu-80gb.json",
];

fn gate(folder: &Path, more: &[&str]) -> Ran {
    let mut arguments = vec!["gate", "--output", "out"];
    arguments.extend(more);
    run_scripted(folder, &arguments)
}

/// A folder with a plan and a baseline that was measured as the plan says.
fn with_baseline() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "perfgate.yaml", PLAN);
    run_scripted(folder.path(), &BENCH).expect(0);
    folder
}

#[test]
fn the_same_server_passes_and_a_slower_one_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "perfgate.yaml", PLAN);
    run(folder.path(), &BENCH).expect(0);
    // Measured on the clock, beside whatever this machine does: the limit is far above its noise.
    let real = ["gate", "--output", "out", "--threshold", "50%"];
    run(folder.path(), &real).expect(0);
    for name in [
        "result.json",
        "comparison.json",
        "report.html",
        "comment.md",
        "junit.xml",
        "server-1.log",
    ] {
        assert!(folder.path().join("out").join(name).is_file(), "{name}");
    }
    let slower = [&real[..], &["--simulator", "slowdown=3"]].concat();
    let slower = run(folder.path(), &slower).expect(1);
    assert!(
        slower.stdout.contains("BLOCK: do not merge"),
        "{}",
        slower.stdout
    );
    assert_eq!(
        json(&folder.path().join("out/comparison.json"))["verdict"],
        "block"
    );
}

#[test]
fn a_step_of_github_actions_gets_summary_and_outputs() {
    let folder = with_baseline();
    let ran = scripted(folder.path(), &["gate", "--output", "out"])
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"))
        .env("GITHUB_OUTPUT", folder.path().join("outputs"))
        .output()
        .unwrap();
    Ran::of(&ran).expect(0);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(
        read("summary.md")
            .starts_with("<!-- perfgate:v1 key=demo -->\n### ✅ perfgate: PASS: merge")
    );
    let outputs = read("outputs");
    for line in [
        "verdict=pass",
        "exit-code=0",
        "report-path=out/report.html",
        "comparison-path=out/comparison.json",
    ] {
        assert!(outputs.lines().any(|found| found == line), "{outputs}");
    }
}

#[test]
fn without_a_baseline_the_gate_keeps_the_run_and_shows_how_to_accept_it() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "perfgate.yaml",
        &PLAN.replace("repeat: 3", "repeat: 1"),
    );
    let stderr = gate(folder.path(), &[]).expect(4).stderr;
    assert!(
        stderr.contains("no baseline of `demo` for `simulated-gpu-80gb`"),
        "{stderr}"
    );
    assert!(
        stderr.contains("perfgate baseline update 'out/result.json'")
            && stderr.contains("first_run: pass"),
        "{stderr}"
    );
    assert!(folder.path().join("out/result.json").is_file());
}

#[test]
fn another_workload_is_not_compared() {
    let folder = with_baseline();
    let ran = gate(folder.path(), &["--seed", "43", "--repeat", "1"]).expect(4);
    assert!(ran.stdout.contains("seed: 42"), "{}", ran.stdout);
}

#[test]
fn a_server_that_does_not_start_is_a_failed_target_with_its_exit_code_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "model: m\nserver: {process: {command: [sh, -c, \"echo no such model; exit 3; {port}\"]}}\n";
    write(folder.path(), "perfgate.yaml", plan);
    let stderr = gate(folder.path(), &[]).expect(5).stderr;
    assert!(
        stderr.contains("exit code 3") && stderr.contains("no such model"),
        "{stderr}"
    );
}

#[test]
fn an_unexpected_machine_is_refused_under_strict_hardware_and_the_result_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let plan = format!("{PLAN}hardware: {{gpu: \"H100-80GB SXM\", num_gpus: 8, strict: true}}\n");
    write(folder.path(), "perfgate.yaml", &plan);
    let stderr = gate(folder.path(), &[]).expect(4).stderr;
    assert!(
        stderr.contains("the number of GPUs is `1`, expected `8`"),
        "{stderr}"
    );
    assert!(folder.path().join("out/result.json").is_file());
}
