//! Which repeats belong together: those of one build on one machine against one baseline. What was spent stays spent.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Ran, command, json, program, write};

/// Limits so wide that a busy machine does not decide.
const WIDE: &str = "\
version: 1
rules:
  tpot.p95: {regression: 99%, action: block}
noise: {max_repeats: 3, on_inconclusive: fail}
";

/// A gate whose server is a script of the tree that reads a file beside it.
fn plan(script: &str) -> String {
    format!(
        "name: demo\nmodel: demo\nnum_requests: 20\nconcurrency: 4\ninput_tokens: 16\noutput_tokens: 4\nwarmup_requests: 4\nrepeat: 1\n\
         server: {{process: {{command: [sh, {script}, \"{{port}}\"], ready_timeout: 60s}}}}\n"
    )
}

fn script() -> String {
    format!(
        "cat \"$(dirname \"$0\")/speed\" > /dev/null\nexec '{}' simulate --model demo --port \"$1\"\n",
        program().display()
    )
}

fn git(folder: &Path, script: &str) {
    let done = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .env("GIT_AUTHOR_NAME", "t")
        .env("GIT_AUTHOR_EMAIL", "t@t")
        .env("GIT_COMMITTER_NAME", "t")
        .env("GIT_COMMITTER_EMAIL", "t@t")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
        .env("GIT_CONFIG_VALUE_0", "always")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(done.success(), "{script}");
}

/// A repository whose gate starts `script`.
fn repository(at: &Path, script: &str) {
    write(at, "thresholds.yaml", WIDE);
    write(at, "perfgate.yaml", &plan(script));
    write(at, ".gitignore", "out\nbuild\nbaseline.json\n");
    git(at, "git init -q && git add -A && git commit -qm x");
}

fn bench(at: &Path) {
    crate::support::run(at, &["bench", "--output", "baseline.json"]).expect(0);
}

fn gate_with(at: &Path, variables: &[(&str, &str)]) -> Ran {
    let arguments = ["gate", "--baseline", "baseline.json", "--output", "out"];
    let mut command = command(at, &arguments);
    command.envs(variables.iter().copied());
    Ran::of(&command.output().unwrap())
}

fn gate(at: &Path) -> Ran {
    gate_with(at, &[])
}

/// A repository with a server and its baseline.
fn measured() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "server.sh", &script());
    write(at, "speed", "1");
    repository(at, "server.sh");
    bench(at);
    folder
}

