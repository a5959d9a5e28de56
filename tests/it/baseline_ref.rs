//! The bar that a change is judged by: read from where the change branched off, and never set by the change itself.

use std::path::Path;
use std::process::Command;

use crate::support::{Ran, json, run_scripted, scripted, write};

pub(crate) const PLAN: &str = "\
name: demo
model: demo
server: {simulator: {seed: 7, noise: 0.2%}}
num_requests: 120
concurrency: 16
input_tokens: 64
output_tokens: 16
repeat: 3
";

const BASELINE: &str = "baselines/demo/simulated-gpu-80gb.json";

pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", message]);
    git(folder, &["rev-parse", "HEAD"])
}

/// A repository whose main branch has a plan, thresholds and an accepted run; its first commit.
pub(crate) fn repository(folder: &Path) -> String {
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    write(folder, "perfgate.yaml", PLAN);
    write(folder, ".gitignore", "out\nevent.json\n");
    write(
        folder,
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p95: {regression: 10%, action: block}}\n",
    );
    commit(folder, "begin");
    run_scripted(folder, &["bench", "--output", "out/result.json"]).expect(0);
    run_scripted(folder, &["baseline", "update", "out/result.json"]).expect(0);
    commit(folder, "accept a run")
}

/// The gate as a step of GitHub Actions that judges a pull request against `base`.
fn gate(folder: &Path, base: &str, more: &[&str]) -> Ran {
    let event = serde_json::json!({"pull_request": {"base": {"sha": base}}});
    write(folder, "event.json", &event.to_string());
    let mut arguments = vec!["gate", "--output", "out", "--simulator", "slowdown=1.5"];
    arguments.extend(more);
    let output = scripted(folder, &arguments)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_PATH", folder.join("event.json"))
        .output()
        .unwrap();
    Ran::of(&output)
}

#[test]
fn a_pull_request_that_edits_thresholds_and_baseline_is_judged_by_those_of_the_base_branch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = repository(folder);
    git(folder, &["checkout", "--quiet", "-b", "feature"]);
    // The change makes it slower, loosens the limit, and brings a baseline that is as slow.
    write(
        folder,
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p95: {regression: 90%, action: warn}}\n",
    );
    let slow = [
        "bench",
        "--simulator",
        "slowdown=1.5",
        "--output",
        "out/slow.json",
    ];
    run_scripted(folder, &slow).expect(0);
    let moved = [
        "baseline",
        "update",
        "out/slow.json",
        "--because",
        "to move the bar out of the way",
    ];
    run_scripted(folder, &moved).expect(0);
    commit(folder, "slower");

    let blocked = gate(folder, &base, &[]).expect(1);
    assert!(blocked.stdout.contains("BLOCK"), "{}", blocked.stdout);
    let comparison = json(&folder.join("out/comparison.json"));
    assert_eq!(comparison["judgements"][0]["rule"]["regression"], 0.1);
    let warnings = comparison["warnings"].to_string();
    for edited in ["thresholds.yaml", BASELINE, "ledger.jsonl"] {
        assert!(warnings.contains(edited), "{warnings}");
    }
    assert!(
        comparison["decision"]["baseline_ref"]
            .as_str()
            .unwrap()
            .starts_with("the base branch (")
    );
    // Judged by its own files it would have passed: that is what the base branch's are for.
    gate(folder, &base, &["--baseline-ref", ""]).expect(0);
    // Any other commit can be named.
    gate(folder, &base, &["--baseline-ref", "main"]).expect(1);
}

/// What the report says of a change that is blocked by the bar of `main`.
fn blocked(folder: &Path) -> String {
    gate(folder, "main", &["--baseline-ref", "main"]).expect(1);
    json(&folder.join("out/comparison.json"))["warnings"].to_string()
}

#[test]
fn a_symbolic_link_in_the_change_does_not_replace_the_files_of_the_base_branch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repository(folder);
    let lax = "version: 1\nfirst_run: pass\nrules: {tpot.p95: {regression: 90%, action: warn}}\n";
    write(folder, "examples/lax.yaml", lax);
    commit(folder, "an example");
    git(folder, &["checkout", "--quiet", "-b", "feature"]);
    let link = |target: &Path, name: &str| {
        let name = folder.join(name);
        drop(std::fs::remove_file(&name));
        std::os::unix::fs::symlink(target, name).unwrap();
    };
    // To a file that the base branch has too, and to one outside of the repository.
    link(Path::new("examples/lax.yaml"), "thresholds.yaml");
    let warnings = blocked(folder);
    assert!(
        warnings.contains("the change edits files that it is judged by (thresholds.yaml)"),
        "{warnings}"
    );
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "lax.yaml", lax);
    link(&outside.path().join("lax.yaml"), "thresholds.yaml");
    assert!(blocked(folder).contains("(thresholds.yaml)"));
    // To a folder where the base branch has no baseline; the bytes are the same.
    git(folder, &["checkout", "--quiet", "thresholds.yaml"]);
    git(folder, &["mv", "baselines", "b"]);
    link(Path::new("b"), "baselines");
    let warnings = blocked(folder);
    assert!(
        warnings.contains(BASELINE) && !warnings.contains("thresholds.yaml"),
        "{warnings}"
    );
}

