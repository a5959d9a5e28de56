//! The status that is made required: what GitHub takes, and several verdicts about one commit.

use serde_json::{Value, json};

use super::fake::{BOT, Fault, HEAD, comment};
use super::{Scene, event};
use crate::support::{json as read_json, run_scripted, write};

/// State and text of the required status as it is now.
fn required(scene: &Scene) -> (String, String) {
    let statuses = scene.github.required();
    let last = statuses.last().expect("there is a status");
    let text = |name: &str| last[name].as_str().unwrap().to_owned();
    (text("state"), text("description"))
}

fn renamed(scene: &Scene, name: &str, factor: f64) {
    let mut comparison = super::comparison(scene.path(), factor, Some(HEAD));
    comparison["name"] = json!(name);
    write(scene.path(), "comparison.json", &comparison.to_string());
}

/// The event of a pull request of the same head into another branch.
fn into(base: &str) -> Value {
    let mut event = event("synchronize", "acme/llm");
    event["pull_request"]["base"]["ref"] = json!(base);
    event
}

#[test]
fn text_that_github_rejects_is_left_out_and_an_older_success_is_replaced() {
    let scene = Scene::new(1.0);
    scene.comment(&[]).expect(0);
    assert_eq!(required(&scene).0, "success");
    let mut comparison = super::comparison(scene.path(), 1.10, Some(HEAD));
    comparison["headline"] = json!("🚀 decoding is slower 🐌");
    write(scene.path(), "comparison.json", &comparison.to_string());
    let stderr = scene
        .comment(&["--report-url", "reports/7.html"])
        .expect(1)
        .stderr;
    let (state, text) = required(&scene);
    assert_eq!(state, "failure");
    assert_eq!(text, "BLOCK: \u{fffd} decoding is slower \u{fffd}");
    assert!(
        stderr.contains("`reports/7.html` is not an absolute http(s) address"),
        "{stderr}"
    );
}

#[test]
fn a_status_whose_text_is_refused_is_set_without_it_and_the_reason_is_shown() {
    let scene = Scene::new(1.10);
    let refusal = json!({"message": "Validation Failed",
        "errors": [{"resource": "Status", "code": "custom", "message": "description is odd"}]});
    let fault = Fault::Answer(422, Vec::new(), refusal.to_string());
    scene.github.fail("POST statuses", 1, fault.clone());
    let stderr = scene.comment(&[]).expect(1).stderr;
    assert!(
        stderr.contains("HTTP 422: Validation Failed: description is odd"),
        "{stderr}"
    );
    assert_eq!(required(&scene).0, "failure");
    assert_eq!(scene.github.statuses_of("perfgate/demo → main").len(), 1);
}

#[test]
fn the_required_status_passes_only_if_every_gate_of_the_commit_passes() {
    let scene = Scene::new(1.10);
    renamed(&scene, "completions", 1.10);
    scene.comment(&[]).expect(1);
    renamed(&scene, "chat", 1.0);
    scene.comment(&[]).expect(0);
    let (state, text) = required(&scene);
    assert_eq!(state, "failure");
    assert!(
        text.starts_with("completions → main: BLOCK: TPOT P95"),
        "{text}"
    );
    let own = scene.github.statuses_of("perfgate/chat → main");
    assert_eq!(own[0]["state"], "success");
    // Once the other passes, both have.
    renamed(&scene, "completions", 1.0);
    scene.comment(&[]).expect(0);
    assert_eq!(required(&scene).0, "success");
}

#[test]
fn one_head_in_two_pull_requests_passes_only_where_both_do() {
    let scene = Scene::new(1.10);
    scene.comment(&[]).expect(1);
    // The same gate, judged by the laxer rules of another branch.
    scene.write_event(&into("experimental"));
    scene.write_comparison("comparison.json", 1.0, Some(HEAD));
    scene.comment(&[]).expect(0);
    let (state, text) = required(&scene);
    assert_eq!(state, "failure");
    assert!(text.starts_with("demo → main: BLOCK"), "{text}");
}

#[test]
fn a_success_is_not_set_while_the_results_of_other_gates_are_unknown() {
    let scene = Scene::new(1.0);
    scene.github.fail(
        "GET /statuses",
        1000,
        Fault::Answer(502, Vec::new(), String::new()),
    );
    let stderr = scene.comment(&[]).expect(0).stderr;
    assert!(stderr.contains("the status was not set"), "{stderr}");
    assert!(scene.github.required().is_empty());
    // A failure is one, whatever others said.
    scene.write_comparison("comparison.json", 1.10, Some(HEAD));
    scene.comment(&[]).expect(1);
    assert_eq!(required(&scene).0, "failure");
}

