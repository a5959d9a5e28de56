//! The report in a real browser: nothing asked of any network, nothing said on the console, nothing wider than the page, and
//! nothing that somebody who cannot see it is left without.

use std::path::{Path, PathBuf};
use std::process::Command;

use perfgate::policy::rule::Policy;
use perfgate::policy::{Labels, compare_runs};
use perfgate::report::comparison::Comparison;
use perfgate::{record, render};
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

/// Opens a page and holds what every page holds.
fn holds(folder: &Path, name: &str, html: &str) {
    let page = folder.join(format!("{name}.html"));
    perfgate::files::write_atomically(&page, html.as_bytes()).unwrap();
    let Some(found) = looked_at(&page) else {
        return;
    };
    for what in ["console", "requests", "violations", "lost"] {
        assert_eq!(found[what], Value::Array(Vec::new()), "{name}: {what}");
    }
    for seen in found["widths"].as_array().unwrap() {
        let fits = seen["scroll"] == seen["client"] && seen["wide"] == Value::Array(Vec::new());
        assert!(fits, "{name}: {seen}");
    }
    for landmark in ["header", "main", "footer"] {
        assert!(
            found["landmarks"].to_string().contains(landmark),
            "{name}: {landmark}"
        );
    }
    // Nothing is cut on paper, and nothing needs a script.
    assert_eq!(found["printed"]["cut"], 0, "{name}");
    assert_eq!(
        found["printed"]["beyond"], 0,
        "{name}: wider than the paper"
    );
    assert!(
        found["text_without_script"].as_u64().unwrap() > 200,
        "{name}"
    );
    let levels: Vec<u64> = found["headings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|level| level.as_u64().unwrap())
        .collect();
    // No level is left out on the way down.
    assert_eq!(levels.first(), Some(&1), "{name}: {levels:?}");
    for pair in levels.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "{name}: {levels:?}");
    }
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
fn the_report_of_every_verdict_is_accessible_at_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let main = result(&[1.0, 1.002, 0.998]);
    let pages = [
        ("pass", result(&[1.001, 0.999, 1.0]), "PASS: merge"),
        ("block", result(&[1.2, 1.21, 1.19]), "BLOCK: do not merge"),
        ("undecided", result(&[1.0, 1.12, 1.02]), "NO DECISION"),
        (
            "incomparable",
            result(&[1.0, 1.0, 1.0]).replace("H100 80GB", "A100 40GB"),
            "NOT COMPARABLE",
        ),
    ];
    for (name, candidate, title) in pages {
        let html = report(&compared(&main, &candidate));
        assert!(html.contains(title), "{name}");
        holds(folder.path(), name, &html);
    }
}

#[test]
fn a_report_of_attacks_is_a_page_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let html = report(&crate::report::hostile());
    holds(folder.path(), "hostile", &html);
}

#[test]
fn the_report_of_a_real_gate_is_accessible_at_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = "name: demo\nmodel: demo\nserver: {simulator: {noise: 0.3%}}\nnum_requests: 120\nconcurrency: 16\n\
         input_tokens: 64\noutput_tokens: 24\nrepeat: 3\n";
    write(at, "perfgate.yaml", plan);
    run(at, &["bench", "--output", "main.json"]).expect(0);
    run(
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
    // A repeat that does not count is there too.
    let mut comparison = json(&at.join("out/comparison.json"));
    comparison["judgements"][0]["candidate"]["values"][0]["void"] = "the GPU was throttled".into();
    let comparison: Comparison = serde_json::from_value(comparison).unwrap();
    holds(at, "gate", &report(&comparison));
}

#[test]
fn the_page_of_a_sweep_is_accessible_at_every_width() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let swept = [
        "sweep",
        "--simulator",
        "seed=1,max-num-seqs=4",
        "--model",
        "demo",
        "--num-prompts",
        "60",
        "--max-load",
        "8",
        "--synthetic-input-tokens-mean",
        "32",
        "--output-tokens-mean",
        "16",
        "--repeat",
        "1",
        "--html",
        "sweep.html",
    ];
    run(at, &swept).expect(0);
    let html = std::fs::read_to_string(at.join("sweep.html")).unwrap();
    holds(at, "sweep", &html);
}
