//! What a fork's run left behind, posted by a run that trusts it in nothing.

use std::io::{Cursor, Write as _};

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::Scene;
use super::fake::HEAD;
use crate::support::Ran;

fn archive(scene: &Scene, files: &[(&str, &[u8])]) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    }
    let bytes = writer.finish().unwrap().into_inner();
    perfgate::files::write_atomically(&scene.path().join("artifact.zip"), &bytes).unwrap();
}

/// A name that would change the question if it were not encoded.
const BRANCH: &str = "faster/50%+&state=closed#1";

/// A `workflow_run` after the run of a fork on pull request 7, as GitHub sends it: it names no pull request.
pub(super) fn fork() -> Scene {
    let mut scene = Scene::new(1.0);
    scene.event = "workflow_run";
    scene.write_event(&run_of(&json!({
        "id": 2, "full_name": "mallory/llm", "owner": {"login": "mallory"}
    })));
    scene.github.world().pulls = vec![pull(7, HEAD, "mallory/llm", "acme/llm")];
    scene
}

fn run_of(home: &Value) -> Value {
    json!({"workflow_run": {
        "id": 55, "run_attempt": 1, "head_sha": HEAD, "head_branch": BRANCH, "event": "pull_request",
        "pull_requests": [], "repository": {"id": 1, "full_name": "acme/llm"}, "head_repository": home
    }})
}

/// An open pull request from mallory's branch.
fn pull(number: u64, sha: &str, from: &str, to: &str) -> Value {
    json!({
        "number": number, "state": "open",
        "head": {"sha": sha, "label": format!("mallory:{BRANCH}"), "ref": BRANCH, "repo": {"full_name": from}},
        "base": {"sha": "0".repeat(40), "repo": {"full_name": to}}
    })
}

/// The artifact is not posted, and that is said.
fn unposted(scene: &Scene) -> String {
    let stderr = post(scene, &comparison(scene)).expect(6).stderr;
    assert!(scene.github.own().is_empty());
    let line = stderr.lines().next().unwrap();
    line.strip_prefix("error: the artifact's result was not published: ")
        .unwrap()
        .to_owned()
}

fn comparison(scene: &Scene) -> Value {
    super::comparison(scene.path(), 1.0, Some(HEAD))
}

pub(super) fn post(scene: &Scene, comparison: &Value) -> Ran {
    archive(
        scene,
        &[
            ("comparison.json", comparison.to_string().as_bytes()),
            ("report.html", b"<script>"),
        ],
    );
    scene.perfgate(&["comment", "--artifact", "artifact.zip"])
}

