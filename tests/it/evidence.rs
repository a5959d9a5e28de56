//! More than two files: ledger, alternating repeats, copies; and the evidence that the gate keeps.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, json, result, run, run_scripted, scripted_by, write};

/// Ten sessions of a quiet main branch: 0.3 % between repeats.
fn ledger() -> String {
    let session = |index: u32| {
        // No two are equal: a session that is there twice counts once.
        let level = 1.0 + 0.001 * f64::from(index % 3) + 1e-7 * f64::from(index);
        let line: Value =
            serde_json::from_str(&result(&[level, 1.004 * level, 0.997 * level])).unwrap();
        line.to_string()
    };
    (0..10).map(session).collect::<Vec<_>>().join("\n")
}

/// Compares files by these names, which must be there.
fn compare(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let all: Vec<&str> = ["compare", "--format", "json"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let ran = run(folder, &all);
    (
        ran.code,
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr)),
    )
}

const STORED: [&str; 4] = [
    "--baseline",
    "baseline.json",
    "--candidate",
    "candidate.json",
];

const PAIRS: [&str; 4] = ["--ab-baseline", "a.json", "--ab-candidate", "b.json"];

fn folder(files: &[(&str, &[f64])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, factors) in files {
        write(folder.path(), name, &result(factors));
    }
    write(folder.path(), "ledger.jsonl", &ledger());
    folder
}

fn codes(comparison: &Value) -> Vec<&str> {
    let warnings = comparison["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect()
}

#[test]
fn a_ledger_sharpens_the_verdict() {
    let at = folder(&[
        ("baseline.json", &[1.0, 1.003]),
        ("candidate.json", &[1.001, 0.998]),
    ]);
    let (_, without) = compare(at.path(), &STORED);
    let with: Vec<&str> = STORED
        .into_iter()
        .chain(["--ledger", "ledger.jsonl"])
        .collect();
    let (code, with) = compare(at.path(), &with);
    assert_eq!(code, Some(0));
    let row = |comparison: &Value| comparison["judgements"][0].clone();
    assert_eq!(row(&with)["noise"]["source"], "ledger");
    assert_eq!(with["decision"]["ledger_sessions"], 10);
    assert_eq!(row(&without)["noise"]["source"], "assumed");
    let width = |comparison: &Value| {
        let change = &row(comparison)["change"];
        change["high"].as_f64().unwrap() - change["low"].as_f64().unwrap()
    };
    assert!(width(&with) < 0.7 * width(&without));
}

#[test]
fn a_line_of_the_ledger_that_was_cut_off_is_named_and_nothing_passes() {
    let at = folder(&[("baseline.json", &[1.0; 3]), ("candidate.json", &[1.0; 3])]);
    let text = ledger();
    write(at.path(), "ledger.jsonl", &text[..text.len() - 30]);
    let mut arguments = vec!["compare"];
    arguments.extend(STORED);
    arguments.extend(["--ledger", "ledger.jsonl"]);
    let stderr = run(at.path(), &arguments).expect(2).stderr;
    assert!(stderr.contains("ledger.jsonl, line 10"), "{stderr}");
    write(at.path(), "ledger.jsonl", "");
    run(at.path(), &arguments).expect(2);
}

#[test]
fn a_day_that_is_noisier_than_the_ledger_decides_nothing_against_a_stored_baseline() {
    let at = folder(&[
        ("baseline.json", &[1.0, 1.003, 0.997]),
        ("candidate.json", &[0.9, 1.0, 1.11]),
    ]);
    let arguments: Vec<&str> = STORED
        .into_iter()
        .chain(["--ledger", "ledger.jsonl"])
        .collect();
    let (_, comparison) = compare(at.path(), &arguments);
    assert_eq!(comparison["verdict"], "inconclusive");
    assert_eq!(comparison["next"]["action"], "ab");
    assert_eq!(comparison["judgements"][0]["noise"]["source"], "today");
    assert!(
        codes(&comparison).contains(&"unstable-starts"),
        "{comparison}"
    );
}

#[test]
fn alternating_repeats_alone_decide() {
    for (factor, code, verdict) in [(1.0005, 0, "pass"), (1.12, 1, "block")] {
        let base = [1.0, 1.004, 0.997, 1.002, 0.999, 1.001];
        let at = folder(&[
            ("a.json", &base),
            ("b.json", &base.map(|value| value * factor)),
        ]);
        let (exit, comparison) = compare(at.path(), &PAIRS);
        assert_eq!(
            (exit, comparison["verdict"].as_str()),
            (Some(code), Some(verdict))
        );
        assert_eq!(comparison["judgements"][0]["basis"], "pairs");
        assert_eq!(comparison["decision"]["pairs"], 6);
        assert_eq!(comparison["baseline"]["file"], "a.json");
    }
}

#[test]
fn a_slower_host_blocks_no_innocent_change_when_pairs_are_there() {
    let at = folder(&[
        ("baseline.json", &[1.0, 1.004, 0.997]),
        ("candidate.json", &[1.12, 1.124, 1.117]),
        ("a.json", &[1.12, 1.117, 1.124, 1.121, 1.119, 1.122]),
        ("b.json", &[1.121, 1.119, 1.12, 1.123, 1.118, 1.12]),
    ]);
    let stored: Vec<&str> = STORED
        .into_iter()
        .chain(["--ledger", "ledger.jsonl"])
        .collect();
    assert_eq!(compare(at.path(), &stored).1["verdict"], "block");
    let all: Vec<&str> = stored.into_iter().chain(PAIRS).collect();
    let (code, comparison) = compare(at.path(), &all);
    assert_eq!(code, Some(0), "{comparison}");
    assert!(codes(&comparison).contains(&"stored-baseline-disagrees"));
    let stored = comparison["judgements"][0]["stored_change"]["value"]
        .as_f64()
        .unwrap();
    assert!((stored - 0.12).abs() < 0.01);
}

#[test]
fn pairs_alone_decide_if_the_stored_baseline_is_of_other_hardware() {
    let at = folder(&[
        ("candidate.json", &[1.0; 3]),
        ("a.json", &[1.0; 6]),
        ("b.json", &[1.001; 6]),
    ]);
    let elsewhere = result(&[1.0; 3]).replace("H100", "A100");
    write(at.path(), "baseline.json", &elsewhere);
    assert_eq!(compare(at.path(), &STORED).0, Some(4));
    let all: Vec<&str> = STORED.into_iter().chain(PAIRS).collect();
    let (code, comparison) = compare(at.path(), &all);
    assert_eq!(code, Some(0));
    assert!(codes(&comparison).contains(&"stored-baseline-not-used"));
}

#[test]
fn one_half_of_the_pairs_or_of_the_runs_is_a_usage_error() {
    let at = folder(&[("a.json", &[1.0; 3])]);
    for arguments in [
        ["compare", "--ab-baseline", "a.json"],
        ["compare", "--baseline", "a.json"],
    ] {
        run(at.path(), &arguments).expect(2);
    }
}

/// A result with samples, of which the last repeat is a copy of the one before.
fn with_copy() -> String {
    let repeat = |seed: u32| {
        let ttft: Vec<f64> = (0..120u32)
            .map(|index| 0.1 + 0.0001 * f64::from((index * 37 + seed * 11) % 101))
            .collect();
        serde_json::json!({"duration": 1.0, "samples": {"ttft": ttft}})
    };
    serde_json::json!({
        "schema": "perfgate.result/1",
        "environment": {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "c", "repeats": [repeat(1), repeat(2), repeat(2)]}]
    })
    .to_string()
}

