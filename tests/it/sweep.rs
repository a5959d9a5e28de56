//! `perfgate sweep` on the simulator: the points, the search, what compare makes of two sweeps.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ran, json as read, run, write};

const LOAD: [&str; 6] = [
    "--model",
    "demo",
    "--num-prompts",
    "100",
    "--synthetic-input-tokens-mean",
    "32",
];

fn sweep(folder: &Path, arguments: &[&str]) -> Ran {
    let mut all = vec!["sweep"];
    all.extend(arguments);
    all.extend(LOAD);
    if !arguments.contains(&"--output-tokens-mean") {
        all.extend(["--output-tokens-mean", "16"]);
    }
    run(folder, &all)
}

fn names(result: &Value) -> Vec<&str> {
    let scenarios = result["scenarios"].as_array().unwrap();
    scenarios
        .iter()
        .map(|scenario| scenario["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_grid_doubles_the_load_until_the_server_is_saturated() {
    let folder = tempfile::tempdir().unwrap();
    // Four slots: more than four in flight wait.
    let ran = sweep(
        folder.path(),
        &[
            "--simulator",
            "seed=1,max-num-seqs=4",
            "--html",
            "sweep.html",
            "--max-load",
            "16",
        ],
    )
    .expect(0);
    let result = read(&folder.path().join("sweep.json"));
    // How far beyond the slots it goes is the machine's noise: saturation is 5 %.
    let names = names(&result);
    assert!(
        names.starts_with(&["concurrency=1", "concurrency=2", "concurrency=4"]),
        "{names:?}"
    );
    let last = names.last().unwrap();
    let ends = [
        format!("the server is saturated: {last}"),
        format!("{last} is the highest load that may be tried"),
    ];
    assert!(
        ends.iter().any(|end| ran.stdout.contains(end)),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("concurrency=2: throughput still grows"),
        "{}",
        ran.stderr
    );
    for scenario in result["scenarios"].as_array().unwrap() {
        assert_eq!(scenario["adaptive"], true);
    }
    let html = std::fs::read_to_string(folder.path().join("sweep.html")).unwrap();
    assert!(html.contains("<polyline") && !html.contains("http://") && !html.contains("<script"));
}

/// Searches the concurrency of a server with so many slots, and gives what was printed.
fn find(folder: &Path, slots: u32, output: &str) -> Value {
    let simulator = format!("seed=1,max-num-seqs={slots}");
    let find = [
        "--find",
        "concurrency",
        "--goodput",
        "ttft:100ms",
        "--start",
        "8",
    ];
    let bounds = ["--max-load", "64", "--precision", "20%"];
    let work = ["--output-tokens-mean", "48", "--format", "json"];
    let target = ["--simulator", &simulator, "--output", output];
    let ran = sweep(folder, &[&find[..], &bounds, &work, &target].concat()).expect(0);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_search_finds_the_number_of_slots_and_compare_judges_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // With as many in flight as there are slots a request waits for a step or two, with twice as many for a whole answer.
    let report = find(folder, 8, "a.json");
    assert_eq!(report["schema"], "perfgate.sweep/1");
    let capacity = report["capacities"][0]["load"].as_f64().unwrap();
    assert!((7.0..=15.0).contains(&capacity), "{report}");
    assert_eq!(report["attainment"], 0.95);
    let points = report["points"].as_array().unwrap();
    let marked: Vec<&Value> = points
        .iter()
        .filter(|point| point["is_capacity"] == true)
        .collect();
    assert!(
        marked.len() == 1 && marked[0]["within"]["met"] == true,
        "{report}"
    );
    let result = read(&folder.join("a.json"));
    let whole = result["scenarios"].as_array().unwrap().last().unwrap();
    assert_eq!(whole["name"], "sweep");
    let metrics = &whole["repeats"][0]["metrics"];
    assert_eq!(metrics["capacity.concurrency"], capacity);
    assert!(metrics["capacity.goodput"].as_f64().unwrap() > 0.0);

    // Fewer slots: other points, and a capacity that a rule blocks.
    find(folder, 3, "b.json");
    write(
        folder,
        "t.yaml",
        "version: 1\nrules: {capacity.concurrency: {regression: 5%}}\n",
    );
    let files = [
        "--baseline",
        "a.json",
        "--candidate",
        "b.json",
        "--thresholds",
        "t.yaml",
    ];
    let arguments = [
        &["compare", "--format", "json", "--html", "c.html"],
        &files[..],
    ]
    .concat();
    let ran = run(folder, &arguments).expect(1);
    let comparison: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(comparison["judgements"].as_array().unwrap().len(), 1);
    assert_eq!(comparison["judgements"][0]["scenario"], "sweep");
    assert_eq!(comparison["mismatches"], json!([]));
    assert!(
        comparison["curves"][0]["baseline"]["points"]
            .as_array()
            .unwrap()
            .len()
            > 2
    );
    let html = std::fs::read_to_string(folder.join("c.html")).unwrap();
    assert!(html.contains("Throughput against latency") && html.contains("class=\"curve base\""));
}

#[test]
fn a_search_of_rates_begins_with_an_infinite_rate() {
    let folder = tempfile::tempdir().unwrap();
    let ran = sweep(
        folder.path(),
        &[
            "--simulator",
            "seed=1,max-num-seqs=4",
            "--find",
            "request-rate",
            "--goodput",
            "e2e:400ms",
            "--precision",
            "30%",
            "--min-duration",
            "500ms",
        ],
    )
    .expect(0);
    let result = read(&folder.path().join("sweep.json"));
    let names = names(&result);
    assert_eq!(names[0], "request_rate=inf");
    assert!(
        names.len() >= 4 && names.last() == Some(&"sweep"),
        "{names:?}"
    );
    assert!(
        ran.stdout.contains("req/s (") || ran.stdout.contains("at least"),
        "{}",
        ran.stdout
    );
    let metrics = &result["scenarios"].as_array().unwrap().last().unwrap()["repeats"][0]["metrics"];
    assert!(
        metrics["capacity.request_rate"].as_f64().unwrap() > 1.0,
        "{metrics}"
    );
}

#[test]
fn a_server_that_meets_the_limits_at_no_load_has_no_capacity_and_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--simulator",
        "seed=1",
        "--find",
        "concurrency",
        "--goodput",
        "tpot:1ms",
        "--start",
        "2",
    ];
    let shown = sweep(folder.path(), &arguments).expect(0).stdout;
    assert!(
        shown.contains("capacity: none: no load meets the limits"),
        "{shown}"
    );
    write(
        folder.path(),
        "t.yaml",
        "version: 1\nrules: {capacity.concurrency: {regression: 5%}}\n",
    );
    let arguments = [
        "compare",
        "--baseline",
        "sweep.json",
        "--candidate",
        "sweep.json",
        "--thresholds",
        "t.yaml",
    ];
    let shown = run(folder.path(), &arguments).expect(4).stdout;
    assert!(
        shown.contains("concurrency=1, the lowest load, does not meet the limits"),
        "{shown}"
    );
}

