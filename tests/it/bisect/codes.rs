//! What git is told: every exit code, and the checks of both ends.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::history::{BUILD, History};
use super::search::{WIDE, quiet, wide};
use crate::support::{Ran, result, write};

impl History {
    /// What is said of a commit, as if git asked about it.
    fn ask(&self, commit: usize, more: &[&str]) -> Ran {
        self.git(&[
            "update-ref",
            "--no-deref",
            "BISECT_HEAD",
            &self.commits[commit],
        ]);
        self.bisect(more)
    }
}

/// A commit that wants a commit of a submodule which its remote does not have; the next one has no submodule.
fn commit_with_a_submodule_that_is_gone(history: &mut History, remote: &std::path::Path) {
    history.set_server(&quiet(1.0));
    let module = format!(
        "[submodule \"engine\"]\n\tpath = engine\n\turl = {}\n",
        remote.display()
    );
    write(history.path(), ".gitmodules", &module);
    std::fs::create_dir(history.path().join("engine")).unwrap();
    let link = format!("160000,{},engine", "1f".repeat(20));
    history.git(&["update-index", "--add", "--cacheinfo", &link]);
    history.commit("a submodule that is gone");
    history.git(&["rm", "--quiet", "--force", "engine", ".gitmodules"]);
}

#[test]
fn every_commit_gets_the_code_that_git_understands() {
    let mut history = wide(&[1.0, 1.0]);
    write(history.path(), "build.sh", "echo no such header; exit 1\n");
    history.commit("does not build");
    write(history.path(), "build.sh", "true\n");
    history.set_server("{process: {command: [sh, -c, \"echo no such model; exit 3; {port}\"]}}");
    history.commit("does not start");
    write(history.path(), "perfgate.yaml", "modle: m\n");
    history.commit("cannot be read");
    let engine = History::of_servers(&[quiet(1.0)]);
    commit_with_a_submodule_that_is_gone(&mut history, engine.path());
    history.set_server(&quiet(1.5));
    history.commit("slower");
    history.commit("the bad end");
    history.start(&BUILD).expect(0);

    let good = history.ask(1, &[]).expect(0);
    assert!(good.stderr.contains(": good, TPOT P50 "), "{}", good.stderr);
    let bad = history.ask(6, &[]).expect(1);
    assert!(bad.stderr.contains(": bad, TPOT P50 "), "{}", bad.stderr);
    for (commit, words) in [
        (2, [": build fails", "build| no such header"]),
        (3, [": does not serve", "no such model"]),
        (4, [": no configuration", "perfgate.yaml:1:1"]),
        (5, [": build fails", "but it did not contain"]),
        // What was half-way checked out is not measured when it is asked about again.
        (5, [": build fails", "but it did not contain"]),
    ] {
        let stderr = history.ask(commit, &[]).expect(125).stderr;
        for word in words {
            assert!(stderr.contains(word), "{stderr}");
        }
    }
    // A remote that does not answer says nothing of the commit.
    let gone = engine.path().join(".gone");
    std::fs::rename(engine.path().join(".git"), &gone).unwrap();
    for _ in 0..2 {
        let stderr = history.ask(5, &[]).expect(128).stderr;
        assert!(stderr.contains("cannot fetch the submodules"), "{stderr}");
    }
    // Laid over the options of `start`, whose build holds: the ends are known from before. What does not start is what
    // is searched for.
    let stderr = history
        .ask(3, &["--startup-failure", "bad"])
        .expect(1)
        .stderr;
    assert!(
        stderr.contains("reusing the earlier measurement"),
        "{stderr}"
    );
    // A commit that was asked about is answered at once.
    let again = history.ask(1, &[]).expect(0);
    assert!(
        again.stderr.contains("reusing the earlier measurement")
            && !again.stderr.contains("starting the server"),
        "{}",
        again.stderr
    );
    // Other rules are another question.
    let other = history.ask(1, &["--threshold", "20%"]).expect(0);
    assert!(
        other.stderr.contains("starting the server"),
        "{}",
        other.stderr
    );
}

#[test]
fn the_help_of_bisect_explains_its_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        crate::support::run(folder.path(), arguments)
            .expect(0)
            .stdout
    };
    // Target and load are those of every command that measures.
    let own = |help: String| {
        let (options, rest) = help.split_once("\nServer:\n").unwrap();
        let (_, examples) = rest.split_once("\nExamples:\n").unwrap();
        format!("{options}\n…\n\nExamples:\n{examples}")
    };
    insta::assert_snapshot!("bisect_help", own(help(&["bisect", "--help"])));
    insta::assert_snapshot!(
        "bisect_start_help",
        own(help(&["bisect", "start", "--help"]))
    );
}

