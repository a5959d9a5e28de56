//! Files that contradict themselves, are too large, or hold one measurement twice: no reader believes them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ran, result, run, write};

const QUIET: [f64; 3] = [1.0, 1.004, 0.997];

/// A repeat of a hundred and twenty requests; `seed` tells two measurements apart.
fn measured(seed: u32) -> Value {
    let ttft: Vec<f64> = (0..120)
        .map(|request| 0.1 + f64::from(request * 7 % 41) * 1e-4 + f64::from(seed) * 1e-6)
        .collect();
    let e2e: Vec<f64> = ttft.iter().map(|ttft| ttft + 0.4).collect();
    json!({
        "duration": 30.0,
        "requests": {"completed": 120, "failed": 0, "truncated": 0},
        "metrics": {"gpu_memory.peak": 7e10},
        "samples": {
            "status": vec!["ok"; 120], "ttft": ttft, "e2e": e2e,
            "output_tokens": vec![21; 120], "prompt_tokens": vec![20; 120]
        }
    })
}

fn file(seed: u32) -> Value {
    json!({
        "schema": "perfgate.result/1",
        "name": "demo",
        "environment": {"gpus": [{"name": "NVIDIA L4"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "c", "repeats": [measured(seed), measured(seed + 1), measured(seed + 2)]}]
    })
}

fn save(folder: &Path, name: &str, value: &Value) {
    write(folder, name, &value.to_string());
}

/// A baseline, and a candidate that is so many times as slow.
fn both(folder: &Path, times: f64) {
    write(folder, "baseline.json", &result(&QUIET));
    let slower = QUIET.map(|quiet| quiet * times);
    write(folder, "candidate.json", &result(&slower));
}

fn compare(folder: &Path, baseline: &str, candidate: &str) -> Ran {
    run(
        folder,
        &[
            "compare",
            "--baseline",
            baseline,
            "--candidate",
            candidate,
            "--format",
            "json",
        ],
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of files, a row each")]
fn every_contradiction_of_a_repeat_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    save(at, "good.json", &file(1));
    save(at, "other.json", &file(100));
    compare(at, "good.json", "other.json").expect(0);
    let mut timed_out = measured(9)["samples"]["status"].clone();
    for request in 0..60 {
        timed_out[request] = json!("timed out");
    }
    let huge = u64::MAX;
    let cases = [
        (
            "/requests",
            json!({"completed": huge, "failed": huge, "truncated": 1}),
            "has a count of",
        ),
        (
            "/requests",
            json!({"completed": 1, "failed": 1_000_000}),
            "but the samples have 120 completed",
        ),
        (
            "/samples/status",
            timed_out,
            "but the samples have 60 completed, 60 failed",
        ),
        (
            "/metrics/error_rate",
            json!(0.5),
            "`error_rate` is 0.5 in `metrics`, but 0 of 120",
        ),
        (
            "/metrics/error_rate",
            json!(1.5),
            "which is impossible for this metric",
        ),
        (
            "/metrics/ttft.p95",
            json!(0.0),
            "which is impossible for this metric",
        ),
        (
            "/metrics/throughput",
            json!(1e300),
            "which is impossible for this metric",
        ),
        (
            "/samples/ttft/7",
            json!(-0.1),
            "`ttft` of request 7 is -0.1 s",
        ),
        ("/samples/ttft/7", json!(0.0), "`ttft` of request 7 is 0 s"),
        ("/samples/e2e/7", json!(1e12), "`e2e` of request 7"),
        (
            "/samples/ttft/7",
            json!(0.9),
            "request 7 has its first token after 0.9 s, but its whole answer after",
        ),
        (
            "/samples/prompt_tokens/7",
            json!(huge),
            "`prompt_tokens` of request 7",
        ),
        (
            "/samples/output_tokens/7",
            json!(huge),
            "`output_tokens` of request 7",
        ),
        (
            "/duration",
            json!(0.2),
            "`duration` is 0.2 s, but its answers take",
        ),
        (
            "/samples/tpot",
            json!(vec![0.5; 120]),
            "request 0 takes 0.5 s for each of at least 1 tokens",
        ),
        (
            "/metrics",
            json!({"tpot.p50": 0.02, "tpot.p95": 0.01}),
            "`tpot.p50` is 0.02 in `metrics`, above `tpot.p95`",
        ),
        (
            "/metrics",
            json!({"ttft.p95": 0.9, "e2e.p95": 0.5}),
            "`ttft.p95` is 0.9 in `metrics`, above `e2e.p95`",
        ),
        (
            "/metrics/qps",
            json!(8.0),
            "`qps` is 8 in `metrics`, but 120 completed `requests` in 30 s are 4",
        ),
        ("/duration", json!(-1.0), "the duration must be above zero"),
    ];
    for (pointer, value, message) in cases {
        let mut wrong = file(100);
        let repeat = &mut wrong["scenarios"][0]["repeats"][1];
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let place = repeat.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => place[index] = value,
            Err(_) => place[key] = value,
        }
        save(at, "wrong.json", &wrong);
        for (baseline, candidate) in [("good.json", "wrong.json"), ("wrong.json", "good.json")] {
            let error = compare(at, baseline, candidate).expect(2).stderr;
            assert!(
                error.contains("`wrong.json` has contradictory values") && error.contains(message),
                "{pointer}: {error}"
            );
        }
        // The same border for the neighbours.
        write(at, "ledger.jsonl", &(wrong.to_string() + "\n"));
        let more = ["--ledger", "ledger.jsonl"];
        let arguments = [
            "compare",
            "--baseline",
            "good.json",
            "--candidate",
            "other.json",
        ];
        run(at, &[&arguments[..], &more].concat()).expect(2);
        run(
            at,
            &["baseline", "update", "wrong.json", "--baselines", "kept"],
        )
        .expect(2);
    }
}

#[test]
fn a_duplicate_key_is_refused_with_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    save(at, "good.json", &file(1));
    let twice = result(&QUIET).replacen("\"tpot.p95\":", "\"tpot.p95\": 0.001, \"tpot.p95\":", 1);
    write(at, "twice.json", &twice);
    let error = compare(at, "good.json", "twice.json").expect(2).stderr;
    assert!(
        error.contains("duplicate key `tpot.p95` at line 1 column"),
        "{error}"
    );
}