#[test]
fn a_copied_repeat_does_not_count_as_evidence() {
    let at = tempfile::tempdir().unwrap();
    write(at.path(), "baseline.json", &with_copy());
    write(at.path(), "candidate.json", &with_copy());
    write(
        at.path(),
        "thresholds.yaml",
        "version: 1\nrules:\n  ttft.p95: {regression: 5%, action: block}\n",
    );
    let (_, comparison) = compare(at.path(), &STORED);
    assert_eq!(comparison["judgements"][0]["baseline"]["repeats"], 2);
    let warnings = comparison["warnings"].to_string();
    assert!(warnings.contains("a copy of repeat 2"), "{warnings}");
    assert_eq!(comparison["verdict"], "incomparable");
}

const PLAN: &str = "\
name: demo
model: demo
num_requests: 120
concurrency: 16
input_tokens: 64
output_tokens: 16
warmup_requests: 16
repeat: 2
";

/// Limits so wide that a busy machine does not decide: what is tested is what the gate does with its evidence.
const WIDE: &str = "\
version: 1
rules:
  tpot.p95:   {regression: 30%, action: block}
  throughput: {regression: 30%, action: block}
";

fn gate(folder: &Path, server: &str, more: &[&str]) -> Ran {
    write(folder, "thresholds.yaml", WIDE);
    write(
        folder,
        "perfgate.yaml",
        &format!("{PLAN}server: {server}\n"),
    );
    let mut arguments = vec!["gate", "--output", "out"];
    arguments.extend(more);
    run_scripted(folder, &arguments)
}

fn comparison(folder: &Path) -> Value {
    json(&folder.join("out/comparison.json"))
}