#[test]
fn repeats_of_a_sweep_are_repeats_of_its_capacity() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--simulator",
        "seed=1,max-num-seqs=4",
        "--find",
        "concurrency",
        "--goodput",
        "ttft:70ms",
        "--start",
        "4",
        "--max-load",
        "16",
        "--precision",
        "50%",
        "--repeat",
        "2",
    ];
    sweep(folder.path(), &arguments).expect(0);
    let run = perfgate::record::load(&folder.path().join("sweep.json")).unwrap();
    let whole = run.scenario("sweep").unwrap();
    assert_eq!(whole.counting().count(), 2);
    // Every measurement of a point is a repeat of it, with requests of its own.
    assert!(run.scenario("concurrency=4").unwrap().counting().count() >= 2);
}

#[test]
fn every_measurement_of_a_rate_has_arrivals_of_its_own_and_a_bench_the_same_in_every_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let load = [
        "--simulator",
        "seed=1",
        "--request-rate",
        "100",
        "--repeat",
        "2",
    ];
    let starts = |file: &str| {
        let result = read(&folder.path().join(file));
        let repeats = &result["scenarios"][0]["repeats"];
        let starts = [0, 1].map(|repeat| repeats[repeat]["samples"]["start"].clone());
        assert!(repeats[0]["telemetry"]["offered_rate"].as_f64().unwrap() > 50.0);
        starts
    };
    sweep(
        folder.path(),
        &[&load[..], &["--min-duration", "1s"]].concat(),
    )
    .expect(0);
    let [first, second] = starts("sweep.json");
    assert_ne!(first, second);
    let bench = [&["bench", "--output-tokens-mean", "16"], &load[..], &LOAD].concat();
    run(folder.path(), &bench).expect(0);
    let [first, second] = starts("result.json");
    assert_eq!(first, second);
}