#[test]
fn a_run_is_not_compared_with_itself_or_with_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut renamed = file(1);
    renamed["name"] = json!("copy");
    renamed["created"] = json!("2026-11-04T00:00:00Z");
    save(at, "measured.json", &file(1));
    save(at, "renamed.json", &renamed);
    write(at, "by-hand.json", &result(&QUIET));
    for (baseline, candidate) in [
        ("measured.json", "measured.json"),
        ("measured.json", "renamed.json"),
        ("by-hand.json", "by-hand.json"),
    ] {
        let shown = compare(at, baseline, candidate).expect(4).stdout;
        let comparison: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(comparison["verdict"], "incomparable");
        assert!(
            comparison["headline"]
                .as_str()
                .unwrap()
                .contains("nothing is compared"),
            "{shown}"
        );
    }
    let arguments = ["compare", "-b", "by-hand.json", "-c", "by-hand.json"];
    let shown = run(at, &arguments).expect(4).stdout;
    let verdict = shown.split_once(" NOT COMPARABLE").unwrap();
    insta::assert_snapshot!(verdict.1, @"
    : do not merge: nothing was compared  (exit 4)
       both sides contain the same measurement throughout, so nothing is compared
       next: give two different result files
    ");
    assert!(!verdict.0.contains("same measurement"), "{shown}");
}

