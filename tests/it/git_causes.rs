//! What is wrong with git or the clone is called by its name.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::baseline::result;
use crate::baseline_ref::{PLAN, commit, git};
use crate::support::{Ran, SMALL_RUN, command, json as read_json, run, write};

const RULES: &str = "version: 1\nrules: {tpot.p95: {regression: 10%, action: block}}\n";

fn begun(folder: &Path, branch: &str) -> String {
    git(folder, &["init", "--quiet", "--initial-branch", branch]);
    write(folder, ".gitignore", "out\nevent.json\n");
    write(folder, "thresholds.yaml", RULES);
    commit(folder, "begin")
}

/// `baseline update` of a run of that branch and commit.
fn update(folder: &Path, branch: &Value, commit: &str, variables: &[(&str, &str)]) -> Ran {
    let mut run = result(1, 1.0);
    run["source"] = json!({"branch": branch, "commit": commit, "dirty": false});
    write(folder, "out/run.json", &run.to_string());
    let mut command = command(folder, &["baseline", "update", "out/run.json", "--dry-run"]);
    Ran::of(&command.envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn a_run_of_the_main_branch_is_accepted_whatever_its_name() {
    let unknown = "1234567890123456789012345678901234567890";
    let folder = tempfile::tempdir().unwrap();
    let trunk = folder.path();
    let begin = begun(trunk, "trunk");
    update(trunk, &json!("trunk"), unknown, &[]).expect(0);
    update(trunk, &json!("feature"), unknown, &[]).expect(1);
    // Of a detached HEAD the commit says it.
    update(trunk, &json!(null), &begin, &[]).expect(0);
    update(trunk, &json!(null), unknown, &[]).expect(1);
    // With a second branch nothing but the event does.
    git(trunk, &["branch", "topic"]);
    write(
        trunk,
        "event.json",
        r#"{"repository": {"default_branch": "trunk"}}"#,
    );
    let event = trunk.join("event.json").display().to_string();
    let actions = [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", &*event)];
    update(trunk, &json!("trunk"), unknown, &actions).expect(0);
    update(trunk, &json!("topic"), unknown, &actions).expect(1);
    update(
        trunk,
        &json!("trunk"),
        unknown,
        &[("CI_DEFAULT_BRANCH", "trunk")],
    )
    .expect(0);

    // What the remote called it when it was cloned.
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path();
    begun(renamed, "main");
    git(
        renamed,
        &["update-ref", "refs/remotes/origin/master", "HEAD"],
    );
    git(
        renamed,
        &[
            "symbolic-ref",
            "refs/remotes/origin/HEAD",
            "refs/remotes/origin/master",
        ],
    );
    update(renamed, &json!("main"), unknown, &[]).expect(0);
    update(renamed, &json!("feature"), unknown, &[]).expect(1);
}

fn bench(folder: &Path, variables: &[(&str, &str)]) -> Value {
    let mut arguments = vec![
        "bench",
        "--repeat",
        "1",
        "--simulator",
        "seed=1",
        "--output",
        "out/r.json",
    ];
    arguments.extend(SMALL_RUN);
    let mut command = command(folder, &arguments);
    let ran = Ran::of(&command.envs(variables.iter().copied()).output().unwrap());
    let mut result = read_json(&folder.join("out/r.json"));
    result["stderr"] = json!(ran.stderr);
    result
}

#[test]
fn a_result_records_its_branch_and_own_outputs_do_not_make_the_tree_dirty() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    begun(folder, "main");
    git(folder, &["tag", "main"]);
    // Outputs of an earlier run are in the commit, and were written anew since.
    write(folder, "perf/result.json", &result(1, 1.0).to_string());
    write(
        folder,
        "perf/comparison.json",
        r#"{"schema": "perfgate.comparison/1"}"#,
    );
    write(folder, "perf/report.html", "old");
    let head = commit(folder, "outputs");
    write(folder, "perf/result.json", &result(2, 1.0).to_string());
    write(folder, "perf/report.html", "new");
    let source = bench(folder, &[])["source"].clone();
    assert_eq!(
        source,
        json!({"commit": head, "branch": "main", "dirty": false})
    );

    git(folder, &["checkout", "--quiet", "--detach"]);
    write(folder, "thresholds.yaml", "version: 1\n");
    let gitlab = [("CI_COMMIT_BRANCH", "main"), ("CI_COMMIT_SHA", &*head)];
    let source = bench(folder, &gitlab)["source"].clone();
    assert_eq!(
        source,
        json!({"commit": head, "branch": "main", "dirty": true})
    );
    // A variable that is about another commit says nothing of this one.
    let other = [("CI_COMMIT_BRANCH", "main"), ("CI_COMMIT_SHA", "77b02d4f")];
    assert_eq!(bench(folder, &other)["source"]["branch"], Value::Null);
}

#[test]
fn a_work_tree_of_another_user_and_a_missing_git_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "perfgate.yaml", PLAN);
    let base = begun(folder, "main");
    let event = json!({"pull_request": {"base": {"sha": base}}});
    write(folder, "event.json", &event.to_string());
    let event = folder.join("event.json").display().to_string();
    let refused = |variable: (&str, &str)| {
        let mut command = command(folder, &["gate", "--output", "out"]);
        command.envs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_PATH", &*event),
            variable,
        ]);
        Ran::of(&command.output().unwrap()).expect(6).stderr
    };
    // Git's own tests make it believe so by this variable.
    let other_owner = ("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    let message = refused(other_owner);
    assert!(
        message.contains("belongs to another user") && message.contains("safe.directory"),
        "{message}"
    );
    let message = bench(folder, &[other_owner])["stderr"].to_string();
    assert!(
        message.contains("has no commit") && message.contains("safe.directory"),
        "{message}"
    );
    let nowhere = folder.display().to_string();
    let message = refused(("PATH", &*nowhere));
    assert!(message.contains("git is not installed"), "{message}");
}