#[test]
fn gates_whose_names_differ_in_case_alone_have_a_comment_each() {
    let scene = Scene::new(1.0);
    for name in ["Chat", "chat", "Chat"] {
        renamed(&scene, name, 1.0);
        scene.comment(&[]).expect(0);
    }
    assert_eq!(scene.github.world().comments.len(), 2);
}

#[test]
fn a_comment_that_was_deleted_meanwhile_is_created_again() {
    let scene = Scene::new(1.0);
    scene.comment(&[]).expect(0);
    scene
        .github
        .fail("PATCH comments", 1, Fault::says(404, "Not Found"));
    let stderr = scene.comment(&["--require-publish"]).expect(0).stderr;
    assert!(!stderr.contains("warning"), "{stderr}");
    assert_eq!(scene.github.count("POST", "/comments"), 2);
}

#[test]
fn duplicate_comments_are_collapsed_last_and_a_failure_is_reported() {
    let scene = Scene::new(1.0);
    let body = format!("<!-- perfgate:v1 key=demo head={HEAD} run=1.1 -->\nold");
    scene.github.world().comments = vec![
        comment(10, BOT, "Bot", &body),
        comment(20, BOT, "Bot", &body),
    ];
    let fault = Fault::says(403, "Resource not accessible by integration");
    scene.github.fail("PATCH comments/20", 1000, fault);
    let stderr = scene.comment(&[]).expect(0).stderr;
    assert!(
        stderr.contains("a duplicate comment of perfgate was not collapsed"),
        "{stderr}"
    );
    let kept = scene.github.world().comments[0]["body"].clone();
    assert!(kept.as_str().unwrap().contains("perfgate: PASS"), "{kept}");
}

#[test]
fn files_of_the_step_that_cannot_be_written_change_no_exit_code() {
    let mut scene = Scene::new(1.10);
    let nowhere = |name: &'static str| (name, "/proc/no/such/file".to_owned());
    scene.variables = vec![nowhere("GITHUB_OUTPUT"), nowhere("GITHUB_STEP_SUMMARY")];
    let stderr = scene.comment(&["--require-publish"]).expect(1).stderr;
    for what in ["has no outputs", "`comment-url`", "summary has no report"] {
        assert!(stderr.contains(what), "{what}: {stderr}");
    }
    // One that cannot be written keeps the other from nothing.
    let outputs = scene.path().join("outputs").display().to_string();
    scene.variables = vec![nowhere("GITHUB_STEP_SUMMARY"), ("GITHUB_OUTPUT", outputs)];
    scene.comment(&[]).expect(1);
    assert!(scene.outputs().contains("verdict=block"));
}

#[test]
fn publishing_a_comparison_writes_the_summary_of_the_step() {
    let mut scene = Scene::new(1.10);
    let path = scene.path().join("summary");
    scene.variables = vec![("GITHUB_STEP_SUMMARY", path.display().to_string())];
    scene.comment(&[]).expect(1);
    let summary = std::fs::read_to_string(&path).unwrap();
    assert!(summary.contains("perfgate: BLOCK"), "{summary}");
}

const PLAN: &str = "name: demo\nmodel: demo\nserver: {simulator: {seed: 7, noise: 0.2%}}\nnum_requests: 120\nconcurrency: 16\ninput_tokens: 64\noutput_tokens: 16\nrepeat: 3\n";