#[test]
fn a_session_that_the_ledger_has_several_times_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    both(at, 1.001);
    let session = |seed: f64| result(&QUIET.map(|quiet| quiet * seed)) + "\n";
    let sessions = |text: &str| {
        write(at, "ledger.jsonl", text);
        let arguments = [
            "compare",
            "--baseline",
            "baseline.json",
            "--candidate",
            "candidate.json",
            "--ledger",
            "ledger.jsonl",
            "--format",
            "json",
        ];
        let shown = run(at, &arguments).expect(0).stdout;
        let comparison: Value = serde_json::from_str(&shown).unwrap();
        (
            comparison["decision"]["ledger_sessions"].clone(),
            comparison["warnings"].to_string(),
        )
    };
    let all: String = [0.98, 0.99, 1.01, 1.02, 1.03].map(session).concat();
    let (once, _) = sessions(&all);
    assert_eq!(once, 5);
    // One of them three times, and the candidate itself.
    let repeated = all + &session(1.01) + &session(1.01) + &session(1.001);
    let (again, warnings) = sessions(&repeated);
    assert_eq!(again, 5);
    assert!(warnings.contains("2 lines left out"), "{warnings}");
}

#[test]
fn a_comparison_whose_verdict_does_not_follow_is_refused_by_every_reader() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    both(at, 1.2);
    let shown = compare(at, "baseline.json", "candidate.json")
        .expect(1)
        .stdout;
    let blocked: Value = serde_json::from_str(&shown).unwrap();
    let mut passed = blocked.clone();
    passed["verdict"] = json!("pass");
    passed["exit_code"] = json!(0);
    let mut quiet = blocked.clone();
    quiet["exit_code"] = json!(0);
    for wrong in [passed, quiet] {
        save(at, "comparison.json", &wrong);
        let error = run(at, &["report", "comparison.json"]).expect(2).stderr;
        assert!(
            error.contains("`comparison.json` contradicts itself"),
            "{error}"
        );
        let update = [
            "baseline",
            "update",
            "candidate.json",
            "--comparison",
            "comparison.json",
            "--baselines",
            "kept",
        ];
        run(at, &update).expect(2);
    }
    save(at, "comparison.json", &blocked);
    run(at, &["report", "comparison.json"]).expect(1);
}

#[test]
fn endless_devices_and_very_long_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "baseline.json", &result(&QUIET));
    write(
        at,
        "candidate.json",
        &result(&QUIET.map(|quiet| quiet * 1.01)),
    );
    let pair = [
        "compare",
        "--baseline",
        "baseline.json",
        "--candidate",
        "candidate.json",
    ];
    for option in ["--thresholds", "--ledger", "--release", "--analysis"] {
        let error = run(at, &[&pair[..], &[option, "/dev/zero"]].concat())
            .expect(2)
            .stderr;
        assert!(
            error.contains("/dev/zero") && error.contains("zero byte"),
            "{option}: {error}"
        );
    }
    for arguments in [
        &["report", "/dev/zero"][..],
        &["comment", "--artifact", "/dev/zero"],
        &["bench", "--config", "/dev/zero"],
        &[
            "compare",
            "--baseline",
            "/dev/zero",
            "--candidate",
            "candidate.json",
        ],
    ] {
        let ran = run(at, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
    }
    let large = std::fs::File::create(at.join("large.yaml")).unwrap();
    large.set_len(1 << 30).unwrap();
    let error = run(at, &[&pair[..], &["--thresholds", "large.yaml"]].concat())
        .expect(2)
        .stderr;
    assert!(
        error.contains("is larger than 4 MiB, the limit of a configuration"),
        "{error}"
    );
    let long = result(&QUIET).replace("concurrency=64", &"x".repeat(2000));
    write(at, "long.json", &long);
    let error = compare(at, "long.json", "candidate.json").expect(2).stderr;
    assert!(
        error.contains("a name has 2000 bytes") && error.len() < 500,
        "{error}"
    );
}

#[test]
fn a_packed_result_is_known_by_its_content() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(result(&QUIET).as_bytes()).unwrap();
    let mut file = std::fs::File::create(at.join("baseline.json")).unwrap();
    file.write_all(&gzip.finish().unwrap()).unwrap();
    // And one with a byte order mark.
    let marked = format!("\u{feff}{}", result(&QUIET.map(|quiet| quiet * 1.001)));
    write(at, "candidate.json", &marked);
    compare(at, "baseline.json", "candidate.json").expect(0);
}
