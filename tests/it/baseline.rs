//! Accepting runs, and looking at what was accepted: the real binary on real files.

use std::path::Path;

use serde_json::{Value, json};

use crate::baseline_ref::{commit, git};
use crate::support::{Ran, command, json as read_json, run, write};

pub(crate) const LEDGER: &str = "baselines/llama/nvidia-l4.ledger.jsonl";
const BASELINE: &str = "baselines/llama/nvidia-l4.json";
const RELEASE: &str = "baselines/llama/nvidia-l4.release.json";

/// A run of the main branch on some day, `factor` times as slow as usual.
pub(crate) fn result(day: u32, factor: f64) -> Value {
    let repeat = |index: u32| {
        let factor = factor * (1.0 + 0.002 * f64::from(index) - 0.001 * f64::from(day % 3));
        json!({
            "id": format!("{day}-{index}"),
            "started": format!("2026-03-{day:02}T10:0{index}:00Z"),
            "requests": {"completed": 500},
            "metrics": {"tpot.p95": 0.02 * factor, "throughput": 3000.0 / factor, "ttft.p95": 0.15 * factor,
                "gpu_memory.peak": 7e10}
        })
    };
    json!({
        "schema": "perfgate.result/1", "name": "llama", "created": format!("2026-03-{day:02}T10:00:00Z"),
        "source": {"commit": format!("{day:040x}"), "branch": "main", "dirty": false},
        "environment": {"gpus": [{"name": "NVIDIA L4"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "concurrency=16", "repeats": [repeat(0), repeat(1), repeat(2)]}]
    })
}

pub(crate) fn update(folder: &Path, result: &Value, flags: &[&str]) -> Ran {
    write(folder, "result.json", &result.to_string());
    let mut arguments = vec!["baseline", "update", "result.json", "--branch", "main"];
    arguments.extend(flags);
    run(folder, &arguments)
}

pub(crate) fn lines(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(LEDGER)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_accepted_run_is_the_baseline_and_a_line_of_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ran = update(folder, &result(1, 1.0), &[]).expect(0);
    insta::assert_snapshot!(ran.stdout, @"
    `result.json` is now the baseline of llama on nvidia-l4, session 1 of its ledger
    next: git add 'baselines/llama/nvidia-l4.json' 'baselines/llama/nvidia-l4.ledger.jsonl'
    ");
    assert_eq!(lines(folder).len(), 1);
    let baseline = read_json(&folder.join(BASELINE));
    assert_eq!(
        baseline["scenarios"][0]["repeats"][2]["metrics"],
        result(1, 1.0)["scenarios"][0]["repeats"][2]["metrics"]
    );
    assert!(baseline["promotion"]["promoted"].is_string());
    // Done once more, nothing changes.
    let again = update(folder, &result(1, 1.0), &[]).expect(0);
    assert!(
        again.stdout.contains("was already the baseline"),
        "{}",
        again.stdout
    );
    assert_eq!(lines(folder).len(), 1);
    run(folder, &["baseline", "verify"]).expect(0);
    // What was accepted is what candidates are compared with.
    write(folder, "candidate.json", &result(2, 1.001).to_string());
    let compared = [
        "compare",
        "--baseline",
        BASELINE,
        "--candidate",
        "candidate.json",
        "--ledger",
        LEDGER,
    ];
    run(folder, &compared).expect(0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    update(folder.path(), &result(1, 1.0), &["--dry-run"]).expect(0);
    assert!(!folder.path().join(BASELINE).exists() && !folder.path().join(LEDGER).exists());
}

#[test]
fn all_objections_to_a_run_are_listed_and_the_ledger_keeps_them_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=6 {
        update(folder, &result(day, 1.0), &[]).expect(0);
    }
    let mut slower = result(7, 1.10);
    slower["source"] = json!({"commit": "abc", "branch": "feature", "dirty": true});
    let refused = update(folder, &slower, &[]).expect(1);
    insta::assert_snapshot!(refused.stderr, @"
    error: the run is not accepted as the baseline of `llama` on `nvidia-l4`:
      - it was measured on `feature`, not on `main`
      - the work tree had uncommitted changes
      - TPOT P95 at concurrency=16 is worse than the baseline: +9.9 % (limit 5.0 %)
      - throughput at concurrency=16 is worse than the baseline: +9.0 % (limit 5.0 %)
      - TTFT P95 at concurrency=16 is +10.0 % from the median of the ledger, whose sessions differ by 0.2 %
    hint: fix it and measure again, or accept it with a reason: `--because TEXT` (the ledger keeps it)
    ");
    assert_eq!(lines(folder).len(), 6);
    update(folder, &slower, &["--because", "short"]).expect(2);
    let reason = "the new sampler is worth it, #12";
    let accepted = update(folder, &slower, &["--because", reason]).expect(0);
    assert!(
        accepted.stdout.contains("a new segment")
            && accepted.stdout.contains("  objection overruled: "),
        "{}",
        accepted.stdout
    );
    let last = lines(folder).pop().unwrap();
    assert_eq!(last["promotion"]["because"], reason);
    assert_eq!(last["promotion"]["new_segment"], true);
    assert!(last["promotion"]["despite"].as_array().unwrap().len() >= 3);
    // From here on the new level is the usual one.
    update(folder, &result(8, 1.10), &[]).expect(0);
    let back = update(folder, &result(9, 1.0), &[]);
    assert_eq!(back.code, Some(0), "{}", back.stderr);
}

#[test]
fn a_void_run_is_never_accepted_and_a_small_one_only_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut void = result(1, 1.0);
    for index in 0..3 {
        void["scenarios"][0]["repeats"][index]["void"] = json!("GPU 0 was throttled");
    }
    let reason = ["--because", "we are in a hurry today"];
    let refused = update(folder.path(), &void, &reason).expect(1);
    assert!(
        refused
            .stderr
            .contains("no repeat of concurrency=16 counts: GPU 0 was throttled")
    );
    let mut small = result(1, 1.0);
    let repeats = small["scenarios"][0]["repeats"].as_array_mut().unwrap();
    repeats.truncate(1);
    let refused = update(folder.path(), &small, &[]).expect(1);
    assert!(
        refused.stderr.contains("1 of 1 repeats"),
        "{}",
        refused.stderr
    );
    update(folder.path(), &small, &reason).expect(0);
}

#[test]
fn a_baseline_too_noisy_for_its_limits_is_accepted_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut noisy = result(1, 1.0);
    for (repeat, throughput) in [240.0, 553.0, 575.0].into_iter().enumerate() {
        noisy["scenarios"][0]["repeats"][repeat]["metrics"]["throughput"] = json!(throughput);
    }
    let ran = update(folder.path(), &noisy, &[]).expect(0);
    insta::assert_snapshot!(ran.stdout, @r"
    `result.json` is now the baseline of llama on nvidia-l4, session 1 of its ledger
      warning: the repeats of throughput at concurrency=16 differ by 140 %: against this baseline the smallest detectable regression is 94.0 %, and the limit is 5.0 %
      hint: measure again on a quieter machine or with more repeats (`repeat`), or gate with the base version available (`--base-image`, `server.base`): else gates against this baseline end undecided
    next: git add 'baselines/llama/nvidia-l4.json' 'baselines/llama/nvidia-l4.ledger.jsonl'
    ");
}

#[test]
fn promotions_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let names: Vec<String> = (1..=12).map(|day| format!("result-{day}.json")).collect();
    let children: Vec<_> = names
        .iter()
        .zip(1..)
        .map(|(name, day)| {
            write(folder, name, &result(day, 1.0).to_string());
            // Those of earlier days may come second.
            let because = ["--because", "twelve at once"];
            let arguments = ["baseline", "update", name, "--branch", "main"];
            command(folder, &[&arguments[..], &because].concat())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let mut days: Vec<String> = lines(folder)
        .iter()
        .map(|line| line["created"].as_str().unwrap().to_owned())
        .collect();
    // Whoever was last is the baseline.
    assert_eq!(
        read_json(&folder.join(BASELINE))["created"].as_str(),
        days.last().map(String::as_str)
    );
    days.sort();
    days.dedup();
    assert_eq!(days.len(), 12);
}

#[test]
fn a_promotion_that_was_interrupted_is_found_and_ended_by_doing_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    update(folder, &result(1, 1.0), &[]).expect(0);
    let before = std::fs::read_to_string(folder.join(BASELINE)).unwrap();
    update(folder, &result(2, 1.0), &[]).expect(0);
    // As if the power had gone between the two files.
    write(folder, BASELINE, &before);
    let found = run(folder, &["baseline", "verify"]).expect(2);
    assert!(
        found.stdout.contains("it differs from the last session"),
        "{}",
        found.stdout
    );
    update(folder, &result(2, 1.0), &[]).expect(0);
    run(folder, &["baseline", "verify"]).expect(0);
    assert_eq!(lines(folder).len(), 2);
    // An old run does not come back by an old command.
    let old = update(folder, &result(1, 1.0), &[]).expect(1);
    assert!(
        old.stderr.contains("later runs have been accepted"),
        "{}",
        old.stderr
    );
}

#[test]
fn a_slow_decline_that_passes_step_by_step_is_seen_through_the_release() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    update(folder, &result(1, 1.0), &["--release", "v1.0.0"]).expect(0);
    let mut level = 1.0;
    // Each step passes, and no session is far from the others yet.
    for day in 2..=7 {
        level *= 1.01;
        update(folder, &result(day, level), &[]).expect(0);
    }
    write(
        folder,
        "candidate.json",
        &result(10, level * 1.01).to_string(),
    );
    let mut arguments = vec![
        "compare",
        "--baseline",
        BASELINE,
        "--candidate",
        "candidate.json",
        "--ledger",
        LEDGER,
        "--format",
        "json",
    ];
    let codes = |ran: &Ran| {
        let comparison: Value = serde_json::from_str(&ran.stdout).unwrap();
        let warnings = comparison["warnings"].as_array().unwrap();
        warnings
            .iter()
            .map(|warning| warning["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let without = run(folder, &arguments).expect(0);
    assert!(!codes(&without).contains(&"slower-than-release".to_owned()));
    arguments.extend(["--release", RELEASE]);
    let with = run(folder, &arguments).expect(0);
    assert!(
        codes(&with).contains(&"slower-than-release".to_owned()),
        "{}",
        with.stdout
    );
    let history = run(folder, &["baseline", "history", "--metric", "tpot.p95"]).expect(0);
    assert!(
        history.stdout.contains("since v1.0.0"),
        "{}",
        history.stdout
    );
}

#[test]
fn the_history_is_exported_for_other_dashboards() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=4 {
        update(folder, &result(day, 1.0), &[]).expect(0);
    }
    let export = |format: &str| {
        let arguments = [
            "baseline",
            "history",
            "llama",
            "--metric",
            "tpot.p95",
            "--metric",
            "throughput",
            "--format",
            format,
        ];
        run(folder, &arguments).expect(0).stdout
    };
    let csv = export("csv");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 1 + 8);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    let objects: Vec<Value> = export("jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 8);
    let value = objects[3]["value"].as_f64().unwrap();
    let bencher: Value = serde_json::from_str(&export("bencher")).unwrap();
    assert_eq!(bencher["llama/concurrency=16"]["tpot-p95"]["value"], value);
    let smaller: Value = serde_json::from_str(&export("github-smaller-is-better")).unwrap();
    assert_eq!(smaller[0]["value"], value);
    assert_eq!(smaller[0]["unit"], "s");
    let bigger: Value = serde_json::from_str(&export("github-bigger-is-better")).unwrap();
    assert_eq!(bigger.as_array().unwrap().len(), 1);
    // The text format is read back by the parser that reads vLLM's.
    let text = export("prometheus");
    let metrics = perfgate::telemetry::prometheus::Scrape::parse(&text, |_| true).unwrap();
    assert_eq!(
        metrics.sum("perfgate_tpot_p95_seconds"),
        Some(value),
        "{text}"
    );
    let json: Value = serde_json::from_str(&export("json")).unwrap();
    assert_eq!(json[0]["points"].as_array().unwrap().len(), 4);
}

#[test]
fn existing_baselines_are_listed_and_shown_and_missing_ones_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let nothing = run(folder, &["baseline", "list"]).expect(4);
    assert!(
        nothing.stderr.contains("perfgate baseline update"),
        "{}",
        nothing.stderr
    );
    update(folder, &result(1, 1.0), &["--release", "v1.0.0"]).expect(0);
    let listed = run(folder, &["baseline", "list"]).expect(0).stdout;
    assert!(listed.contains("llama") && listed.contains("nvidia-l4") && listed.contains("v1.0.0"));
    let listed: Value = serde_json::from_str(
        &run(folder, &["baseline", "list", "--format", "json"])
            .expect(0)
            .stdout,
    )
    .unwrap();
    assert_eq!(listed[0]["sessions"], 1);
    let shown = run(folder, &["baseline", "show", "llama"]).expect(0).stdout;
    assert!(
        shown.contains("TPOT P95") && shown.contains("release: v1.0.0"),
        "{shown}"
    );
    let other = run(folder, &["baseline", "show", "mistral"]).expect(4);
    assert!(
        other.stderr.contains("existing baselines: llama"),
        "{}",
        other.stderr
    );
    run(folder, &["baseline", "show", "../llama"]).expect(2);
}

#[test]
fn show_counts_the_commits_since_the_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    git(folder, &["init", "--quiet"]);
    write(folder, "file", "measured");
    let mut baseline = result(1, 1.0);
    baseline["source"]["commit"] = commit(folder, "measured").into();
    write(folder, BASELINE, &baseline.to_string());
    for (later, expected) in [(1, "1 commit ago"), (2, "2 commits ago")] {
        write(folder, "file", &format!("after {later}"));
        commit(folder, "later");
        let shown = run(folder, &["baseline", "show"]).expect(0).stdout;
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn a_baseline_without_a_ledger_is_one_session_wherever_they_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, BASELINE, &result(1, 1.0).to_string());
    let json = ["baseline", "list", "--format", "json"];
    let listed: Value = serde_json::from_str(&run(folder, &json).expect(0).stdout).unwrap();
    assert_eq!(listed[0]["sessions"], 1);
    let history = run(folder, &["baseline", "history", "llama"]).expect(0);
    let shown = run(folder, &["baseline", "show", "llama"]).expect(0);
    for (expected, ran) in [
        ("llama on nvidia-l4: 1 session, 2026-03-01", history),
        ("llama on nvidia-l4: 1 session, no ledger yet", shown),
    ] {
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
}

#[test]
fn a_folder_is_also_a_file_url() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    update(folder, &result(1, 1.0), &[]).expect(0);
    let url = format!("file://{}/baselines", folder.display());
    let listed = run(folder, &["baseline", "list", "--baselines", &url]).expect(0);
    assert!(listed.stdout.contains("llama"), "{}", listed.stdout);
    let second = update(folder, &result(2, 1.0), &["--baselines", &url]).expect(0);
    assert!(second.stdout.contains("next: git add"), "{}", second.stdout);
    assert_eq!(lines(folder).len(), 2);
}

/// A file system of a few kilobytes.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None`, with a word, where none can be mounted.
    fn mount(folder: &'a Path) -> Option<Self> {
        std::fs::create_dir(folder).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
        let mounted = mount.arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: no small file system can be mounted here (it needs root)");
        None
    }

    /// Leaves room for so many bytes.
    fn leave(&self, bytes: u64) {
        let filler = self.0.join("filler");
        drop(std::fs::remove_file(&filler));
        let room = rustix::fs::statvfs(self.0).unwrap();
        let free = room.f_bavail * room.f_frsize;
        let filling = vec![0; usize::try_from(free.saturating_sub(bytes)).unwrap()];
        std::fs::File::create(filler)
            .and_then(|mut file| std::io::Write::write_all(&mut file, &filling))
            .unwrap();
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _gone = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_at_any_point_of_a_promotion_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let baselines = folder.join("baselines");
    let Some(disk) = SmallDisk::mount(&baselines) else {
        return;
    };
    // With requests, so that the baseline is much larger than a line of the ledger.
    let of_day = |day: u32| {
        let mut run = result(day, 1.0 + 1e-5 * f64::from(day));
        for repeat in run["scenarios"][0]["repeats"].as_array_mut().unwrap() {
            let tpot = repeat["metrics"]["tpot.p95"].as_f64().unwrap();
            repeat["requests"] = json!({"completed": 500});
            repeat["metrics"] = json!({"throughput": repeat["metrics"]["throughput"], "gpu_memory.peak": 7e10,
                "ttft.p95": repeat["metrics"]["ttft.p95"], "tpot.p95": tpot});
            repeat["samples"] = json!({"ttft": vec![repeat["metrics"]["ttft.p95"].clone(); 500],
                "tpot": vec![tpot; 500]});
        }
        run
    };
    update(folder, &of_day(1), &[]).expect(0);
    let (mut unchanged, mut unfinished, mut accepted) = (0, 0, 1);
    let mut day = 2;
    for pages in 0..=24 {
        disk.leave(pages * 4096);
        let before = (lines(folder), read_json(&folder.join(BASELINE)));
        let ran = update(folder, &of_day(day), &[]);
        // Whatever happened, all that was accepted is there, and every file is whole.
        let after = lines(folder);
        assert_eq!(after[..before.0.len()], before.0);
        if ran.code == Some(0) {
            accepted += 1;
        } else {
            let stderr = ran.expect(6).stderr;
            assert!(stderr.contains("No space left on device"), "{stderr}");
            if after.len() == before.0.len() {
                unchanged += 1;
                assert!(
                    stderr.contains("nothing was changed; free disk space"),
                    "{stderr}"
                );
                disk.leave(200 << 10);
                run(folder, &["baseline", "verify"]).expect(0);
                continue;
            }
            unfinished += 1;
            assert_eq!(read_json(&folder.join(BASELINE)), before.1);
            assert!(
                stderr.contains("the promotion is not finished")
                    && stderr.contains("run the same command again"),
                "{stderr}"
            );
            let found = run(folder, &["baseline", "verify"]).expect(2);
            assert!(found.stdout.contains("it differs from the last session"));
            disk.leave(200 << 10);
            update(folder, &of_day(day), &[]).expect(0);
            accepted += 1;
        }
        assert_eq!(lines(folder).len(), accepted);
        run(folder, &["baseline", "verify"]).expect(0);
        let leftovers = baselines.join("llama").read_dir().unwrap().count();
        assert_eq!(leftovers, 2, "only the baseline and its ledger stay");
        day += 1;
    }
    assert!(
        unchanged > 0 && unfinished > 0 && accepted > 1,
        "{unchanged} before the ledger, {unfinished} before the baseline, {accepted} accepted"
    );
}