#[test]
fn a_gate_whose_files_are_broken_leaves_an_error_and_no_older_success() {
    let scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", "name: [demo\n");
    let head = scene.commit();
    let mut comparison = read_json(&scene.path().join("comparison.json"));
    comparison["head"] = json!(head);
    write(scene.path(), "comparison.json", &comparison.to_string());
    scene.comment(&[]).expect(0);
    assert_eq!(required(&scene).0, "success");
    scene.perfgate(&["gate", "--output", "out"]).expect(2);
    let (state, text) = required(&scene);
    assert_eq!(state, "error");
    assert!(text.contains("NO VERDICT"), "{text}");
    // A verdict of that gate takes its place.
    scene.comment(&[]).expect(0);
    assert_eq!(required(&scene).0, "success");
}

#[test]
fn a_verdict_is_published_on_the_commit_that_was_measured_or_nowhere() {
    let scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", PLAN);
    let head = scene.commit();
    scene.git("git checkout -q --detach && git -c user.name=t -c user.email=t@t commit -q --allow-empty -m other");
    let stderr = scene
        .perfgate(&["gate", "--output", "out"])
        .expect(6)
        .stderr;
    assert!(
        stderr.contains("another commit would be measured"),
        "{stderr}"
    );
    assert!(scene.github.world().statuses.is_empty());
    assert!(!scene.path().join("out").exists(), "nothing was measured");
    // A child of the head is not a merge of it. A merge is, also in a clone without its parents.
    scene.git(&format!(
        "tree=$(git rev-parse {head}^{{tree}}); export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t; \
         base=$(git commit-tree $tree -m base); merge=$(git commit-tree $tree -p $base -p {head} -m merge); git checkout -q --detach $merge"
    ));
    let ran = scene.perfgate(&["gate", "--output", "out", "--baseline-ref", ""]);
    assert!(
        !ran.stderr.contains("another commit would be measured"),
        "{}",
        ran.stderr
    );
    assert_eq!(scene.github.required()[0]["sha"], head.as_str());
}

#[test]
fn a_pull_request_that_github_reports_only_after_the_measurement_gets_no_verdict() {
    let mut scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", PLAN);
    // So wide that a busy machine does not decide.
    let wide = "version: 1\nrules: {throughput: {regression: 90%, action: block}}\n";
    write(scene.path(), "thresholds.yaml", wide);
    let stored = "baselines/demo/simulated-gpu-80gb.json";
    run_scripted(scene.path(), &["bench", "--output", stored]).expect(0);
    let head = scene.commit();
    // To the event alone it is a push to the main branch, and no change.
    scene.event = "push";
    scene.sha.clone_from(&head);
    let repository = json!({"default_branch": "main", "full_name": "acme/llm"});
    scene.write_event(&json!({"ref": "refs/heads/main", "after": head, "repository": repository}));
    let home = json!({"full_name": "acme/llm"});
    scene.github.world().pulls = vec![
        json!({"number": 7, "state": "open", "head": {"sha": head, "repo": home}, "base": {"sha": "x", "ref": "main", "repo": home}}),
    ];
    let pulls = format!("GET commits/{head}/pulls");
    scene.github.fail(&pulls, 1, Fault::says(404, "Not Found"));
    let gate = ["gate", "--output", "out"];
    let stderr = scene.perfgate(&gate).expect(6).stderr;
    assert!(
        stderr.contains("pull request 7, which GitHub reported only after the measurement"),
        "{stderr}"
    );
    let text = required(&scene).1;
    assert!(text.contains("NO VERDICT"), "{text}");
    assert!(scene.github.own().is_empty());
    // Known beforehand, its base asks.
    scene.perfgate(&gate).expect(0);
    let decision = &read_json(&scene.path().join("out/comparison.json"))["decision"];
    assert!(decision["baseline_commit"].is_string(), "{decision}");
}

#[test]
fn a_pull_request_that_is_named_by_hand_gets_its_status_on_its_head() {
    let mut scene = Scene::new(1.0);
    scene.event = "workflow_dispatch";
    scene.write_event(&json!({"inputs": {"pr": "7"}}));
    scene.comment(&["--pull-request", "7"]).expect(0);
    let statuses = scene.github.required();
    assert_eq!(statuses[0]["sha"], HEAD);
    assert_eq!(scene.github.statuses_of("perfgate/demo → main").len(), 1);
    scene.own();
}

#[test]
fn an_artifact_of_another_commit_is_not_posted() {
    let scene = super::artifact::fork();
    let other = super::comparison(scene.path(), 1.0, Some(&"9".repeat(40)));
    let stderr = super::artifact::post(&scene, &other).expect(6).stderr;
    assert!(
        stderr.contains("the comparison is of 9999999999, but this step is for 77b02d4f0a"),
        "{stderr}"
    );
    assert!(scene.github.world().comments.is_empty());
}

#[test]
fn the_current_text_of_the_pull_request_counts_when_a_step_is_run_again() {
    let scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", PLAN);
    write(
        scene.path(),
        "thresholds.yaml",
        "version: 1\nrules:\n  tpot.p95: {regression: 30%, action: report}\nnoise: {max_repeats: 3}\n",
    );
    run_scripted(
        scene.path(),
        &[
            "bench",
            "--output",
            "baselines/demo/simulated-gpu-80gb.json",
        ],
    )
    .expect(0);
    scene.commit();
    let gate = [
        "gate",
        "--output",
        "out",
        "--baseline-ref",
        "",
        "--simulator",
        "slowdown=2",
    ];
    scene.perfgate(&gate).expect(1);
    // The event is that of the first run, whose text had nothing.
    scene.github.world().pull["body"] =
        json!("## perfgate analysis\nThe draft model takes 6 GiB and is worth it.");
    let again = scene.perfgate(&gate).expect(0);
    assert!(again.stdout.contains("WARN"), "{}", again.stdout);
}