#[test]
fn a_git_lfs_pointer_is_named_and_the_fetched_file_is_accepted() {
    use sha2::Digest as _;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    begun(folder, "main");
    let accepted = result(1, 1.0).to_string();
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{:x}\nsize {}\n",
        sha2::Sha256::digest(accepted.as_bytes()),
        accepted.len()
    );
    write(folder, "baseline.json", &pointer);
    commit(folder, "a baseline in LFS");
    write(folder, "out/candidate.json", &result(2, 1.0).to_string());
    let arguments = [
        "compare",
        "--baseline",
        "baseline.json",
        "--candidate",
        "out/candidate.json",
    ];
    let at_main = [&arguments[..], &["--baseline-ref", "main"]].concat();
    let stderr = run(folder, &arguments).expect(2).stderr;
    assert!(
        stderr.contains("Git LFS pointer") && stderr.contains("git lfs pull"),
        "{stderr}"
    );
    let stderr = run(folder, &at_main).expect(6).stderr;
    assert!(
        stderr.contains("Git LFS pointer") && stderr.contains("git lfs fetch"),
        "{stderr}"
    );
    // As a clone has it in which the file was fetched.
    write(folder, "baseline.json", &accepted);
    run(folder, &at_main).expect(0);
    write(folder, "baseline.json", &result(3, 2.0).to_string());
    run(folder, &at_main).expect(6);

    write(folder, "data.jsonl", &pointer);
    let data = [
        "bench",
        "--model",
        "m",
        "--simulator",
        "seed=1",
        "--dataset",
        "data.jsonl",
    ];
    let stderr = run(folder, &data).expect(2).stderr;
    assert!(stderr.contains("Git LFS pointer"), "{stderr}");
}

#[test]
fn a_baseline_in_a_submodule_is_that_of_the_commit_which_the_base_pins() {
    let folder = tempfile::tempdir().unwrap();
    let accepted = folder.path().join("accepted");
    let top = folder.path().join("top");
    for folder in [&accepted, &top] {
        std::fs::create_dir(folder).unwrap();
        begun(folder, "main");
    }
    write(&accepted, "llama.json", &result(1, 1.0).to_string());
    commit(&accepted, "accepted");
    let url = accepted.display().to_string();
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        &url,
        "perf",
    ];
    git(&top, &add);
    commit(&top, "baselines in a submodule");
    git(&top, &["checkout", "--quiet", "-b", "sly"]);
    // The change pins a commit with a baseline that is as slow as it is.
    let inside = top.join("perf");
    write(&inside, "llama.json", &result(1, 2.0).to_string());
    commit(&inside, "moved out of the way");
    commit(&top, "another baseline");
    write(&top, "out/candidate.json", &result(2, 2.0).to_string());
    let arguments = [
        "compare",
        "--baseline",
        "perf/llama.json",
        "--candidate",
        "out/candidate.json",
        "--baseline-ref",
        "main",
        "--format",
        "json",
    ];
    let blocked = run(&top, &arguments).expect(1).stdout;
    assert!(
        blocked.contains("the change edits files that it is judged by (perf/llama.json)"),
        "{blocked}"
    );
    std::fs::remove_dir_all(&inside).unwrap();
    std::fs::create_dir(&inside).unwrap();
    let stderr = run(&top, &arguments).expect(6).stderr;
    assert!(
        stderr.contains("git submodule update --init perf"),
        "{stderr}"
    );
}

#[test]
fn a_search_in_a_clone_without_the_commits_between_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full");
    std::fs::create_dir(&full).unwrap();
    begun(&full, "main");
    git(&full, &["tag", "good"]);
    for step in ["one", "two", "three"] {
        write(&full, "step", step);
        commit(&full, step);
    }
    let url = format!("file://{}", full.display());
    git(
        folder.path(),
        &["clone", "--quiet", "--depth", "2", &url, "clone"],
    );
    let clone = folder.path().join("clone");
    let start = |good: &str, code: i32| {
        let ran = run(
            &clone,
            &[
                "bisect",
                "start",
                good,
                "HEAD",
                "--model",
                "m",
                "--simulator",
                "seed=1",
            ],
        );
        let stderr = ran.expect(code).stderr;
        assert!(stderr.contains("git fetch --unshallow"), "{stderr}");
    };
    start("good", 2);
    git(
        &clone,
        &["fetch", "--quiet", "--depth", "1", "origin", "tag", "good"],
    );
    start("good", 6);
    let depth = Command::new("git")
        .args(["rev-list", "--count", "HEAD"])
        .current_dir(&clone)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&depth.stdout).trim(), "2");
}
