//! In a pull or merge request the limits come from the base commit and only the server from the change, whatever names it a change.

use std::path::Path;

use serde_json::{Value, json};

use crate::baseline_ref::{PLAN, commit, git, repository};
use crate::support::{Ran, json as read_json, run_scripted, scripted, write};

const LAX: &str = "version: 1\nrules: {tpot.p95: {regression: 90%, action: warn}}\n";

fn perfgate(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = scripted(folder, arguments);
    command.envs(variables.iter().copied());
    Ran::of(&command.output().unwrap())
}

/// A step of GitHub Actions with that event.
fn at_event(folder: &Path, arguments: &[&str], event: &Value) -> Ran {
    write(folder, "event.json", &event.to_string());
    let path = folder.join("event.json").display().to_string();
    let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", &path)];
    perfgate(folder, arguments, &variables)
}

fn gate(folder: &Path, event: &Value) -> Ran {
    at_event(folder, &["gate", "--output", "out"], event)
}

fn pull_request(folder: &Path, base: &Value) -> Value {
    json!({"pull_request": {"base": base, "head": {"sha": git(folder, &["rev-parse", "HEAD"])}}})
}

fn warnings(folder: &Path) -> String {
    read_json(&folder.join("out/comparison.json"))["warnings"].to_string()
}

/// A branch that is 50 % slower and loosens the limit.
fn sly(folder: &Path) -> String {
    git(folder, &["checkout", "--quiet", "-b", "sly"]);
    write(folder, "thresholds.yaml", LAX);
    write(
        folder,
        "perfgate.yaml",
        &PLAN.replace("noise: 0.2%", "noise: 0.2%, slowdown: 1.5"),
    );
    commit(folder, "slower, and a looser bar")
}

#[test]
fn no_event_and_no_ci_service_lets_a_change_set_its_own_limits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = repository(folder);
    let head = sly(folder);
    let repository = json!({"default_branch": "main"});
    for event in [
        json!({"issue": {"number": 7, "pull_request": {"url": "x"}}, "repository": repository}),
        json!({"ref": "refs/heads/sly", "after": head, "repository": repository}),
        json!({"ref": "refs/heads/sly", "inputs": {}, "repository": repository}),
        json!({"merge_group": {"base_sha": base, "base_ref": "refs/heads/main", "head_sha": head}}),
        // A base of the event that is no commit counts for nothing where the branch is named.
        pull_request(folder, &json!({"sha": "", "ref": "main"})),
    ] {
        gate(folder, &event).expect(1);
        assert!(warnings(folder).contains("thresholds.yaml"), "{event}");
    }
    for variables in [
        [
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base),
        ],
        [
            ("BUILDKITE_PULL_REQUEST", "7"),
            ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
            ("BUILDKITE_COMMIT", &head),
        ],
        [
            ("CI", "true"),
            ("CHANGE_ID", "7"),
            ("CHANGE_TARGET", "main"),
        ],
        // A branch that no request proposes yet.
        [
            ("CI_COMMIT_BRANCH", "sly"),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_COMMIT_SHA", &head),
        ],
        // An event that does not describe what its name promises, and a branch that was checked out by hand.
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_BASE_REF", "main"),
        ],
        [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "workflow_dispatch"),
            ("GITHUB_SHA", &base),
        ],
    ] {
        perfgate(folder, &["gate", "--output", "out"], &variables).expect(1);
    }
    // Nothing else of GitHub's must be set: an event, or the name of the target, is enough.
    write(
        folder,
        "event.json",
        &pull_request(folder, &json!({"sha": base})).to_string(),
    );
    let path = folder.join("event.json").display().to_string();
    for variables in [
        [("GITHUB_EVENT_PATH", &*path)],
        [("GITHUB_BASE_REF", "main")],
    ] {
        perfgate(folder, &["gate", "--output", "out"], &variables).expect(1);
        assert!(warnings(folder).contains("thresholds.yaml"));
    }
}

