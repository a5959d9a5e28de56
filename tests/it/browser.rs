//! The report in a real browser: nothing asked of any network, nothing said on the console, nothing wider than the page, and
//! nothing that somebody who cannot see it is left without.

use std::path::{Path, PathBuf};
use std::process::Command;

use perfgate::policy::comparison::Comparison;
use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};
use perfgate::record;
use perfgate::render;
use serde_json::Value;

use crate::support::{json, result, run, write};

/// What the browser says of a page; `None` where there is no browser.
fn looked_at(page: &Path) -> Option<Value> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(packages), Some(chromium)) = (
        variable("PERFGATE_TEST_BROWSER"),
        variable("PERFGATE_TEST_CHROMIUM"),
    ) else {
        eprintln!("skipped: PERFGATE_TEST_BROWSER or PERFGATE_TEST_CHROMIUM is not set");
        return None;
    };
    let mut command = Command::new("node");
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/browser/check.mjs"
        ))
        .arg(page)
        .env("PERFGATE_TEST_BROWSER", packages)
        .env("PERFGATE_TEST_CHROMIUM", chromium);
    if let Some(folder) = variable("PERFGATE_TEST_SCREENSHOTS") {
        let folder = folder.join(page.file_stem().unwrap());
        std::fs::create_dir_all(&folder).unwrap();
        command.arg(folder);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Opens a page and holds what every page holds; its headings.
fn holds(folder: &Path, name: &str, html: &str) -> Vec<String> {
    let page = folder.join(format!("{name}.html"));
    perfgate::files::write_atomically(&page, html.as_bytes()).unwrap();
    let Some(said) = looked_at(&page) else {
        return Vec::new();
    };
    for what in ["console", "requests", "overflows", "violations"] {
        assert_eq!(said[what], Value::Array(Vec::new()), "{name}: {what}");
    }
    let headings = said["headings"].as_array().unwrap();
    let headings: Vec<String> = headings
        .iter()
        .map(|heading| heading.as_str().unwrap().to_owned())
        .collect();
    // No level is left out on the way down.
    let level = |heading: &String| heading[1..2].parse::<u32>().unwrap();
    assert!(headings[0].starts_with("H1 "), "{headings:?}");
    for pair in headings.windows(2) {
        assert!(level(&pair[1]) <= level(&pair[0]) + 1, "{pair:?}");
    }
    headings
}

fn report(comparison: &Comparison) -> String {
    render::html::report(comparison).unwrap()
}

fn compared(baseline: &str, candidate: &str) -> Comparison {
    let parse = |text: &str| record::parse("a.json", text.as_bytes()).unwrap();
    let labels = Labels {
        baseline: "main.json",
        candidate: "result.json",
        ..Labels::default()
    };
    compare_runs(
        &Policy::standard(),
        &parse(baseline),
        &parse(candidate),
        labels,
    )
}

#[test]
fn the_report_of_every_verdict_is_read_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let main = result(&[1.0, 1.002, 0.998]);
    let pages = [
        ("pass", result(&[1.001, 0.999, 1.0]), "H1 ✓ PASS: merge"),
        (
            "block",
            result(&[1.2, 1.21, 1.19]),
            "H1 ✕ BLOCK: do not merge",
        ),
        ("undecided", result(&[1.0, 1.12, 1.02]), "H1 ? NO DECISION"),
        (
            "incomparable",
            result(&[1.0, 1.0, 1.0]).replace("H100 80GB", "A100 40GB"),
            "H1 ✕ NOT COMPARABLE",
        ),
    ];
    for (name, candidate, title) in pages {
        let headings = holds(folder.path(), name, &report(&compared(&main, &candidate)));
        if let Some(first) = headings.first() {
            assert!(first.starts_with(title), "{first}");
        }
    }
}

#[test]
fn a_report_of_attacks_is_a_page_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let html = report(&crate::report::hostile());
    holds(folder.path(), "hostile", &html);
}

#[test]
fn a_report_of_a_real_gate_with_everything_in_it_is_read_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = "name: demo\nmodel: demo\nserver: {simulator: {noise: 0.3%}}\nnum_requests: 120\nconcurrency: [4, 16]\n\
         input_tokens: 64\noutput_tokens: 24\nrepeat: 3\n";
    write(at, "perfgate.yaml", plan);
    run(at, &["bench", "--output", "main.json"]).expect(0);
    let mut slower = run(
        at,
        &[
            "gate",
            "--baseline",
            "main.json",
            "--output",
            "out",
            "--simulator",
            "slowdown=1.3",
        ],
    )
    .expect(1);
    slower.stdout.clear();
    // A repeat that does not count is there too.
    let mut comparison = json(&at.join("out/comparison.json"));
    comparison["judgements"][0]["candidate"]["values"][0]["void"] = "the GPU was throttled".into();
    let comparison: Comparison = serde_json::from_value(comparison).unwrap();
    holds(at, "gate", &report(&comparison));
}

#[test]
fn the_page_of_a_sweep_is_read_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let swept = [
        "sweep",
        "--simulator",
        "noise=0.3%",
        "--model",
        "demo",
        "--num-prompts",
        "60",
        "--concurrency",
        "1,4,16",
        "--synthetic-input-tokens-mean",
        "64",
        "--output-tokens-mean",
        "16",
        "--repeat",
        "1",
        "--html",
        "sweep.html",
        "--output",
        "sweep.json",
    ];
    run(at, &swept).expect(0);
    let html = std::fs::read_to_string(at.join("sweep.html")).unwrap();
    holds(at, "sweep", &html);
}
