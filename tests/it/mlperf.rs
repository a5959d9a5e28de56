//! `perfgate mlperf` on the simulator: VALID, INVALID with every reason, and the peak.

use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, json as read, run, write};

fn mlperf(folder: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec!["mlperf", "--task", "llama3.1-8b", "--model", "demo"];
    all.extend([
        "--simulator",
        "seed=1",
        "--synthetic-input-tokens-mean",
        "16",
    ]);
    all.extend(["--output-tokens-mean", "8"]);
    all.extend(arguments);
    run(folder, &all)
}

const SERVER: [&str; 8] = [
    "--scenario",
    "server",
    "--target-qps",
    "100",
    "--min-duration",
    "3s",
    "--percentile",
    "0.9",
];

#[test]
fn a_server_run_inside_all_limits_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let shown = mlperf(folder.path(), &SERVER).expect(0).stdout;
    assert!(
        shown.contains("result is                         : VALID"),
        "{shown}"
    );
    assert!(shown.contains("Not an official MLPerf result"), "{shown}");
    let result = read(&folder.path().join("mlperf.json"));
    assert_eq!(result["schema"], "perfgate.result/1");
    assert_eq!(result["scenarios"][0]["name"], "request_rate=100");
    let repeat = &result["scenarios"][0]["repeats"][0];
    // 300 arrive on average in three seconds, and the run must take as long by chance, too.
    assert_eq!(repeat["requests"]["completed"], 387);
    assert!(repeat["duration"].as_f64().unwrap() >= 3.0);
}

#[test]
fn an_invalid_run_exits_with_one_and_has_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = SERVER.to_vec();
    arguments.extend(["--tpot-limit", "1ms", "--ttft-limit", "1ms"]);
    arguments.extend(["--min-queries", "40", "--format", "json"]);
    let shown = mlperf(folder.path(), &arguments).expect(1).stdout;
    let report: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(report["schema"], "perfgate.mlperf/1");
    assert_eq!(report["valid"], false);
    let reasons = report["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), 2, "{report}");
    assert!(
        reasons[0].as_str().unwrap().starts_with("TTFT: 387 of 387"),
        "{report}"
    );
    assert!(
        reasons[1].as_str().unwrap().starts_with("TPOT: 387 of 387"),
        "{report}"
    );
    assert!(
        report["notice"]
            .as_str()
            .unwrap()
            .contains("Not an official")
    );
}

#[test]
fn failed_queries_make_a_run_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<&str> = ["mlperf", "--task", "llama3.1-8b", "--model", "demo"]
        .into_iter()
        .chain(["--output-tokens-mean", "8"])
        .chain(["--simulator", "fail-rate=50%,seed=1"])
        .chain(SERVER)
        .collect();
    let shown = run(folder.path(), &all).expect(1).stdout;
    assert!(
        shown.contains("queries failed or were cut short"),
        "{shown}"
    );
}

#[test]
fn offline_sends_everything_at_once_and_a_run_that_is_too_short_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let offline = [
        "--scenario",
        "offline",
        "--min-queries",
        "300",
        "--min-duration",
    ];
    let with = |duration: &'static str| [&offline[..], &[duration]].concat();
    let shown = mlperf(folder.path(), &with("100ms")).expect(0).stdout;
    assert!(shown.contains("completed tokens per second"), "{shown}");
    let result = read(&folder.path().join("mlperf.json"));
    assert_eq!(result["scenarios"][0]["name"], "concurrency=300");
    let shown = mlperf(folder.path(), &with("1h")).expect(1).stdout;
    assert!(shown.contains("at least 3600 s are required"), "{shown}");
}