#[test]
fn a_known_change_is_judged_by_its_own_files_only_with_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = repository(folder);
    sly(folder);
    // Where nothing says that it is a change, its own files hold.
    let pushed = json!({"ref": "refs/heads/sly", "repository": {"default_branch": "sly"}});
    gate(folder, &pushed).expect(0);
    let own = ["gate", "--output", "out", "--baseline-ref", ""];
    at_event(folder, &own, &pull_request(folder, &json!({"sha": base}))).expect(0);
    assert!(warnings(folder).contains("judged-by-own-files"));
    // Nor does another name of the change's own commit hide that.
    let own = ["gate", "--output", "out", "--baseline-ref", "HEAD"];
    at_event(folder, &own, &pull_request(folder, &json!({"sha": base}))).expect(0);
    assert!(warnings(folder).contains("judged-by-own-files"));
    let refused = perfgate(
        folder,
        &["gate", "--output", "out"],
        &[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
        ],
    );
    assert!(refused.expect(6).stderr.contains("is unknown"));
    let named = ["gate", "--output", "out", "--pull-request", "7"];
    perfgate(folder, &named, &[("GITHUB_ACTIONS", "true")]).expect(1);
}

#[test]
fn a_comparison_in_a_pull_request_reads_baseline_and_thresholds_at_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = repository(folder);
    sly(folder);
    run_scripted(folder, &["bench", "--output", "out/slow.json"]).expect(0);
    let event = pull_request(folder, &json!({"sha": base}));
    let found = [
        "compare",
        "--baselines",
        "baselines",
        "--candidate",
        "out/slow.json",
    ];
    let blocked = at_event(folder, &found, &event).expect(1).stdout;
    let words: Vec<&str> = blocked.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains("edits files that it is judged by (thresholds.yaml)"),
        "{blocked}"
    );
    // A baseline that the change moves is that of before, and one that the job made is as it is.
    let stored = "baselines/demo/simulated-gpu-80gb.json";
    let fast = std::fs::read_to_string(folder.join(stored)).unwrap();
    let slow = std::fs::read_to_string(folder.join("out/slow.json")).unwrap();
    write(folder, stored, &slow);
    commit(folder, "a slower baseline");
    let event = pull_request(folder, &json!({"sha": base}));
    let named = |path: &str| {
        let arguments = [
            "compare",
            "--baseline",
            path,
            "--candidate",
            "out/slow.json",
        ];
        at_event(folder, &arguments, &event)
    };
    named(stored).expect(1);
    write(folder, "made-by-the-job.json", &fast);
    named("made-by-the-job.json").expect(1);
    write(folder, "brought.json", &slow);
    commit(folder, "a baseline of its own");
    let refused = named("brought.json").expect(2).stderr;
    assert!(
        refused.contains("only the change has this file"),
        "{refused}"
    );
}

#[test]
fn edits_of_the_question_take_effect_when_they_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let base = repository(folder);
    git(folder, &["checkout", "--quiet", "-b", "sly"]);
    let easier = PLAN
        .replace("num_requests: 120", "num_requests: 30")
        .replace("concurrency: 16", "concurrency: 1")
        .replace("server: {", "server: {fresh: run, ");
    write(folder, "perfgate.yaml", &easier);
    commit(folder, "an easier question");
    let event = pull_request(folder, &json!({"sha": base}));
    gate(folder, &event).expect(0);
    let shown = warnings(folder);
    assert!(
        shown.contains("question-edited")
            && shown.contains("perfgate.yaml: server.fresh, num_requests, the load"),
        "{shown}"
    );
    let result = read_json(&folder.join("out/result.json"));
    assert_eq!(result["workload"]["num_requests"], 120);
    assert_eq!(result["scenarios"][0]["name"], "concurrency=16");
}

#[test]
fn a_data_file_that_the_change_edits_is_read_at_the_base_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    write(folder, ".gitignore", "out\nevent.json\n");
    let prompts = |text: &str| {
        let line = json!({"prompt": text}).to_string() + "\n";
        write(folder, "prompts.jsonl", &line.repeat(130));
    };
    prompts("a prompt of several words");
    let plan = PLAN.replace(
        "input_tokens: 64",
        "dataset: prompts.jsonl\nwarmup_requests: 0",
    );
    write(folder, "perfgate.yaml", &plan);
    let rules = "version: 1\nrules: {tpot.p95: {regression: 10%, action: block}}\n";
    write(folder, "thresholds.yaml", rules);
    commit(folder, "begin");
    run_scripted(folder, &["bench", "--output", "out/result.json"]).expect(0);
    run_scripted(folder, &["baseline", "update", "out/result.json"]).expect(0);
    let base = commit(folder, "accept a run");
    let digest = |name: &str| read_json(&folder.join(name))["workload"]["digest"].clone();
    let accepted = digest("out/result.json");
    git(folder, &["checkout", "--quiet", "-b", "sly"]);
    prompts("short");
    commit(folder, "an easier question");
    gate(folder, &pull_request(folder, &json!({"sha": base}))).expect(0);
    assert_eq!(digest("out/result.json"), accepted);
    let shown = warnings(folder);
    assert!(
        shown.contains("edits what is measured (prompts.jsonl)"),
        "{shown}"
    );
}