#[test]
fn a_forks_result_is_posted_as_not_verified_and_sets_no_status() {
    let scene = fork();
    post(&scene, &comparison(&scene)).expect(0);
    let own = scene.own();
    let begin: Vec<&str> = own.lines().take(3).collect();
    insta::assert_snapshot!(begin.join("\n"), @r"
    <!-- perfgate:v1 key=demo/fork head=77b02d4f0a1b2c3d4e5f60718293a4b5c6d7e8f9 run=55.1 -->
    > **Reported by a fork's [run](https://github.test/acme/llm/actions/runs/55): not verified.** The pull request's own code produced these numbers and could forge them; they set no status.
    ");
    assert!(scene.github.world().statuses.is_empty());
    assert_eq!(scene.github.count("POST", "check-runs"), 0);
    // A block is no failure of this workflow: its job was to post.
    post(&scene, &super::comparison(scene.path(), 1.10, Some(HEAD))).expect(0);
    let own = scene.own();
    assert!(own.contains("BLOCK"));
    assert!(
        !own.contains("accept it"),
        "a label counts for nothing here: {own}"
    );
}

#[test]
fn a_fork_never_overwrites_a_comment_of_this_repository() {
    let scene = Scene::new(1.10);
    scene.comment(&[]).expect(1);
    let ours = scene.own();
    let fork = fork();
    fork.github.world().comments = scene.github.world().comments.clone();
    post(&fork, &comparison(&fork)).expect(0);
    let comments = fork.github.own();
    assert_eq!(comments.len(), 2, "beside it, in a comment of its own");
    assert_eq!(comments[0], ours);
}

#[test]
fn the_pull_request_is_the_one_that_github_lists_for_the_branch_of_the_fork() {
    let scene = fork();
    let mut closed = pull(3, HEAD, "mallory/llm", "acme/llm");
    closed["state"] = json!("closed");
    let mut deleted = pull(5, HEAD, "mallory/llm", "acme/llm");
    deleted["head"]["repo"] = Value::Null;
    let mut others_branch = pull(6, HEAD, "otto/llm", "acme/llm");
    others_branch["head"]["label"] = json!(format!("otto:{BRANCH}"));
    let mut pulls = vec![closed, deleted, others_branch];
    // More than a page of them, from another fork of the same owner and to another base repository.
    for number in 100..180 {
        pulls.push(pull(number, HEAD, "mallory/second-llm", "acme/llm"));
        pulls.push(pull(number + 100, HEAD, "mallory/llm", "mallory/llm"));
    }
    scene.github.world().pulls = pulls.clone();
    assert_eq!(
        unposted(&scene),
        "no open pull request of this repository has the run's commit as its head"
    );
    pulls.push(pull(7, HEAD, "Mallory/LLM", "acme/llm"));
    scene.github.world().pulls = pulls;
    post(&scene, &comparison(&scene)).expect(0);
    scene.own();
    assert_eq!(scene.github.count("GET", "/commits/"), 0);
}

#[test]
fn a_branch_with_newer_commits_gets_no_comment_on_the_older_run() {
    let scene = fork();
    scene.github.world().pulls = vec![pull(7, &"9".repeat(40), "mallory/llm", "acme/llm")];
    assert_eq!(
        unposted(&scene),
        "pull request #7 has newer commits than the run: its head is 9999999999, the commit of the run is 77b02d4f0a"
    );
    // A comparison of our own making gets its status all the same.
    let stderr = scene.comment(&["--comment", "always"]).expect(6).stderr;
    assert!(
        stderr.contains("the pull request has no comment: pull request #7 has newer commits"),
        "{stderr}"
    );
    assert_eq!(scene.github.required().len(), 1);
}

#[test]
fn a_branch_with_several_pull_requests_gets_a_comment_only_if_one_is_selected() {
    let scene = fork();
    let pulls = [9, 7].map(|number| pull(number, HEAD, "mallory/llm", "acme/llm"));
    scene.github.world().pulls = pulls.to_vec();
    assert_eq!(
        unposted(&scene),
        "#7 and #9 all have the run's commit as their head; select one with `--pull-request N`"
    );
    let arguments = [
        "comment",
        "--artifact",
        "artifact.zip",
        "--pull-request",
        "7",
    ];
    scene.perfgate(&arguments).expect(0);
    scene.own();
}

#[test]
fn a_run_of_a_fork_that_was_deleted_is_posted_nowhere() {
    let scene = fork();
    scene.write_event(&run_of(&Value::Null));
    assert_eq!(
        unposted(&scene),
        "no open pull request of this repository has the run's commit as its head"
    );
}

#[test]
fn a_hostile_artifact_is_refused_with_a_reason() {
    let scene = fork();
    let mut messages = Vec::new();
    let mut refused = |ran: Ran| {
        let stderr = ran.expect(2).stderr;
        messages.push(stderr.lines().next().unwrap().to_owned());
    };
    let mut forged = comparison(&scene);
    forged["accepted"] =
        json!({"label": "x", "by": "maya", "reason": "because I say so, trust me"});
    refused(post(&scene, &forged));
    let mut unknown = comparison(&scene);
    unknown["judgements"][0]["script"] = json!("x");
    refused(post(&scene, &unknown));
    let mut other = comparison(&scene);
    other["schema"] = json!("perfgate.comparison/2");
    refused(post(&scene, &other));
    refused(post(&scene, &json!({})));
    let mut nameless = comparison(&scene);
    nameless["next"] = json!(["none", 0]);
    refused(post(&scene, &nameless));
    for name in ["../comparison.json", "event.json"] {
        archive(&scene, &[(name, b"{}")]);
        refused(scene.perfgate(&["comment", "--artifact", "artifact.zip"]));
    }
    archive(&scene, &[("comparison.json", &vec![b' '; 5 << 20])]);
    refused(scene.perfgate(&["comment", "--artifact", "artifact.zip"]));
    insta::assert_snapshot!(messages.join("\n"), @r"
    error: the artifact `artifact.zip` is refused: comparison.json contains an acceptance; only GitHub can confirm one
    error: the artifact `artifact.zip` is refused: comparison.json has the unknown field `/judgements/script`
    error: the artifact `artifact.zip` is refused: comparison.json has schema `perfgate.comparison/2`; this version reads `perfgate.comparison/1`
    error: the artifact `artifact.zip` is refused: comparison.json is not a perfgate comparison: missing field `schema` at line 1 column 2
    error: the artifact `artifact.zip` is refused: comparison.json has the unknown field `/next`
    error: the artifact `artifact.zip` is refused: `../comparison.json` is not a file of a gate's output; upload only comparison.json
    error: the artifact `artifact.zip` is refused: `event.json` is not a file of a gate's output; upload only comparison.json
    error: the artifact `artifact.zip` is refused: comparison.json is larger than 4 MiB, the limit of a comparison in an artifact
    ");
    assert!(
        scene.github.world().seen.is_empty(),
        "nothing is asked for one that is refused"
    );
}

#[test]
fn foreign_text_in_an_artifact_is_escaped() {
    let scene = fork();
    let mut hostile = comparison(&scene);
    let text = "<!-- perfgate:end --> @everyone </details><img src=x> ](http://evil.test)";
    hostile["headline"] = json!(text);
    hostile["candidate"]["host"] = json!(text);
    hostile["candidate"]["model"] = json!(text);
    hostile["judgements"][0]["reason"] = json!(text);
    hostile["strata"] = json!([{
        "scenario": text, "latency": text, "by": text, "from": 1, "to": 2, "requests": 9, "change": 0.1
    }]);
    post(&scene, &hostile).expect(0);
    // Once more, so that the line of the push is read back.
    post(&scene, &hostile).expect(0);
    let own = scene.own();
    for acts in ["@everyone", "<img", "](http://evil", "</details><"] {
        assert!(!own.contains(acts), "{acts}: {own}");
    }
}