#[test]
fn links_of_the_base_branch_are_followed_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repository(folder);
    git(folder, &["mv", "thresholds.yaml", "strict.yaml"]);
    git(folder, &["mv", "baselines", "accepted"]);
    std::os::unix::fs::symlink("strict.yaml", folder.join("thresholds.yaml")).unwrap();
    std::os::unix::fs::symlink("accepted", folder.join("baselines")).unwrap();
    std::os::unix::fs::symlink("/nowhere.yaml", folder.join("outside.yaml")).unwrap();
    commit(folder, "links");
    git(folder, &["checkout", "--quiet", "-b", "feature"]);
    assert!(!blocked(folder).contains("the change edits"));
    write(
        folder,
        "strict.yaml",
        "version: 1\nrules: {tpot.p95: {regression: 90%, action: warn}}\n",
    );
    assert!(
        blocked(folder).contains("the change edits files that it is judged by (thresholds.yaml)")
    );
    let outside = ["--baseline-ref", "main", "--thresholds", "outside.yaml"];
    let refused = gate(folder, "main", &outside).expect(6);
    assert!(
        refused
            .stderr
            .contains("a link in that commit leads out of the repository, to `/nowhere.yaml`"),
        "{}",
        refused.stderr
    );
}

#[test]
fn an_unreadable_file_is_an_error_and_is_not_treated_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "perfgate.yaml", PLAN);
    let thresholds =
        "version: 1\nfirst_run: pass\nrules: {tpot.p95: {regression: 10%, action: block}}\n";
    // A link to itself can be read by nobody, not even by root.
    for unreadable in [
        BASELINE,
        "baselines/demo",
        "thresholds.yaml",
        "perfgate.yaml",
    ] {
        write(folder, "thresholds.yaml", thresholds);
        let path = folder.join(unreadable);
        drop(std::fs::remove_file(&path));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(path.file_name().unwrap(), &path).unwrap();
        let refused = run_scripted(folder, &["gate", "--repeat", "1", "--output", "out"]).expect(2);
        assert!(
            refused
                .stderr
                .contains(&format!("cannot read `{unreadable}"))
                && refused.stderr.contains("fix the file or its permissions"),
            "{}",
            refused.stderr
        );
        std::fs::remove_file(&path).unwrap();
    }
    for command in ["list", "verify"] {
        std::fs::remove_dir_all(folder.join("baselines")).unwrap();
        std::os::unix::fs::symlink("baselines", folder.join("baselines")).unwrap();
        run_scripted(folder, &["baseline", command]).expect(2);
        std::fs::remove_file(folder.join("baselines")).unwrap();
        std::fs::create_dir(folder.join("baselines")).unwrap();
    }
}

#[test]
fn a_baseline_that_only_the_change_has_judges_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    repository(folder);
    let first = git(folder, &["rev-list", "--max-parents=0", "HEAD"]);
    let refused = gate(folder, &first, &["--repeat", "1"]).expect(4);
    assert!(
        refused.stderr.contains("only the change has this file"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_commit_that_a_shallow_clone_does_not_have_is_an_error_with_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    git(folder, &["init", "--quiet"]);
    write(folder, "perfgate.yaml", PLAN);
    let unknown = "1234567890123456789012345678901234567890";
    let refused = gate(folder, unknown, &[]).expect(6);
    assert!(
        refused.stderr.contains("fetch-depth: 0") && !folder.join("out").exists(),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_first_run_passes_with_a_warning_if_the_policy_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(
        folder,
        "perfgate.yaml",
        &PLAN.replace("repeat: 3", "repeat: 1"),
    );
    let policy = |more: &str| {
        let text = format!(
            "version: 1\nfirst_run: pass\nrules:\n  tpot.p95: {{regression: 10%, action: block{more}}}\n"
        );
        write(folder, "thresholds.yaml", &text);
    };
    policy("");
    let passed = run_scripted(folder, &["gate", "--output", "out"]).expect(0);
    let words: Vec<&str> = passed.stdout.split_whitespace().collect();
    let stdout = words.join(" ");
    assert!(
        stdout.contains("WARN") && stdout.contains("nothing was compared"),
        "{stdout}"
    );
    assert!(folder.join("out/report.html").is_file());
    // A budget needs no baseline.
    policy(", max: 1us");
    run_scripted(folder, &["gate", "--output", "out"]).expect(1);
    let line = std::fs::read_to_string(folder.join("thresholds.yaml")).unwrap();
    write(
        folder,
        "thresholds.yaml",
        &line.replace("first_run: pass\n", ""),
    );
    run_scripted(folder, &["gate", "--output", "out"]).expect(4);
}