#[test]
fn with_the_base_version_at_hand_no_stored_baseline_is_needed() {
    let at = tempfile::tempdir().unwrap();
    let ran = gate(at.path(), "{simulator: {}, base: {simulator: {}}}", &[]).expect(0);
    assert!(ran.stderr.contains("alternately"), "{}", ran.stderr);
    let passed = comparison(at.path());
    assert_eq!(passed["decision"]["pairs"], 2, "{passed}");
    assert_eq!(passed["judgements"][0]["basis"], "pairs");
    // The start of the candidate beside the pairs is shown too.
    assert_eq!(passed["judgements"][0]["candidate"]["beside"], 1);
    assert_eq!(passed["judgements"][0]["candidate"]["repeats"], 3);
    gate(
        at.path(),
        "{simulator: {slowdown: 2.5}, base: {simulator: {}}}",
        &[],
    )
    .expect(1);
}

#[test]
fn one_pair_beside_the_stored_baseline_passes_what_is_clear_and_never_blocks() {
    let at = tempfile::tempdir().unwrap();
    gate(at.path(), "{simulator: {}}", &["--repeat", "3"]).expect(4);
    let accepted = at.path().join("baselines/demo/simulated-gpu-80gb.json");
    std::fs::create_dir_all(accepted.parent().unwrap()).unwrap();
    std::fs::copy(at.path().join("out/result.json"), &accepted).unwrap();
    gate(
        at.path(),
        "{simulator: {}, base: {simulator: {}}}",
        &["--repeat", "3"],
    )
    .expect(0);
    let passed = comparison(at.path());
    assert_eq!(passed["decision"]["pairs"], 1);
    assert_eq!(
        passed["judgements"][0]["basis"],
        "pairs_and_stored_baseline"
    );
    assert_eq!(passed["judgements"][0]["stored"]["repeats"], 3);
    let slower = "{simulator: {slowdown: 2.5}, base: {simulator: {}}}";
    let ran = gate(at.path(), slower, &["--repeat", "3"]).expect(1);
    assert!(ran.stderr.contains("undecided, "), "{}", ran.stderr);
    let blocked = comparison(at.path());
    assert_eq!(blocked["decision"]["looks"].as_array().unwrap().len(), 2);
    assert_eq!(blocked["decision"]["looks"][0]["alpha"], 0.0);
    assert_eq!(blocked["judgements"][0]["basis"], "pairs");
}

#[test]
fn a_variable_that_the_base_server_lacks_is_named_before_anything_is_measured() {
    let at = tempfile::tempdir().unwrap();
    let base = "base: {docker: {image: vllm:main, env: [NOT_SET_ANYWHERE]}}";
    let server = format!("{{simulator: {{}}, {base}}}");
    let ran = gate(at.path(), &server, &[]).expect(2);
    assert!(
        ran.stderr.contains(
            "server.base.docker.env: the environment variable `NOT_SET_ANYWHERE` is not set"
        ),
        "{}",
        ran.stderr
    );
    assert!(!at.path().join("out").exists());
}

#[test]
fn an_image_of_the_base_version_is_for_containers() {
    let at = tempfile::tempdir().unwrap();
    let stderr = gate(at.path(), "{simulator: {}}", &["--base-image", "vllm:main"])
        .expect(2)
        .stderr;
    assert!(stderr.contains("server.base"), "{stderr}");
}

/// A git repository with one commit, so that a re-run can be told from another build.
fn repository() -> tempfile::TempDir {
    let at = tempfile::tempdir().unwrap();
    write(at.path(), ".gitignore", "out/\n");
    write(at.path(), "thresholds.yaml", WIDE);
    write(
        at.path(),
        "perfgate.yaml",
        &format!(
            "{PLAN}server: {{simulator: {{noise: 1%}}, base: {{simulator: {{noise: 1%}}}}}}\n"
        ),
    );
    let script = "git init -q && git add -A && git -c user.name=t -c user.email=t@t commit -qm one";
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(at.path())
        .status()
        .unwrap();
    assert!(made.success());
    at
}