#[test]
fn each_version_is_started_with_the_settings_of_its_own_commit() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let simulator = "{simulator: {seed: 7, noise: 0.2%}";
    let with_base = PLAN.replace(
        "server: {simulator: {seed: 7, noise: 0.2%}}",
        &format!("server: {simulator}, base: {simulator}}}}}"),
    );
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    write(folder, ".gitignore", "out\nevent.json\n");
    write(folder, "perfgate.yaml", &with_base);
    let rules = "version: 1\nrules: {tpot.p95: {regression: 10%, action: block}}\n";
    write(folder, "thresholds.yaml", rules);
    let base = commit(folder, "begin");
    git(folder, &["checkout", "--quiet", "-b", "sly"]);
    // Both servers of the change are slower; its own is, and that of the base is not.
    let slow = with_base.replace("noise: 0.2%", "noise: 0.2%, slowdown: 1.5");
    write(folder, "perfgate.yaml", &slow);
    commit(folder, "slower, and so is its base");
    gate(folder, &pull_request(folder, &json!({"sha": base}))).expect(1);
    assert!(warnings(folder).contains("server.base"));
}

#[test]
fn a_change_may_add_the_first_configuration_and_a_moved_one_is_read_at_the_base() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    write(folder, ".gitignore", "out\nevent.json\n");
    write(folder, "README", "nothing yet");
    write(folder, "ci.yaml", "model: {nothing: of ours}\n");
    let empty = commit(folder, "begin");
    git(folder, &["checkout", "--quiet", "-b", "first"]);
    let short = PLAN.replace("repeat: 3", "repeat: 1");
    write(folder, "perfgate.yaml", &short);
    let first = commit(folder, "a gate");
    // No baseline yet, which is said once the change's own question is asked.
    let refused = gate(folder, &pull_request(folder, &json!({"sha": empty}))).expect(4);
    assert!(
        refused.stderr.contains("no baseline of"),
        "{}",
        refused.stderr
    );

    let at = |file: &str| {
        let arguments = ["gate", "--output", "out", "--config", file];
        at_event(
            folder,
            &arguments,
            &pull_request(folder, &json!({"sha": first})),
        )
    };
    git(folder, &["checkout", "--quiet", "-b", "second"]);
    write(
        folder,
        "perf/easy.yaml",
        &short.replace("name: demo", "name: easy"),
    );
    commit(folder, "a question of its own");
    let refused = at("perf/easy.yaml").expect(6).stderr;
    assert!(
        refused.contains("a change cannot set the configuration"),
        "{refused}"
    );
    // The same gate in another place is asked as before.
    git(
        folder,
        &["mv", "--force", "perfgate.yaml", "perf/easy.yaml"],
    );
    write(
        folder,
        "perf/easy.yaml",
        &short.replace("num_requests: 120", "num_requests: 10"),
    );
    commit(folder, "moved");
    at("perf/easy.yaml").expect(4);
    let result = read_json(&folder.join("out/result.json"));
    assert_eq!(result["workload"]["num_requests"], 120);
}

