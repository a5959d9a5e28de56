//! A search from its start to its summary, and what stays untouched by it.

use super::history::{BUILD, History, plan, simulator};
use crate::support::{json, program, write};

/// Rules so wide that a busy machine decides nothing.
pub(super) const WIDE: &str = "\
version: 1
rules:
  tpot.p50: {regression: 15%, action: block}
";

/// A quiet server, slower in decoding by that factor.
pub(super) fn quiet(decode: f64) -> String {
    simulator(decode, "0.2%")
}

/// Commits with these factors on decoding, under wide rules.
pub(super) fn wide(factors: &[f64]) -> History {
    let servers: Vec<String> = factors.iter().copied().map(quiet).collect();
    wide_of(&servers)
}

/// Commits with these servers, under wide rules.
fn wide_of(servers: &[String]) -> History {
    let mut history = History::new();
    write(history.path(), "thresholds.yaml", WIDE);
    for (index, server) in servers.iter().enumerate() {
        history.set_server(server);
        history.commit(&format!("change {index}"));
    }
    history
}

#[test]
fn start_checks_both_ends_and_the_run_names_the_commit_while_the_tree_stays_as_it_is() {
    let mut history = wide(&[1.0, 1.0]);
    write(history.path(), "build.sh", "echo no such header; exit 1\n");
    history.commit("change 2");
    write(history.path(), "build.sh", "echo built > built\n");
    for index in 3..7 {
        history.set_server(&quiet(if index < 5 { 1.0 } else { 1.5 }));
        history.commit(&format!("change {index}"));
    }
    // Somebody is in the middle of something.
    write(history.path(), "notes.txt", "not committed");
    write(history.path(), "mine.txt", "in no commit");
    let started = history.start(&BUILD).expect(0);
    let command = format!("git bisect run {} bisect\n", program().display());
    assert_eq!(started.stdout, command);
    assert!(
        started.stderr.contains(
            "the working tree has uncommitted changes: they are not measured and stay unchanged"
        ),
        "{}",
        started.stderr
    );
    let ran = history.run(&[]).expect(0);
    let guilty = &history.commits[5];
    let stdout = &ran.stdout;
    assert!(
        stdout.contains(&format!("{guilty} is the first bad commit")),
        "{stdout}"
    );
    let short = &guilty[..10];
    assert!(
        stdout.contains(&format!(
            "{short} made serving slower, confirmed against its parent"
        )),
        "{stdout}"
    );
    assert!(
        stdout.contains("author   Ada Author\n   subject  change 5\n"),
        "{stdout}"
    );

    let summary = json(&history.state("summary.json"));
    assert_eq!(summary["schema"], "perfgate.bisect/1");
    assert_eq!(summary["outcome"], "found");
    let steps = summary["steps"].as_array().unwrap();
    let roles: Vec<&str> = steps
        .iter()
        .map(|step| step["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles[..2], ["good_end", "bad_end"]);
    assert_eq!(roles.last(), Some(&"confirmation"));
    let last = steps.last().unwrap();
    let (low, high) = (&last["change"]["low"], &last["change"]["high"]);
    assert!(
        low.as_f64().unwrap() > 0.2 && high.as_f64().unwrap() < 0.8,
        "{last}"
    );
    for step in steps {
        // A start of the commit, and at least two pairs.
        let is_measured = step["server_starts"].as_u64().unwrap() >= 5;
        assert!(
            is_measured && step["seconds"].as_f64().unwrap() > 0.0
                || step["answer"] == "build_failed",
            "{step}"
        );
    }
    let markdown = std::fs::read_to_string(history.state("summary.md")).unwrap();
    assert!(
        markdown.contains(&format!("`{guilty}` by Ada Author: change 5")),
        "{markdown}"
    );

    let read = |name: &str| std::fs::read_to_string(history.path().join(name)).unwrap();
    assert_eq!(
        (read("notes.txt").as_str(), read("mine.txt").as_str()),
        ("not committed", "in no commit")
    );
    assert_eq!(history.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "main");
    // What was built is gone with its trees, what was measured is not.
    assert!(!history.state("trees/commit").exists());
    assert_eq!(history.git(&["worktree", "list"]).lines().count(), 1);
    asked_again(&history, guilty);
}

/// The same search once more: nothing but the confirmation is measured, which must be new.
fn asked_again(history: &History, guilty: &str) {
    history.git(&["bisect", "reset"]);
    history.start(&BUILD).expect(0);
    let ran = history.run(&[]).expect(0);
    assert!(
        ran.stdout
            .contains(&format!("{guilty} is the first bad commit")),
        "{}",
        ran.stdout
    );
    let summary = json(&history.state("summary.json"));
    let confirmation = summary["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(confirmation["role"], "confirmation");
    let starts = ran.stderr.matches(": starting the server").count();
    assert_eq!(confirmation["server_starts"], starts, "{}", ran.stderr);
    assert!(
        ran.stderr
            .matches("reusing the earlier measurement: ")
            .count()
            >= 3,
        "{}",
        ran.stderr
    );

    history.bisect(&["clean"]).expect(0);
    assert!(!history.state("").exists());
}

#[test]
fn a_gradual_decline_has_no_confirmed_commit() {
    let history = wide(&[1.0, 1.08, 1.18, 1.18]);
    history.start(&[]).expect(0);
    let ran = history.run(&[]);
    assert_ne!(ran.code, Some(0));
    assert!(
        !ran.stdout.contains("is the first bad commit"),
        "{}",
        ran.stdout
    );
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("no culprit is reported"), "{all}");
    assert!(all.contains("the found commit is not confirmed"), "{all}");
    let summary = json(&history.state("summary.json"));
    assert_eq!(summary["outcome"], "not_confirmed");
    assert_eq!(summary["commit"]["id"], history.commits[2]);
    assert_eq!(history.bisect(&[]).code, Some(128));
}

#[test]
fn a_merge_that_broke_the_start_is_named_with_the_command_that_searches_the_merged_branch() {
    let mut history = wide(&[1.0]);
    history.git(&["checkout", "--quiet", "-b", "side"]);
    history.set_server("{process: {command: [sh, -c, \"echo no such model; exit 3; {port}\"]}}");
    let merged = history.commit("breaks the start");
    history.git(&["checkout", "--quiet", "main"]);
    let merge = ["--quiet", "--no-ff", "--message", "a merge", "side"];
    history.git(&[&["merge"][..], &merge].concat());

    let stderr = history.start(&["--first-parent"]).expect(5).stderr;
    assert!(
        stderr.contains("`--startup-failure bad` searches"),
        "{stderr}"
    );
    assert_eq!(
        stderr.matches("complete server log: `").count(),
        1,
        "{stderr}"
    );
    // By first parents nothing lies between the ends.
    let options = ["--first-parent", "--startup-failure", "bad"];
    let stdout = history.start(&options).expect(0).stdout;
    assert!(
        stdout.contains("broke the server start, confirmed"),
        "{stdout}"
    );
    let summary = std::fs::read_to_string(history.state("summary.md")).unwrap();
    let command = format!("perfgate bisect start {} {merged}", history.commits[0]);
    assert!(summary.contains(&command), "{summary}");
}

#[test]
fn a_regression_from_before_the_ends_diverged_is_reported_and_no_commit_is_confirmed() {
    let mut history = wide(&[1.5]);
    history.git(&["checkout", "--quiet", "-b", "release"]);
    history.set_server(&quiet(1.0));
    let good = history.commit("mended on the release branch alone");
    history.git(&["checkout", "--quiet", "main"]);
    history.commit("goes on");
    let stderr = history.bisect(&["start", &good, "main"]).expect(0).stderr;
    let fork = &history.commits[0][..10];
    let asks = format!("the ends have diverged: git first asks about {fork}");
    assert!(stderr.contains(&asks), "{stderr}");
    let stderr = history.bisect(&[]).expect(128).stderr;
    let mended = format!("{fork} is bad, but its descendant {} is good", &good[..10]);
    assert!(stderr.contains(&mended), "{stderr}");
    assert!(!history.state("summary.md").exists());
}

#[test]
fn commits_that_cannot_be_judged_leave_several_which_are_listed() {
    let mut history = wide(&[1.0]);
    write(history.path(), "build.sh", "exit 1\n");
    history.set_server(&quiet(1.5));
    history.commit("breaks the build");
    history.commit("still broken");
    write(history.path(), "build.sh", "true\n");
    history.commit("builds again");
    history.start(&BUILD).expect(0);
    let ran = history.run(&[]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stdout.contains("so one of 3 commits"), "{}", ran.stdout);
    for subject in ["breaks the build", "still broken", "builds again"] {
        assert!(ran.stdout.contains(subject), "{}", ran.stdout);
    }
    let summary = json(&history.state("summary.json"));
    assert_eq!(summary["outcome"], "several");
    assert_eq!(summary["candidates"].as_array().unwrap().len(), 3);
    assert!(summary.get("commit").is_none());
}

#[test]
fn a_search_begun_with_git_needs_no_start_and_a_skipped_commit_is_not_measured() {
    let serve = format!(
        "exec '{}' simulate --model demo --noise 0.2% --step-per-running 10us --port \"$1\" --decode-slowdown \"$(cat slowdown.txt)\"\n",
        program().display()
    );
    let mut history = History::new();
    write(history.path(), "thresholds.yaml", WIDE);
    write(history.path(), "serve.sh", &serve);
    // A process that finds the files of its own commit: the good end's are not those of the commit beside it.
    history.set_server("{process: {command: [sh, serve.sh, \"{port}\"]}}");
    for (index, slowdown) in ["1.0", "1.0", "1.0", "1.0", "1.0", "1.5", "1.5"]
        .iter()
        .enumerate()
    {
        write(history.path(), "slowdown.txt", slowdown);
        history.commit(&format!("change {index}"));
    }
    let [first, .., last] = &history.commits[..] else {
        unreachable!()
    };
    history.git(&[
        "bisect",
        "start",
        "--term-old",
        "fast",
        "--term-new",
        "slow",
        last,
        first,
    ]);
    let middle = history.git(&["rev-parse", "HEAD"]);
    history.git(&["bisect", "skip"]);
    let ran = history.run(&["--build", "test -f slowdown.txt"]).expect(0);
    let named = format!("{} is the first slow commit", history.commits[5]);
    assert!(
        ran.stdout.contains(&named),
        "{}\n{}",
        ran.stdout,
        ran.stderr
    );
    let summary = json(&history.state("summary.json"));
    let steps = summary["steps"].as_array().unwrap();
    assert!(
        steps
            .iter()
            .all(|step| step["role"] != "search" || step["commit"]["id"] != middle)
    );
}

#[test]
fn submodules_and_a_linked_work_tree_are_worked_in_and_one_commit_needs_no_search() {
    let engine = History::of_servers(&[quiet(1.0)]);
    let mut history = wide(&[1.0]);
    history.git(&[
        "submodule",
        "--quiet",
        "add",
        engine.path().to_str().unwrap(),
        "engine",
    ]);
    history.commit("with an engine");
    history.set_server(&quiet(1.5));
    history.commit("slower");
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = elsewhere.path().join("linked");
    history.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        linked.to_str().unwrap(),
    ]);
    let build = ["--build", "test -f engine/perfgate.yaml"];
    let mut command = history.bisect_command(&["start", "HEAD~1", "HEAD", build[0], build[1]]);
    let ran = crate::support::Ran::of(&command.current_dir(&linked).output().unwrap()).expect(0);
    let named = format!("{} made serving slower", &history.commits[2][..10]);
    assert!(ran.stdout.contains(&named), "{}", ran.stdout);
    assert!(!history.state("").exists());
    let own = history
        .path()
        .join(".git/worktrees/linked/perfgate-bisect/summary.md");
    assert!(own.is_file());
}