#[test]
fn a_re_run_of_the_same_commit_adds_to_its_evidence_and_goes_on_with_the_looks() {
    let at = repository();
    let arguments = ["gate", "--output", "out"];
    let first = run_scripted(at.path(), &arguments);
    let before = comparison(at.path());
    let ids = |comparison: &Value| -> Vec<String> {
        let values = comparison["judgements"][0]["candidate"]["values"]
            .as_array()
            .unwrap();
        values
            .iter()
            .map(|value| value["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let looks = |comparison: &Value| comparison["decision"]["looks"].as_array().unwrap().len();
    let again = run_scripted(at.path(), &arguments);
    assert!(
        again.stderr.contains("adding to its evidence"),
        "{}{}",
        first.stderr,
        again.stderr
    );
    let after = comparison(at.path());
    assert!(looks(&after) > looks(&before));
    assert!(after["decision"]["pairs"].as_u64() > before["decision"]["pairs"].as_u64());
    // A rule that passed before shows the values it passed with; what is on disk has them all.
    let (old, new) = (ids(&before), ids(&after));
    assert!(new.starts_with(&old), "{old:?} {new:?}");
}

#[test]
fn without_a_commit_every_run_starts_new_evidence() {
    let at = tempfile::tempdir().unwrap();
    let server = "{simulator: {}, base: {simulator: {}}}";
    for _ in 0..2 {
        gate(at.path(), server, &[]).expect(0);
        assert_eq!(
            comparison(at.path())["decision"]["looks"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
    let kept = at.path().join("out/evidence").read_dir().unwrap().count();
    assert_eq!(kept, 2);
}

#[test]
fn an_interrupted_gate_keeps_its_repeats_and_measures_the_broken_pair_again() {
    let at = repository();
    let arguments = ["gate", "--output", "out"];
    // The base is first in the first pair of this seed.
    let half = r#"{"candidate": [{"interrupted": true}]}"#;
    let interrupted = scripted_by(at.path(), &arguments, half).output().unwrap();
    Ran::of(&interrupted).expect(130);
    run_scripted(at.path(), &arguments);
    let comparison = comparison(at.path());
    let values = &comparison["judgements"][0];
    assert!(comparison["decision"]["pairs"].as_u64().unwrap() >= 2);
    assert_eq!(
        values["candidate"]["values"][1]["void"],
        "not measured: the run was interrupted"
    );
    assert!(
        values["baseline"]["values"][0]["value"].as_f64().is_some(),
        "nothing is lost"
    );
}

#[test]
fn a_selftest_counts_and_advises() {
    let at = tempfile::tempdir().unwrap();
    write(at.path(), "thresholds.yaml", WIDE);
    write(
        at.path(),
        "perfgate.yaml",
        &format!("{PLAN}server: {{simulator: {{}}}}\n"),
    );
    let arguments = [
        "selftest",
        "--gates",
        "1",
        "--slow-gates",
        "1",
        "--slowdown",
        "150%",
    ];
    let ran = run_scripted(at.path(), &arguments).expect(0);
    assert!(
        ran.stdout.contains("server against itself") && ran.stdout.contains("0 of 1"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("1 of 1"), "{}", ran.stdout);
    let written = json(&at.path().join("perfgate-selftest/selftest.json"));
    assert_eq!(written["innocent"]["passed"], 1);
    assert_eq!(written["slower"]["blocked"], 1);
}

/// Real limits: in virtual time only the simulator's own noise counts.
const TIGHT: &str = "\
version: 1
rules:
  tpot.p95:   {regression: 5%, action: block}
  throughput: {regression: 5%, action: block}
";

#[test]
fn a_stored_baseline_of_a_slower_host_lets_no_regression_pass() {
    let at = tempfile::tempdir().unwrap();
    let plan = |simulator: &str| {
        let base = "base: {simulator: {noise: 1%}}";
        format!("{PLAN}server: {{simulator: {{noise: 1%{simulator}}}, {base}}}\n")
    };
    write(at.path(), "thresholds.yaml", TIGHT);
    // Every time is 6 % longer on the host of the baseline and of its ledger.
    for session in 1..=6 {
        let slower = format!(", slowdown: 1.06, seed: {session}");
        write(at.path(), "perfgate.yaml", &plan(&slower));
        run_scripted(
            at.path(),
            &["bench", "--repeat", "3", "--output", "main.json"],
        )
        .expect(0);
        let reason = ["--because", "a session of main"];
        let update = [&["baseline", "update", "main.json"][..], &reason].concat();
        run_scripted(at.path(), &update).expect(0);
    }
    let gate = ["gate", "--output", "out"];
    write(at.path(), "perfgate.yaml", &plan(", slowdown: 1.08"));
    run_scripted(at.path(), &gate).expect(1);
    let blocked = comparison(at.path());
    assert_eq!(blocked["judgements"][0]["basis"], "pairs", "{blocked}");
    assert!(blocked["decision"]["ledger_sessions"].as_u64() >= Some(5));
    let codes: Vec<&str> = blocked["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"stored-baseline-disagrees"), "{codes:?}");
    write(at.path(), "perfgate.yaml", &plan(""));
    run_scripted(at.path(), &gate).expect(0);
}