#[test]
fn a_load_that_cannot_be_measured_is_neither_inside_nor_outside_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--simulator",
        "step-noise=40%,seed=1",
        "--find",
        "concurrency",
        "--goodput",
        "ttft:1s",
        "--start",
        "4",
        "--output-tokens-mean",
        "2",
        "--warmup-requests",
        "8",
        "--warmup-until-stable",
        "0.1%",
    ];
    let stderr = sweep(folder.path(), &arguments).expect(6).stderr;
    // That the server did not come to rest, or that a busy machine's client was too slow.
    let error = "error: concurrency=4 cannot be measured from this machine: the ";
    assert!(stderr.contains(error), "{stderr}");
    let result = read(&folder.path().join("sweep.json"));
    assert_eq!(names(&result), ["concurrency=4"]);
    let repeats = result["scenarios"][0]["repeats"].as_array().unwrap();
    assert!(repeats.len() == 4 && repeats.iter().all(|repeat| repeat["void"].is_string()));
}

#[test]
fn a_sweep_with_invalid_options_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let stderr_of = |arguments: &[&str]| {
        let mut all = vec!["--simulator"];
        all.extend(arguments);
        sweep(folder.path(), &all).expect(2).stderr
    };
    insta::assert_snapshot!(stderr_of(&["--find", "concurrency"]), @r"
    error: a search needs limits, but no `slo` is set
    hint: use `--goodput ttft:200ms tpot:50ms`, or set an `slo` in perfgate.yaml
    ");
    insta::assert_snapshot!(stderr_of(&["--find", "request-rate", "--concurrency", "1,2", "--goodput", "ttft:1s"]), @r"
    error: `--find` and the load flags use different kinds of load
    hint: a search first measures the given loads; use loads of its kind
    ");
    insta::assert_snapshot!(stderr_of(&["--start", "1.5"]), @"error: `--start` must be a whole number of requests in flight from 1 to 65535");
    insta::assert_snapshot!(stderr_of(&["--goodput", "ttft:1s", "ttft:2s"]), @"error: `--goodput` limits one latency twice");
    assert!(stderr_of(&["--goodput", "ttft:200"]).contains("ttft:200"));
    assert!(!folder.path().join("sweep.json").exists());
}

/// A sweep as it was measured once, so that what is shown of it does not depend on this machine.
fn stored() -> perfgate::sweep::SweepReport {
    let point = |load: u32, throughput: f64, latency: f64, good: u32, met: Value| {
        let (low, high) = perfgate::stats::rate_interval(good, 200, 0.95);
        json!({
            "scenario": format!("concurrency={load}"), "load": load, "repeats": 1,
            "metrics": {
                "throughput": throughput, "goodput": throughput / 16.0, "ttft.p50": latency, "ttft.p95": latency * 1.2,
                "tpot.p50": latency / 20.0, "tpot.p95": latency / 18.0, "e2e.p95": latency * 2.0
            },
            "within": {"good": good, "all": 200, "low": low, "high": high, "met": met},
            "is_knee": load == 16, "is_capacity": load == 23
        })
    };
    serde_json::from_value(json!({
        "schema": "perfgate.sweep/1", "name": "demo", "model": "demo", "load": "concurrency",
        "limits": {"ttft": 0.2, "tpot": 0.05}, "attainment": 0.95,
        "points": [
            point(1, 237.3, 0.006, 200, json!(true)),
            point(16, 2274.0, 0.0276, 200, json!(true)),
            point(23, 2777.0, 0.0412, 199, json!(true)),
            point(24, 2790.0, 0.152, 192, json!(null)),
            point(64, 4150.0, 0.6, 0, json!(false)),
        ],
        "knee": 16.0,
        "capacities": [{"load": 23.0, "fails_at": 24.0, "measurements": 8}],
        "ended": "concurrency=23 is the highest load that meets the limits; concurrency=24 does not",
        "warnings": ["concurrency=24 is left open after 3 measurements and counts as not met: 192 of 200 requests were within the limits"]
    }))
    .unwrap()
}

#[test]
fn the_table_fits_eighty_columns_and_shows_the_result() {
    let text = perfgate::render::sweep::text(&stored(), false);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn the_json_is_that_of_the_schema() {
    insta::assert_snapshot!(perfgate::render::sweep::json(&stored()));
}

#[test]
fn foreign_text_in_a_sweep_is_escaped() {
    let mut report = stored();
    let hostile = "<script>alert(1)</script>\u{1b}[31m\u{202E}";
    report.name = Some(hostile.to_owned());
    report.ended = hostile.to_owned();
    report.warnings = vec![hostile.to_owned()];
    report.capacities.clear();
    let html = perfgate::render::sweep::html(&report).unwrap();
    assert!(!html.contains("<script") && !html.contains('\u{1b}') && !html.contains('\u{202E}'));
    assert!(!perfgate::render::sweep::text(&report, false).contains('\u{1b}'));
}