/// Folders of evidence.
fn series(at: &Path) -> Vec<PathBuf> {
    let entries = at.join("out/evidence").read_dir().unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The first run begins, the same again goes on, and after `change` it begins anew and knows what was spent.
fn another_build(at: &Path, change: impl FnOnce() -> Ran) {
    gate(at);
    assert_eq!(series(at).len(), 1);
    let again = gate(at);
    assert!(
        again
            .stderr
            .contains("continuing an earlier run of this commit ("),
        "{}",
        again.stderr
    );
    assert_eq!(series(at).len(), 1, "nothing changed: {}", again.stderr);
    let other = change();
    assert_eq!(series(at).len(), 2, "{}", other.stderr);
    assert!(
        other.stderr.contains("starting new evidence"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_file_that_is_not_added_yet_is_part_of_the_build() {
    let at = tempfile::tempdir().unwrap();
    let at = at.path();
    repository(at, "server.sh");
    write(at, "server.sh", &script());
    write(at, "speed", "1");
    bench(at);
    another_build(at, || {
        write(at, "speed", "2");
        gate(at)
    });
}

#[test]
fn a_file_that_git_ignores_beside_the_server_is_part_of_the_build_and_a_log_is_not() {
    let at = tempfile::tempdir().unwrap();
    let at = at.path();
    std::fs::create_dir(at.join("build")).unwrap();
    write(at, "build/server.sh", &script());
    write(at, "build/speed", "1");
    repository(at, "build/server.sh");
    bench(at);
    write(at, "build/server.log", "1");
    another_build(at, || {
        write(at, "build/server.log", "2");
        write(at, "build/speed", "2");
        gate(at)
    });
}

#[test]
fn an_edit_inside_a_submodule_is_part_of_the_build() {
    let at = tempfile::tempdir().unwrap();
    let (engine, main) = (at.path().join("engine"), at.path().join("main"));
    for folder in [&engine, &main] {
        std::fs::create_dir(folder).unwrap();
    }
    write(&engine, "server.sh", &script());
    write(&engine, "speed", "1");
    git(&engine, "git init -q && git add -A && git commit -qm x");
    git(
        &main,
        &format!(
            "git init -q && git submodule --quiet add '{}' vllm",
            engine.display()
        ),
    );
    repository(&main, "vllm/server.sh");
    bench(&main);
    another_build(&main, || {
        write(&main, "vllm/speed", "2");
        gate(&main)
    });
}

#[test]
fn a_variable_that_the_server_inherits_is_part_of_the_build_and_a_jobs_number_is_not() {
    let at = measured();
    let at = at.path();
    another_build(at, || {
        gate_with(at, &[("GITHUB_RUN_ID", "7"), ("CI_JOB_ID", "8")]);
        assert_eq!(series(at).len(), 1);
        gate_with(at, &[("ENGINE_SPEED", "1.5")])
    });
}

#[test]
fn another_machine_or_baseline_starts_new_evidence_and_deleting_it_refunds_nothing() {
    let at = measured();
    let at = at.path();
    let node = |name: &str| gate_with(at, &[("PERFGATE_MACHINE", name)]).stderr;
    let anew = "starting new evidence";
    let stderr = node("node-1");
    assert!(!stderr.contains(anew), "{stderr}");
    let result = json(&at.join("out/result.json"));
    assert_eq!(result["environment"]["machine"], "node-1");
    let stderr = node("node-2");
    assert!(stderr.contains(anew), "{stderr}");
    assert_eq!(series(at).len(), 2);
    // What was said against one baseline says nothing of another.
    let mut baseline = json(&at.join("baseline.json"));
    baseline["created"] = Value::from("2026-01-01T00:00:00Z");
    write(at, "baseline.json", &baseline.to_string());
    let stderr = node("node-1");
    assert!(stderr.contains(anew), "{stderr}");
    assert_eq!(series(at).len(), 3);
    let judged = json(&at.join("out/comparison.json"));
    let reason = judged["judgements"][0]["reason"].as_str().unwrap();
    assert!(
        !reason.contains("decided at an earlier interim look"),
        "{reason}"
    );
    for folder in series(at) {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let stderr = node("node-1");
    assert!(stderr.contains(anew), "{stderr}");
}

#[test]
fn a_decision_is_reused_for_its_own_limit_and_never_for_another() {
    // So wide that a busy machine does not decide.
    let limit = |percent: &str| {
        format!(
            "version: 1\nrules: {{throughput: {{regression: {percent}, action: block}}}}\nnoise: {{max_repeats: 3, on_inconclusive: fail}}\n"
        )
    };
    let at = tempfile::tempdir().unwrap();
    let at = at.path();
    write(at, "perfgate.yaml", crate::baseline_ref::PLAN);
    write(at, "thresholds.yaml", &limit("90%"));
    // In a pull request it is the base branch's, and no part of the build.
    write(at, ".gitignore", "out\nbaseline.json\nthresholds.yaml\n");
    git(at, "git init -q && git add -A && git commit -qm x");
    bench(at);
    let gate = |thresholds: &str, exit: i32| {
        write(at, "thresholds.yaml", &limit(thresholds));
        let arguments = ["gate", "--baseline", "baseline.json", "--output", "out"];
        let ran = crate::support::run(at, &arguments).expect(exit);
        if exit == 3 {
            let words: Vec<&str> = ran.stdout.split_whitespace().collect();
            let next = "next: all interim looks at this commit are spent: run the gate with the base version";
            assert!(words.join(" ").contains(next), "{}", ran.stdout);
        }
        let judged = json(&at.join("out/comparison.json"));
        let reason = judged["judgements"][0]["reason"].as_str().unwrap();
        (ran.stderr, reason.to_owned())
    };
    let (stderr, reason) = gate("90%", 0);
    assert!(!stderr.contains("is spent"), "{stderr}");
    assert!(reason.contains("is ruled out"), "{reason}");
    // Its only look is spent: under the same limit that was it, and under another nothing decides.
    for (thresholds, exit, expected) in [
        ("90%", 0, "; decided at an earlier interim look"),
        (
            "80%",
            3,
            "; all interim looks at this commit were spent on another limit, and their result does not apply to this one",
        ),
        ("90%", 0, "; decided at an earlier interim look"),
    ] {
        let (stderr, reason) = gate(thresholds, exit);
        assert!(
            stderr.contains("all interim looks at this commit are spent"),
            "{stderr}"
        );
        assert!(reason.ends_with(expected), "{thresholds}: {reason}");
    }
    assert_eq!(series(at).len(), 1);
    let looks = &json(&series(at)[0].join("comparison.json"))["decision"]["looks"];
    assert_eq!(looks.as_array().unwrap().len(), 1, "{looks}");
}

#[test]
fn two_gates_of_one_commit_at_once_lose_nothing_of_each_other() {
    let at = measured();
    let at = at.path();
    write(
        at,
        "thresholds.yaml",
        &WIDE.replace("max_repeats: 3", "max_repeats: 9"),
    );
    let start = |output: &str| {
        let arguments = [
            "gate",
            "--baseline",
            "baseline.json",
            "--evidence",
            "out/evidence",
            "--output",
            output,
        ];
        command(at, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let both = [start("out/one"), start("out/two")];
    let ended = both.map(|gate| Ran::of(&gate.wait_with_output().unwrap()));
    let series = series(at);
    let kept: Vec<&PathBuf> = series
        .iter()
        .filter(|path| path.join("candidate.json").is_file())
        .collect();
    assert_eq!(kept.len(), 1);
    let looks = |path: &Path| {
        let comparison = json(&path.join("comparison.json"));
        comparison["decision"]["looks"].as_array().unwrap().len()
    };
    // Whoever came second goes on where the first ended.
    let spent = [looks(&at.join("out/one")), looks(&at.join("out/two"))];
    let waited = ended
        .iter()
        .any(|ran| ran.stderr.contains("continuing an earlier run"));
    assert!(waited, "{} {}", ended[0].stderr, ended[1].stderr);
    assert_eq!(looks(kept[0]), spent[0].max(spent[1]));
}
