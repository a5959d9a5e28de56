//! A growth under a `report` rule: blocked until its author says what it is for, and then part of the report.

use std::path::Path;

use crate::support::{Ran, command, json, run, write};

const POLICY: &str = "\
version: 1
rules:
  kv_cache.tokens: {regression: 5%, action: report}
  throughput: {regression: 30%, action: block}
";

const ANALYSIS: &str = "The draft model of speculative decoding takes 6 GiB <of> the cache.\n\nWorth it: TPOT falls by a third.\n";

/// A result whose KV cache holds so many tokens.
fn result(tokens: u64) -> String {
    let repeat = serde_json::json!({
        "requests": {"completed": 1000},
        "metrics": {"throughput": 3000.0, "kv_cache.tokens": tokens, "gpu_memory.peak": 76_480_000_000_u64},
        "telemetry": {"engine_memory": {"kv_cache_fixed": false}}
    });
    serde_json::json!({
        "schema": "perfgate.result/1",
        "environment": {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "concurrency=64", "repeats": [repeat, repeat, repeat]}]
    })
    .to_string()
}

/// A folder with a baseline and a candidate that holds a tenth less.
fn grown() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "thresholds.yaml", POLICY);
    write(folder.path(), "baseline.json", &result(460_000));
    write(folder.path(), "candidate.json", &result(414_000));
    write(folder.path(), "why.md", ANALYSIS);
    folder
}

const COMPARE: [&str; 5] = [
    "compare",
    "--baseline",
    "baseline.json",
    "--candidate",
    "candidate.json",
];

fn compare(folder: &Path, more: &[&str]) -> Ran {
    run(folder, &[&COMPARE, more].concat())
}

#[test]
fn a_growth_blocks_until_its_author_gives_an_analysis_which_becomes_part_of_every_report() {
    let folder = grown();
    let at = folder.path();
    let blocked = compare(at, &[]).expect(1).stdout;
    assert!(
        blocked.contains("REPORT: do not merge without an analysis report"),
        "{blocked}"
    );
    assert!(blocked.contains("--analysis FILE"), "{blocked}");

    let accepted = compare(
        at,
        &[
            "--analysis",
            "why.md",
            "--html",
            "report.html",
            "--markdown",
            "comment.md",
        ],
    )
    .expect(0)
    .stdout;
    insta::assert_snapshot!(accepted);
    let html = std::fs::read_to_string(at.join("report.html")).unwrap();
    assert!(
        html.contains("takes 6 GiB &lt;of&gt; the cache"),
        "foreign text is inert"
    );
    let comment = std::fs::read_to_string(at.join("comment.md")).unwrap();
    assert!(comment.contains("TPOT falls by a third"), "{comment}");
    assert!(
        html.contains("peak GPU memory cannot reveal a growth"),
        "the report says which figure can reveal a growth"
    );
}

#[test]
fn a_stored_comparison_takes_an_analysis_afterwards_without_measuring_again() {
    let folder = grown();
    let at = folder.path();
    let stored = compare(at, &["--format", "json"]).expect(1).stdout;
    write(at, "comparison.json", &stored);
    run(at, &["report", "comparison.json"]).expect(1);
    let accepted = run(
        at,
        &[
            "report",
            "comparison.json",
            "--analysis",
            "why.md",
            "--format",
            "json",
        ],
    )
    .expect(0)
    .stdout;
    write(at, "accepted.json", &accepted);
    let accepted = json(&at.join("accepted.json"));
    assert_eq!(accepted["verdict"], "warn");
    assert_eq!(accepted["analysis"]["source"], "why.md");
    // As if it had been given at once.
    let at_once = compare(at, &["--analysis", "why.md", "--format", "json"])
        .expect(0)
        .stdout;
    write(at, "at_once.json", &at_once);
    let at_once = json(&at.join("at_once.json"));
    for field in ["verdict", "exit_code", "headline", "analysis", "judgements"] {
        assert_eq!(accepted[field], at_once[field], "{field}");
    }
}

#[test]
fn an_empty_analysis_is_refused_and_a_valid_one_does_not_lift_a_block() {
    let folder = grown();
    let at = folder.path();
    write(at, "empty.md", "  \n");
    let refused = compare(at, &["--analysis", "empty.md"]).expect(2).stderr;
    assert!(
        refused.contains("`empty.md` is not a valid analysis"),
        "{refused}"
    );
    compare(at, &["--analysis", "missing.md"]).expect(2);
    write(at, "thresholds.yaml", &POLICY.replace("report", "block"));
    let blocked = compare(at, &["--analysis", "why.md"]).expect(1).stdout;
    assert!(blocked.contains("BLOCK"), "{blocked}");
}

#[test]
fn the_pull_requests_text_can_carry_the_analysis() {
    let folder = grown();
    let at = folder.path();
    let with_event = |event: &str| {
        write(at, "event.json", event);
        let mut command = command(at, &COMPARE);
        Ran::of(
            &command
                .env("GITHUB_EVENT_PATH", at.join("event.json"))
                .output()
                .unwrap(),
        )
    };
    let with_text =
        |body: &str| with_event(&serde_json::json!({"pull_request": {"body": body}}).to_string());
    with_text("Speeds up decoding.\n").expect(1);
    with_text("## Perfgate analysis\n<!-- what grew, and why? -->\n").expect(1);
    let text = format!("Intro\n\n## Perfgate analysis\n{ANALYSIS}\n## Tests\nok\n");
    let accepted = with_text(&text).expect(0).stdout;
    assert!(
        accepted.contains("analysis report (pull request)"),
        "{accepted}"
    );
    let stderr = with_event("rubbish").expect(1).stderr;
    assert!(
        stderr.contains("cannot read the pull request's text"),
        "{stderr}"
    );
}

#[test]
fn a_smaller_kv_cache_is_shown_even_if_no_rule_applies_to_it() {
    let folder = grown();
    let at = folder.path();
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules:\n  throughput: {regression: 30%, action: block}\n  gpu_memory.peak: {regression: 10%, action: report}\n",
    );
    // Memory in use is the same: the KV cache gave way.
    let shown = compare(at, &[]).expect(0).stdout;
    assert!(
        shown.contains("the KV cache has room for 414000 tokens instead of 460000"),
        "{shown}"
    );
    write(at, "candidate.json", &result(459_984));
    let shown = compare(at, &[]).expect(0).stdout;
    assert!(!shown.contains("the KV cache has room for"), "{shown}");
}