#[test]
fn a_problem_of_every_commit_stops_the_search() {
    let history = wide(&[1.0, 1.5]);
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let stops = |arguments: &[&str], word: &str| {
        let stderr = history.bisect(arguments).expect(128).stderr;
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    };
    stops(&[], "no `git bisect` is running");
    stops(&["--no-such-flag"], "unexpected argument");
    stops(&["--max-pairs", "2"], "3..=200");
    write(
        elsewhere.path(),
        "rules.yaml",
        "version: 1\nrules: {tpot.p59: {regression: 5%, action: block}}\n",
    );
    write(elsewhere.path(), "plan.yaml", "modle: m\n");
    write(elsewhere.path(), "good.json", &result(&[1.0; 15]));
    history.git(&[
        "bisect",
        "start",
        "--no-checkout",
        "main",
        &history.commits[0],
    ]);
    stops(&["--config", &at("none.yaml")], "none.yaml");
    stops(&["--config", &at("plan.yaml")], "plan.yaml:1:1");
    stops(&["--thresholds", &at("rules.yaml")], "rules.yaml:2:");
    stops(&["--good-result", &at("none.json")], "none.json");
    // Measured on another machine, under another load.
    stops(
        &["--good-result", &at("good.json")],
        "cannot be compared with",
    );
    stops(&["--url", "http://127.0.0.1:9"], "an external server");
    let mut no_engine = history.bisect_command(&["--build", "echo {image}"]);
    no_engine.env("DOCKER_HOST", "unix:///no/such/socket");
    let stderr = Ran::of(&no_engine.output().unwrap()).expect(128).stderr;
    assert!(stderr.contains("no container engine answers"), "{stderr}");
    // What the build made is nothing that perfgate may remove.
    let cleaned = history.bisect(&["clean"]).expect(0);
    let command = format!(
        "docker image rm --force perfgate-bisect:{}\n",
        history.commits[0]
    );
    assert_eq!(cleaned.stdout, command);
    assert!(history.bisect(&["clean"]).expect(0).stdout.is_empty());
    // Anywhere else than in a repository.
    let outside = crate::support::run(elsewhere.path(), &["bisect"])
        .expect(128)
        .stderr;
    assert!(outside.contains("this is not a git work tree"), "{outside}");
}

#[test]
fn invalid_rules_are_reported_as_a_copy_from_the_bad_end() {
    let mut history = wide(&[1.0, 1.5]);
    write(
        history.path(),
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p59: {regression: 5%, action: block}}\n",
    );
    history.commit("rules of no metric");
    let stderr = history.start(&[]).expect(2).stderr;
    for words in [
        "thresholds.yaml:2:",
        "this is a copy of `thresholds.yaml` of the bad end",
    ] {
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_bad_end_without_a_regression_and_a_noisy_good_end_stop_before_the_search() {
    let history = wide(&[1.0, 1.0, 1.0]);
    let stderr = history.start(&[]).expect(4).stderr;
    assert!(stderr.contains("the bad end has no regression"), "{stderr}");
    assert!(history.git(&["for-each-ref", "refs/bisect"]).is_empty());
    // The same within a search that somebody began.
    history.git(&["bisect", "start", "main", &history.commits[0]]);
    let ran = history.run(&[]);
    assert_ne!(ran.code, Some(0));
    assert!(!ran.stdout.contains("first bad commit"), "{}", ran.stdout);
    assert!(
        history
            .bisect(&[])
            .expect(128)
            .stderr
            .contains("the bad end has no regression")
    );

    // A server that is never as fast as itself.
    let mut noisy = History::new();
    write(noisy.path(), "thresholds.yaml", WIDE);
    for decode in [1.0, 1.5] {
        noisy.set_server(&super::history::simulator(decode, "60%"));
        noisy.commit(&format!("decode {decode}"));
    }
    let stderr = noisy.start(&[]).expect(4).stderr;
    assert!(stderr.contains("the good end"), "{stderr}");
    assert!(
        stderr.contains("noise is too large") || stderr.contains("must pass against itself"),
        "{stderr}"
    );
}

#[test]
fn start_refuses_invalid_ends_with_the_reason() {
    let history = wide(&[1.0, 1.5]);
    let wrong = |arguments: &[&str], word: &str| {
        let stderr = history.bisect(arguments).expect(2).stderr;
        assert!(stderr.contains(word), "{stderr}");
    };
    wrong(
        &["start", "main", "HEAD~1"],
        "the bad end is not later than the good end",
    );
    wrong(&["start", "HEAD", "HEAD"], "is not later than the good end");
    wrong(
        &["start", "v9", "HEAD"],
        "this clone does not have the commit `v9`",
    );
    wrong(&["start", "HEAD~1"], "<BAD>");
    let mut no_text = history.bisect_command(&["start", "HEAD~1", "HEAD", "--thresholds"]);
    no_text.arg(OsStr::from_bytes(b"rules\xff.yaml"));
    let stderr = Ran::of(&no_text.output().unwrap()).expect(2).stderr;
    assert!(stderr.contains("is not valid UTF-8"), "{stderr}");
    history.git(&["bisect", "start", "--no-checkout", "main", "HEAD~1"]);
    wrong(
        &["start", "HEAD~1", "HEAD"],
        "a `git bisect` is already running",
    );
    let empty = tempfile::tempdir().unwrap();
    crate::baseline_ref::git(empty.path(), &["init", "--quiet"]);
    let stderr = crate::support::run(empty.path(), &["bisect", "start", "v1", "HEAD"])
        .expect(2)
        .stderr;
    assert_eq!(stderr, "error: the repository has no commit yet\n");
    let below = history.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let stderr = crate::support::run(&below, &["bisect"]).expect(128).stderr;
    assert!(
        stderr.contains("this is not the top of the work tree"),
        "{stderr}"
    );
}
