//! `perfgate compare` on files: the verdict table, and every way of not passing silently.

use std::path::Path;

use crate::support::{Ran, json, result, run, write};

const QUIET: [f64; 3] = [1.0, 1.004, 0.997];

fn compare(folder: &Path, baseline: &str, candidate: &str, more: &[&str]) -> Ran {
    write(folder, "baseline.json", baseline);
    write(folder, "candidate.json", candidate);
    let mut arguments = vec![
        "compare",
        "--baseline",
        "baseline.json",
        "--candidate",
        "candidate.json",
    ];
    arguments.extend(more);
    run(folder, &arguments)
}

fn scaled(factor: f64) -> String {
    result(&QUIET.map(|quiet| quiet * factor))
}

#[test]
fn the_exit_code_is_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    for (factor, code) in [(1.001, 0), (0.9, 0), (1.01, 0), (1.12, 1), (1.2, 1)] {
        compare(folder.path(), &scaled(1.0), &scaled(factor), &[]).expect(code);
    }
}

#[test]
fn the_table_fits_eighty_columns_and_ends_with_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let shown = compare(folder.path(), &scaled(1.0), &scaled(1.12), &[])
        .expect(1)
        .stdout;
    let table: Vec<&str> = shown.lines().skip(2).collect();
    assert!(
        table.iter().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn the_published_recipe_works_as_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "main_baseline.json", &scaled(1.0));
    write(folder.path(), "result.json", &scaled(1.1));
    let recipe = [
        "compare",
        "--baseline",
        "main_baseline.json",
        "--new",
        "result.json",
        "--threshold",
        "0.05",
    ];
    run(folder.path(), &recipe).expect(1);
    let wide = [
        "compare",
        "--baseline",
        "main_baseline.json",
        "--new",
        "result.json",
        "--threshold",
        "30%",
    ];
    run(folder.path(), &wide).expect(0);
}

#[test]
fn json_is_the_comparison_format_and_reports_are_rendered_from_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let shown = compare(
        folder.path(),
        &scaled(1.0),
        &scaled(1.12),
        &["--format", "json", "--html", "a.html"],
    );
    let shown = shown.expect(1).stdout;
    write(folder.path(), "comparison.json", &shown);
    let comparison = json(&folder.path().join("comparison.json"));
    assert_eq!(comparison["schema"], "perfgate.comparison/1");
    assert_eq!(comparison["verdict"], "block");
    assert_eq!(comparison["exit_code"], 1);
    let row = &comparison["judgements"][0];
    assert_eq!(
        (&row["metric"], &row["status"], &row["better"]),
        (&"tpot.p95".into(), &"regressed".into(), &"lower".into())
    );
    assert!(row["change"]["low"].as_f64().unwrap() > 0.02);
    assert!((row["change"]["value"].as_f64().unwrap() - 0.12).abs() < 0.001);

    run(
        folder.path(),
        &["report", "comparison.json", "--html", "b.html"],
    )
    .expect(1);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("a.html"), read("b.html"));
}