/// Fifteen repeats of the first commit, by a server whose starts differ by that noise.
fn result_of_good_end(history: &History, noise: &str) -> (tempfile::TempDir, String) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let (config, result) = (path("perfgate.yaml"), path("good.json"));
    write(
        elsewhere.path(),
        "perfgate.yaml",
        &plan(&simulator(1.0, noise)),
    );
    history.git(&["checkout", "--quiet", &history.commits[0]]);
    let arguments = [
        "bench", "--config", &config, "--repeat", "15", "--output", &result,
    ];
    crate::support::run_scripted(history.path(), &arguments).expect(0);
    history.git(&["checkout", "--quiet", "main"]);
    (elsewhere, result)
}

/// With what the steps of the search were compared, the one that found the commit among them.
fn search_with_result(history: &History, good: &str) -> Vec<String> {
    let started = history.start(&["--good-result", good]).expect(0);
    let ran = history.run(&[]).expect(0);
    let named = format!("{} is the first bad commit", history.commits[2]);
    let output = format!("{}\n{}\n{}", started.stderr, ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&named), "{output}");
    let steps = json(&history.state("summary.json"))["steps"].clone();
    let against = |step: &serde_json::Value| step["against"].as_str().unwrap().to_owned();
    steps.as_array().unwrap().iter().map(against).collect()
}

#[test]
fn a_stored_result_of_the_good_end_is_enough_where_it_shows_its_noise() {
    let history = wide(&[1.0, 1.0, 1.5]);
    // Noisier than the commits, so that hardly a busy machine is noisier than it.
    let (_elsewhere, good) = result_of_good_end(&history, "1%");
    let against = search_with_result(&history, &good);
    let (confirmation, searched) = against.split_last().unwrap();
    assert!(confirmation.starts_with("its parent"), "{against:?}");
    assert!(searched.iter().all(|name| *name == good), "{against:?}");
}

#[test]
fn on_a_day_noisier_than_the_stored_result_the_good_end_is_measured_alternately() {
    // The noise of the day is far from both limits: from that of the result, and from what would leave the commits open.
    let history = wide_of(&[1.0, 1.0, 1.5].map(|decode| simulator(decode, "4%")));
    let (_elsewhere, good) = result_of_good_end(&history, "0.1%");
    let against = search_with_result(&history, &good);
    let good_end = format!("the good end {}", &history.commits[0][..10]);
    assert!(against.contains(&good_end), "{against:?}");
}