#[test]
fn a_checked_out_merge_is_judged_by_the_commit_it_was_merged_into() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let old = repository(folder);
    git(folder, &["checkout", "--quiet", "-b", "docs"]);
    write(folder, "README", "read me");
    let head = commit(folder, "docs only");
    git(folder, &["checkout", "--quiet", "main"]);
    let thresholds = "version: 1\nrules: {tpot.p95: {regression: 20%, action: block}}\n";
    write(folder, "thresholds.yaml", thresholds);
    let new = commit(folder, "another limit");
    git(folder, &["checkout", "--quiet", "--detach", "main"]);
    git(
        folder,
        &["merge", "--quiet", "--no-ff", "--message", "merge", "docs"],
    );
    let event =
        json!({"pull_request": {"base": {"sha": old, "ref": "main"}, "head": {"sha": head}}});
    let at = |folder: &Path| {
        gate(folder, &event).expect(0);
        let comparison = read_json(&folder.join("out/comparison.json"));
        comparison["decision"]["baseline_ref"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(at(folder), format!("the base branch ({})", &new[..10]));
    assert!(!warnings(folder).contains("edits"));
    // Where the head itself is checked out, the event's base may be older than where it branched off.
    git(folder, &["checkout", "--quiet", "--detach", "docs"]);
    git(folder, &["rebase", "--quiet", "main"]);
    let rebased = git(folder, &["rev-parse", "HEAD"]);
    let event =
        json!({"pull_request": {"base": {"sha": old, "ref": "main"}, "head": {"sha": rebased}}});
    gate(folder, &event).expect(0);
    let comparison = read_json(&folder.join("out/comparison.json"));
    assert!(
        comparison["decision"]["baseline_ref"]
            .as_str()
            .unwrap()
            .contains(&new[..10])
    );
}

#[test]
fn an_unknown_base_is_an_error_that_names_what_to_fetch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let full = folder.join("full");
    std::fs::create_dir(&full).unwrap();
    git(&full, &["init", "--quiet", "--initial-branch", "main"]);
    write(&full, "perfgate.yaml", PLAN);
    let begin = commit(&full, "begin");
    git(&full, &["checkout", "--quiet", "-b", "change"]);
    write(&full, "README", "docs");
    commit(&full, "docs only");
    git(&full, &["checkout", "--quiet", "main"]);
    write(&full, "thresholds.yaml", LAX);
    let tip = commit(&full, "main went on");
    let url = format!("file://{}", full.display());
    let clone = folder.join("clone");
    let shown = clone.display().to_string();
    git(
        folder,
        &[
            "clone", "--quiet", "--depth", "1", "--branch", "change", &url, &shown,
        ],
    );
    let refused = |base: Value, message: &str| {
        let event = pull_request(&clone, &base);
        let refused = gate(&clone, &event).expect(6).stderr;
        assert!(refused.contains(message), "{base}: {refused}");
        assert!(!clone.join("out").exists());
    };
    refused(json!(null), "the target branch is unknown");
    refused(
        json!({"sha": "0".repeat(40)}),
        "the target branch is unknown",
    );
    refused(json!({"sha": begin}), "fetch-depth: 0");
    refused(
        json!({"sha": begin, "ref": "main"}),
        "git fetch origin main",
    );
    git(
        &clone,
        &[
            "fetch",
            "--quiet",
            "--depth",
            "1",
            "origin",
            "main:refs/remotes/origin/main",
        ],
    );
    refused(
        json!({"sha": tip, "ref": "main"}),
        "the merge base of the change",
    );
    // A branch of that name that is the change itself is not where it is to be merged.
    git(&clone, &["update-ref", "-d", "refs/remotes/origin/main"]);
    git(&clone, &["branch", "main"]);
    refused(
        json!({"sha": tip, "ref": "main"}),
        "already contains the change",
    );
}

#[test]
fn converted_line_ends_and_sparse_checkouts_do_not_count_as_edits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    git(folder, &["init", "--quiet", "--initial-branch", "main"]);
    write(folder, ".gitattributes", "*.yaml text eol=crlf\n");
    write(folder, ".gitignore", "out\nevent.json\n");
    write(
        folder,
        "perfgate.yaml",
        &PLAN.replace("repeat: 3", "repeat: 1"),
    );
    write(
        folder,
        "thresholds.yaml",
        "version: 1\nfirst_run: pass\nrules: {tpot.p95: {regression: 10%, action: block}}\n",
    );
    let base = commit(folder, "begin");
    git(folder, &["checkout", "--quiet", "-b", "docs"]);
    write(folder, "README", "read me");
    commit(folder, "docs only");
    std::fs::remove_file(folder.join("thresholds.yaml")).unwrap();
    git(folder, &["checkout", "--quiet", "."]);
    let bytes = std::fs::read_to_string(folder.join("thresholds.yaml")).unwrap();
    assert!(bytes.contains("\r\n"));
    let event = pull_request(folder, &json!({"sha": base}));
    gate(folder, &event).expect(0);
    assert!(!warnings(folder).contains("edits"), "{}", warnings(folder));
    git(
        folder,
        &[
            "sparse-checkout",
            "set",
            "--no-cone",
            "/*",
            "!/thresholds.yaml",
        ],
    );
    assert!(!folder.join("thresholds.yaml").exists());
    gate(folder, &event).expect(0);
    assert!(!warnings(folder).contains("edits"), "{}", warnings(folder));
}