#[test]
fn nothing_that_is_missing_or_broken_passes() {
    let good = scaled(1.0);
    let no_metric = good
        .replace("\"gpu_memory.peak\":76480000000,", "")
        .replace("\"gpu_memory.peak\"", "\"x\"");
    let all_failed = good.replace(
        "\"requests\":{\"completed\":1000}",
        "\"requests\":{\"completed\":0,\"failed\":1000}",
    );
    let some_failed = good.replace(
        "\"requests\":{\"completed\":1000}",
        "\"requests\":{\"completed\":900,\"failed\":100}",
    );
    let other_gpu = good.replace("H100", "A100");
    let other_workload = good.replace("sha256:00", "sha256:01");
    let no_scenario = good.replace("concurrency=64", "concurrency=32");
    let void = good.replace("\"metrics\"", "\"void\":\"throttled\",\"metrics\"");
    let not_finite = good.replacen("3000.0", "1e999", 1);
    let zero = good.replace("\"throughput\":3000.0", "\"throughput\":0.0");
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::new();
    for (name, candidate) in [
        ("empty file", ""),
        ("no JSON", "{"),
        (
            "no scenario at all",
            r#"{"schema":"perfgate.result/1","scenarios":[]}"#,
        ),
        ("another schema", r#"{"schema":"other/1","scenarios":[]}"#),
        ("not finite", &not_finite),
        ("gated metric missing", &no_metric),
        ("zero throughput", &zero),
        ("every repeat void", &void),
        ("every request failed", &all_failed),
        ("a tenth of the requests failed", &some_failed),
        ("another GPU", &other_gpu),
        ("another workload", &other_workload),
        ("another scenario", &no_scenario),
    ] {
        let ran = compare(folder.path(), &good, candidate, &[]);
        assert!(
            ran.code.is_some_and(|code| code != 0),
            "{name}: {}",
            ran.stdout
        );
        table.push_str(&format!("{name}: exit {}\n", ran.code.unwrap()));
    }
    insta::assert_snapshot!(table, @"
    empty file: exit 2
    no JSON: exit 2
    no scenario at all: exit 2
    another schema: exit 2
    not finite: exit 2
    gated metric missing: exit 4
    zero throughput: exit 4
    every repeat void: exit 4
    every request failed: exit 4
    a tenth of the requests failed: exit 4
    another GPU: exit 4
    another workload: exit 4
    another scenario: exit 4
    ");
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let stderr = run(
        folder.path(),
        &["compare", "--baseline", "no.json", "--candidate", "no.json"],
    )
    .expect(2)
    .stderr;
    insta::assert_snapshot!(stderr, @"
    error: cannot read `no.json`: No such file or directory (os error 2)
    hint: check the spelling of the path
    ");
    write(folder.path(), "perfgate.yaml", "model: m\n");
    for (arguments, hint) in [
        (
            ["baseline", "update", "no.json"].as_slice(),
            "check the spelling of the path",
        ),
        (
            &["baseline", "update", "perfgate.yaml"],
            "give the result.json of `bench` or `gate`",
        ),
        (
            &["gate", "--simulator", "--baseline", "no.json"],
            "check the spelling of the path",
        ),
    ] {
        let stderr = run(folder.path(), arguments).expect(2).stderr;
        assert!(stderr.ends_with(&format!("hint: {hint}\n")), "{stderr}");
    }
}

#[test]
fn an_undecided_comparison_follows_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let noisy = |shift: f64| result(&[0.85 + shift, 1.0 + shift, 1.2 + shift]);
    let policy = |on_inconclusive: &str| {
        format!(
            "version: 1\nrules: {{tpot.p95: {{regression: 5%}}}}\nnoise: {{on_inconclusive: {on_inconclusive}}}\n"
        )
    };
    for (on_inconclusive, shift, code) in [
        ("auto", 0.001, 0),
        ("auto", 0.1, 3),
        ("pass", 0.1, 0),
        ("fail", 0.001, 3),
    ] {
        write(folder.path(), "thresholds.yaml", &policy(on_inconclusive));
        let ran = compare(folder.path(), &noisy(0.0), &noisy(shift), &[]).expect(code);
        assert!(ran.stdout.contains("NO DECISION"), "{}", ran.stdout);
        assert!(ran.stdout.contains("next: "), "{}", ran.stdout);
        let table: Vec<&str> = ran.stdout.lines().skip(1).collect();
        assert!(
            table.iter().all(|line| line.chars().count() <= 80),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn colour_is_used_only_if_requested() {
    let folder = tempfile::tempdir().unwrap();
    let plain = compare(folder.path(), &scaled(1.0), &scaled(1.2), &[])
        .expect(1)
        .stdout;
    let coloured = compare(
        folder.path(),
        &scaled(1.0),
        &scaled(1.2),
        &["--color", "always"],
    )
    .expect(1)
    .stdout;
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}

#[test]
fn every_verdict_ends_with_its_instruction_and_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let good = scaled(1.0);
    let with = |id: &str, factor: f64| {
        let mut result: serde_json::Value = serde_json::from_str(&good).unwrap();
        for repeat in result["scenarios"][0]["repeats"].as_array_mut().unwrap() {
            let value = repeat["metrics"][id].as_f64().unwrap();
            repeat["metrics"][id] = (value * factor).into();
        }
        result.to_string()
    };
    let mut ends = String::new();
    for (name, candidate) in [
        ("pass", with("throughput", 1.000_001)),
        ("warn", with("ttft.p95", 1.5)),
        ("report", with("gpu_memory.peak", 1.25)),
        ("block", scaled(1.3)),
        ("no decision", result(&[0.7, 1.0, 1.35])),
        ("not comparable", good.replace("H100", "A100")),
    ] {
        let shown = compare(folder.path(), &good, &candidate, &[]).stdout;
        let end: Vec<&str> = shown
            .lines()
            .rev()
            .take_while(|line| !line.is_empty())
            .collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        ends.push_str(&format!("{name}:\n{}\n", end.join("\n")));
    }
    insta::assert_snapshot!(ends);
}

#[test]
fn the_hint_for_the_base_version_depends_on_the_kind_of_server() {
    let folder = tempfile::tempdir().unwrap();
    let (image, base) = (
        "`perfgate gate --base-image`",
        "`server.base` in perfgate.yaml",
    );
    for (kind, asked) in [
        (Some("docker"), format!("({image})")),
        (Some("simulator"), format!("({base})")),
        (Some("process"), format!("({base})")),
        (None, format!("({image} for a container, else {base})")),
    ] {
        let mut candidate: serde_json::Value =
            serde_json::from_str(&result(&[0.7, 1.0, 1.35])).unwrap();
        candidate["server"]["kind"] = kind.into();
        let shown = compare(folder.path(), &scaled(1.0), &candidate.to_string(), &[]).stdout;
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert!(words.join(" ").contains(&asked), "{kind:?}: {shown}");
    }
}

#[test]
fn a_report_that_cannot_be_written_hides_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "file", "");
    let more = ["--html", "file/report.html"];
    let ran = compare(folder.path(), &scaled(1.0), &scaled(1.2), &more).expect(6);
    assert!(ran.stdout.contains("BLOCK: do not merge"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("cannot create `file`"),
        "{}",
        ran.stderr
    );
}

/// Three repeats of 1000 requests whose slowest 15 take five times as long; the slowest `failed` of them fail.
fn with_a_tail(factor: f64, failed: usize) -> String {
    let repeats = QUIET.map(|quiet| {
        let time = |place: usize| {
            let usual = 0.1 * (1.0 + f64::from(u32::try_from(place % 97).unwrap()) * 1e-3);
            let slow = if place < 15 { 5.0 } else { 1.0 };
            usual * slow * factor * quiet
        };
        let status = |place: usize| if place < failed { "timed out" } else { "ok" };
        let values = |of: &dyn Fn(usize) -> serde_json::Value| -> Vec<serde_json::Value> {
            let value = |place: usize| {
                if place < failed {
                    serde_json::Value::Null
                } else {
                    of(place)
                }
            };
            (0..1000).map(value).collect()
        };
        serde_json::json!({
            "duration": 100.0 * quiet, "metrics": {},
            "samples": {
                "status": (0..1000).map(status).collect::<Vec<&str>>(),
                "ttft": values(&|place| time(place).into()),
                "e2e": values(&|place| (time(place) + 1.0).into()),
                "output_tokens": values(&|_| 50.into()),
            }
        })
    });
    serde_json::json!({
        "schema": "perfgate.result/1", "environment": {"gpus": [{"name": "H100"}]}, "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "c", "repeats": repeats}]
    })
    .to_string()
}

#[test]
fn the_slowest_requests_that_fail_do_not_improve_a_percentile() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "p99.yaml",
        "version: 1\nrules:\n  ttft.p99: {regression: 20%, action: block}\n  error_rate: {max: 50%, action: block}\n",
    );
    let judged = |candidate: &str| {
        let options = ["--thresholds", "p99.yaml", "--format", "json"];
        compare(folder.path(), &with_a_tail(1.0, 0), candidate, &options)
    };
    judged(&with_a_tail(1.001, 0)).expect(0);
    judged(&with_a_tail(1.5, 0)).expect(1);
    judged(&with_a_tail(1.5, 9)).expect(1);
    // More than one in a hundred: the P99 is among them, and the guard stands beside a rule on the error rate.
    let stdout = judged(&with_a_tail(0.5, 15)).expect(4).stdout;
    assert!(stdout.contains("falls among them"), "{stdout}");
    assert!(
        stdout.contains("1.5 % of the candidate's requests failed"),
        "{stdout}"
    );
}

#[test]
fn a_tpot_of_zero_on_both_sides_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "tpot.yaml",
        "version: 1\nrules:\n  tpot.p95: {regression: 5%, action: block}\n",
    );
    let options = ["--thresholds", "tpot.yaml", "--format", "json"];
    let zero = r#"{"schema": "perfgate.result/1", "scenarios": [{"name": "c", "repeats": [{"metrics": {"tpot.p95": 0}}]}]}"#;
    compare(folder.path(), zero, zero, &options).expect(4);
    let pieces = serde_json::json!({
        "schema": "perfgate.result/1",
        "scenarios": [{"name": "c", "repeats": QUIET.map(|quiet| serde_json::json!({
            "metrics": {"tpot.p95": 0.0},
            "samples": {"ttft": vec![0.1 * quiet; 200], "e2e": vec![0.1 * quiet; 200],
                "tpot": vec![0; 200], "output_tokens": vec![16; 200]}
        }))}]
    });
    let ran = compare(
        folder.path(),
        &pieces.to_string(),
        &pieces.to_string(),
        &options,
    )
    .expect(4);
    assert!(ran.stdout.contains("in one piece"), "{}", ran.stdout);
}
