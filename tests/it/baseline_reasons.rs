//! What speaks against a promotion, whose word overrules it, and how files that are not whole are mended.

use std::path::Path;

use serde_json::{Value, json};

use crate::baseline::{LEDGER, lines, result, update};
use crate::support::{run, write};

#[test]
fn a_truncated_ledger_is_found_and_refused_until_it_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=3 {
        update(folder, &result(day, 1.0), &[]).expect(0);
    }
    let whole = std::fs::read_to_string(folder.join(LEDGER)).unwrap();
    let second_ends = whole.match_indices('\n').nth(1).unwrap().0;
    let mut cut = whole.clone();
    cut.replace_range(second_ends - 40..second_ends, "");
    write(folder, LEDGER, &cut);
    let found = run(folder, &["baseline", "verify"]).expect(2);
    assert!(
        found
            .stdout
            .contains("ledger.jsonl:2: the line is truncated"),
        "{}",
        found.stdout
    );
    let refused = update(folder, &result(4, 1.0), &[]).expect(2);
    assert!(
        refused.stderr.contains("line 2") && refused.stderr.contains("baseline verify"),
        "{}",
        refused.stderr
    );
    // With more broken lines there is still one command. Mended by it, everything goes on, and nothing good is lost.
    let cut_twice = format!("<<<<<<< HEAD\n{cut}{{\n");
    write(folder, LEDGER, &cut_twice);
    let found = run(folder, &["baseline", "verify"]).expect(2).stdout;
    let commands: Vec<&str> = found
        .split('`')
        .filter(|word| word.starts_with("sed "))
        .collect();
    assert_eq!(commands, [format!("sed -i '1d;3d;5d' '{LEDGER}'")]);
    let mended = std::process::Command::new("sh")
        .args(["-c", commands[0]])
        .current_dir(folder)
        .status();
    assert!(mended.unwrap().success());
    assert_eq!(lines(folder).len(), 2);
    run(folder, &["baseline", "verify"]).expect(0);
    update(folder, &result(4, 1.0), &[]).expect(0);
}

#[test]
fn a_missing_or_empty_ledger_is_found_and_a_new_one_begins_only_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    update(folder, &result(1, 1.0), &[]).expect(0);
    let verify = || run(folder, &["baseline", "verify"]).expect(2).stdout;
    write(folder, LEDGER, "\n");
    let empty = verify();
    let remove = format!("rm '{LEDGER}'");
    assert!(
        empty.contains("it is empty") && empty.contains(&remove),
        "{empty}"
    );
    update(folder, &result(2, 1.0), &[]).expect(2);
    std::fs::remove_file(folder.join(LEDGER)).unwrap();
    let gone = verify();
    assert!(
        gone.contains("it is missing") && gone.contains("git checkout COMMIT"),
        "{gone}"
    );
    let refused = update(folder, &result(2, 1.0), &[]).expect(1);
    assert!(
        refused
            .stderr
            .contains("the ledger of the baseline is missing"),
        "{}",
        refused.stderr
    );
    update(
        folder,
        &result(2, 1.0),
        &["--because", "the old one is lost"],
    )
    .expect(0);
    run(folder, &["baseline", "verify"]).expect(0);
}

#[test]
fn an_older_run_replaces_a_newer_one_only_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    update(folder, &result(5, 1.0), &[]).expect(0);
    let refused = update(folder, &result(4, 1.0), &[]).expect(1);
    assert!(
        refused
            .stderr
            .contains("measured before the accepted run of 2026-03-05T10:00:00Z"),
        "{}",
        refused.stderr
    );
    let reason = ["--because", "that of the fifth is of no use"];
    update(folder, &result(4, 1.0), &reason).expect(0);
    run(folder, &["baseline", "verify"]).expect(0);
    // As an earlier version left them, which asked for no reason.
    let text = std::fs::read_to_string(folder.join(LEDGER)).unwrap();
    write(
        folder,
        LEDGER,
        &text.replace("\"older\":true", "\"older\":false"),
    );
    let found = run(folder, &["baseline", "verify"]).expect(2).stdout;
    assert!(
        found.contains("promote the result of 2026-03-05T10:00:00Z, commit"),
        "{found}"
    );
    // Mended as it says.
    let ordered: Vec<&str> = text.lines().rev().collect();
    write(folder, LEDGER, &(ordered.join("\n") + "\n"));
    update(folder, &result(5, 1.0), &[]).expect(0);
    run(folder, &["baseline", "verify"]).expect(0);
}

#[test]
fn a_maintainers_acceptance_applies_only_to_that_run_and_its_regressions() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=6 {
        update(folder, &result(day, 1.0), &[]).expect(0);
    }
    let mut slower = result(7, 1.10);
    write(folder, "result.json", &slower.to_string());
    let mut comparison = compared(folder);
    comparison["accepted"] = json!({"label": "accept", "by": "alice", "reason": "the new sampler"});
    comparison["verdict"] = json!("warn");
    comparison["exit_code"] = json!(0);
    let accept = |result: &Value, comparison: &Value, more: &[&str]| {
        write(folder, "comparison.json", &comparison.to_string());
        let flags = [&["--dry-run", "--comparison", "comparison.json"], more].concat();
        update(folder, result, &flags)
    };
    // TTFT is far from the ledger too, but was not judged to be slower.
    let refused = accept(&slower, &comparison, &[]).expect(1).stderr;
    assert!(
        refused.contains("TTFT P95") && !refused.contains("TPOT P95"),
        "{refused}"
    );
    let reason = ["--because", "TTFT is the same thing"];
    let both = accept(&slower, &comparison, &reason).expect(0).stdout;
    assert!(
        both.contains("TTFT is the same thing; the regression (alice): the new sampler"),
        "{both}"
    );
    let rows = comparison["judgements"].as_array_mut().unwrap();
    for row in rows {
        row["status"] = json!("regressed");
    }
    let accepted = accept(&slower, &comparison, &[]).expect(0).stdout;
    assert!(
        accepted.contains("because: the new sampler (alice)"),
        "{accepted}"
    );
    // Of another run or another gate it says nothing.
    accept(&result(8, 1.10), &comparison, &[]).expect(2);
    let mut other = comparison.clone();
    other["name"] = json!("mistral");
    accept(&slower, &other, &[]).expect(2);
    slower["source"]["branch"] = json!("feature");
    let refused = accept(&slower, &comparison, &[]).expect(1).stderr;
    assert!(
        refused.contains("measured on `feature`") && !refused.contains("worse than"),
        "{refused}"
    );
}

/// The comparison of `result.json` with the baseline.
fn compared(folder: &Path) -> Value {
    let arguments = [
        "compare",
        "--baselines",
        "baselines",
        "--candidate",
        "result.json",
        "--format",
        "json",
    ];
    let compared = run(folder, &arguments).expect(1);
    serde_json::from_str(&compared.stdout).unwrap()
}