#[test]
fn the_peak_is_the_highest_rate_that_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--scenario",
        "server",
        "--target-qps",
        "20",
        "--find-peak",
        "--precision",
        "50%",
        "--percentile",
        "0.9",
        "--min-duration",
        "500ms",
        "--simulator",
        "max-num-seqs=1,seed=1",
        "--ttft-limit",
        "300ms",
        "--format",
        "json",
    ];
    let all: Vec<&str> = ["mlperf", "--task", "llama3.1-8b", "--model", "demo"]
        .into_iter()
        .chain([
            "--output-tokens-mean",
            "8",
            "--synthetic-input-tokens-mean",
            "16",
        ])
        .chain(arguments)
        .collect();
    let ran = run(folder.path(), &all).expect(0);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let tried = report["tried"].as_array().unwrap();
    assert!(
        tried.iter().any(|tried| tried["valid"] == false),
        "{report}"
    );
    let peak = report["target_qps"].as_f64().unwrap();
    let result = read(&folder.path().join("mlperf.json"));
    let whole = result["scenarios"].as_array().unwrap().last().unwrap();
    assert_eq!(whole["name"], "sweep");
    assert_eq!(
        whole["repeats"][0]["metrics"]["capacity.request_rate"],
        peak
    );
}

#[test]
fn options_that_do_not_fit_the_scenario_are_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let stderr_of = |arguments: &[&str]| mlperf(folder.path(), arguments).expect(2).stderr;
    insta::assert_snapshot!(stderr_of(&["--scenario", "offline", "--ttft-limit", "1s"]), @r"
    error: the offline scenario has no latency limits and no rate: it runs at full load
    hint: remove `--ttft-limit`, `--tpot-limit` and `--find-peak`
    ");
    insta::assert_snapshot!(stderr_of(&["--scenario", "server", "--target-qps", "1", "--concurrency", "3"]), @r"
    error: the scenario sets load and number of queries
    hint: use `--target-qps` and `--min-queries` instead
    ");
    assert!(stderr_of(&["--scenario", "server"]).contains("--target-qps"));
    assert!(!folder.path().join("mlperf.json").exists());
}

#[test]
fn options_without_effect_are_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let stderr_of = |more: &[&str]| {
        let arguments = [&SERVER[..], more].concat();
        let ran = mlperf(folder.path(), &arguments).expect(2);
        ran.stderr.lines().next().unwrap().to_owned()
    };
    let flags = [
        &["--repeat", "3"][..],
        &["--duration", "1s"],
        &["--goodput", "ttft:1s"],
        &["--ramp-up", "2s"],
    ];
    let refused: Vec<String> = flags.iter().map(|flag| stderr_of(flag)).collect();
    insta::assert_snapshot!(refused.join("\n"), @r"
    error: `--repeat` has no effect: a run is measured once
    error: `--duration` has no effect: a run always completes
    error: `--goodput` has no effect: the task sets the limits
    error: `ramp_up` has no effect: the scenario sets a constant load
    ");
    for key in ["ramp_up: 2s", "conversation: {turns: 2}"] {
        write(
            folder.path(),
            "perfgate.yaml",
            &format!("model: demo\n{key}\n"),
        );
        let name = key.split(':').next().unwrap();
        assert!(stderr_of(&[]).contains(&format!("`{name}` ")), "{key}");
    }
    assert!(!folder.path().join("mlperf.json").exists());
}

#[test]
fn the_summary_has_the_answer_first_and_every_reason() {
    let json = serde_json::json!({
        "schema": "perfgate.mlperf/1", "notice": perfgate::mlperf::NOT_OFFICIAL, "scenario": "server",
        "task": "llama3.1-8b", "model": "demo", "target_qps": 4.0, "valid": false,
        "reasons": ["TTFT: 50 of 2010 queries were over 2000 ms; to claim P99 with 99 % confidence, at most 10 may be (or send 6898 queries)"],
        "required": {
            "limits": {"ttft": 2.0, "tpot": 0.1}, "percentile": 0.99, "min_duration": 600.0, "min_queries": 459,
            "output_tokens": 128.0
        },
        "seen": {
            "duration": 612.3, "queries": 2010, "failed": 0, "over_ttft": 50, "over_tpot": 0, "output_tokens": 128.0
        },
        "over_latency_allowed": 10,
        "metrics": {
            "qps": 3.92, "throughput": 501.8, "ttft.mean": 0.61, "ttft.p50": 0.5, "ttft.p90": 1.2, "ttft.p99": 2.1,
            "tpot.mean": 0.021, "tpot.p50": 0.02, "tpot.p90": 0.03, "tpot.p99": 0.041
        },
        "tried": [{"target_qps": 4.0, "valid": false}]
    });
    let report = serde_json::from_value(json).unwrap();
    insta::assert_snapshot!(perfgate::render::mlperf::text(&report));
}
