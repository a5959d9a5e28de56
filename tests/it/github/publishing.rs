//! Comment, status and check run.

use serde_json::json;

use super::fake::{BOT, Fault, GitHub, HEAD, TOKEN, comment};
use super::{Scene, event};
use crate::support::{Ran, command, json as read_json, run_scripted, write};

#[test]
fn a_block_becomes_one_comment_and_a_failed_status_on_the_head() {
    let scene = Scene::new(1.10);
    let ran = scene.comment(&[]).expect(1);
    assert!(ran.stdout.contains("BLOCK: do not merge"), "{}", ran.stdout);
    insta::with_settings!({filters => vec![(r"(?s)\n<details><summary>All figures.*?</details>\n\n<details><summary>Why.*?</details>\n", "\n[figures]\n")]}, {
        insta::assert_snapshot!(scene.own());
    });
    let statuses = scene.github.required();
    assert_eq!(statuses.len(), 1);
    insta::assert_json_snapshot!(statuses[0], @r#"
    {
      "context": "perfgate",
      "description": "BLOCK: TPOT P95 is 10.0 % slower, 95 % interval +5.1 % to +15.1 %, limit 5.0 %",
      "sha": "77b02d4f0a1b2c3d4e5f60718293a4b5c6d7e8f9",
      "state": "failure",
      "target_url": "https://github.test/acme/llm/actions/runs/100"
    }
    "#);
    for output in [
        "comment-url=https://github.test/acme/llm/pull/7#issuecomment-1001\n",
        "verdict=block\nexit-code=1\nheadline=TPOT P95 is 10.0 % slower",
    ] {
        assert!(scene.outputs().contains(output), "{}", scene.outputs());
    }
    assert_eq!(
        scene.github.count("POST", "check-runs"),
        0,
        "off unless asked for"
    );
}

#[test]
fn a_second_push_edits_the_comment_and_leaves_a_line_of_the_first() {
    let scene = Scene::new(1.10);
    scene.comment(&[]).expect(1);
    let next = "8".repeat(40);
    scene.write_comparison("comparison.json", 1.0, Some(&next));
    let mut pushed = event("synchronize", "acme/llm");
    pushed["pull_request"]["head"]["sha"] = json!(next);
    scene.write_event(&pushed);
    scene.comment(&[]).expect(0);
    // Once more the same: nothing is added.
    scene.comment(&[]).expect(0);
    let own = scene.own();
    assert!(own.contains("perfgate: PASS"), "{own}");
    let lines: Vec<&str> = own.lines().filter(|line| line.starts_with("- `")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    - `77b02d4f0a` ⛔ BLOCK: TPOT P95 is 10.0 % slower, 95 % interval +5.1 % to +15.1 %, limit 5.0 %
    - `8888888888` ✅ PASS: every change is below its limit&#58; TPOT P95 0.0 %, throughput 0.0 % &#40;plus is worse&#41;; a regression above 3.6 % is ruled out
    ");
    assert_eq!(scene.github.count("POST", "comments"), 1);
}

#[test]
fn an_older_run_does_not_overwrite_what_a_newer_one_wrote() {
    let mut scene = Scene::new(1.0);
    scene.comment(&[]).expect(0);
    let written = scene.own();
    let older = "9".repeat(40);
    scene.write_comparison("comparison.json", 1.10, Some(&older));
    let mut pushed = event("synchronize", "acme/llm");
    pushed["pull_request"]["head"]["sha"] = json!(older);
    scene.write_event(&pushed);
    scene.variables = vec![("GITHUB_RUN_ID", "99".to_owned())];
    let stderr = scene.comment(&[]).expect(1).stderr;
    assert!(stderr.contains("the newer run 100"), "{stderr}");
    assert_eq!(scene.own(), written);
    assert_eq!(
        scene.github.required()[1]["sha"],
        older,
        "a status is of its commit"
    );
}

#[test]
fn our_comment_is_found_among_240_of_others_and_a_planted_marker_is_not_ours() {
    let scene = Scene::new(1.0);
    let planted = "<!-- perfgate:v1 key=demo head=x run=999999.1 -->\n### PASS";
    {
        let mut world = scene.github.world();
        for id in 0..240 {
            let body = if id == 3 { planted } else { "nice" };
            world
                .comments
                .push(comment(id + 1, "mallory", "User", body));
        }
        world.comments.push(comment(
            500,
            BOT,
            "Bot",
            "<!-- perfgate:v1 key=other -->\nanother gate's",
        ));
    }
    scene.comment(&[]).expect(0);
    scene.comment(&[]).expect(0);
    let own = scene.own();
    assert!(own.contains("perfgate: PASS"), "{own}");
    let world = scene.github.world();
    assert_eq!(world.comments[3]["body"], planted);
    assert_eq!(world.comments.len(), 242);
}

#[test]
fn surplus_comments_of_ours_are_folded_to_a_line_and_the_oldest_is_kept() {
    let scene = Scene::new(1.0);
    {
        let mut world = scene.github.world();
        let body = format!("<!-- perfgate:v1 key=demo head={HEAD} run=1.1 -->\nold");
        world.comments = vec![
            comment(20, BOT, "Bot", &body),
            comment(10, BOT, "Bot", &body),
        ];
    }
    scene.comment(&[]).expect(0);
    let edits = scene.github.count("PATCH", "comments");
    scene.comment(&[]).expect(0);
    assert_eq!(
        scene.github.count("PATCH", "comments"),
        edits + 1,
        "a folded one is left alone"
    );
    let world = scene.github.world();
    assert!(
        world.comments[1]["body"]
            .as_str()
            .unwrap()
            .contains("perfgate: PASS")
    );
    insta::assert_snapshot!(world.comments[0]["body"].as_str().unwrap(), @r"
    <!-- perfgate:v1 key=demo -->
    perfgate's result is in [its first comment](https://github.test/acme/llm/pull/7#issuecomment-10).
    ");
}

#[test]
fn on_change_creates_no_comment_for_a_pass_and_updates_an_existing_one() {
    let scene = Scene::new(1.0);
    scene.comment(&["--comment", "on-change"]).expect(0);
    assert_eq!(scene.github.own().len(), 0);
    assert_eq!(scene.github.required().len(), 1);
    scene.write_comparison("comparison.json", 1.10, Some(HEAD));
    scene.comment(&["--comment", "on-change"]).expect(1);
    scene.write_comparison("comparison.json", 1.0, Some(HEAD));
    scene.comment(&["--comment", "on-change"]).expect(0);
    assert!(
        scene.own().contains("perfgate: PASS"),
        "one that is there is kept true"
    );
    scene
        .comment(&["--comment", "never", "--status-context", ""])
        .expect(0);
    assert_eq!(scene.github.required().len(), 3);
}

#[test]
fn an_enterprise_server_keeps_its_path_on_every_page() {
    let scene = Scene::at(1.0, "/api/v3");
    scene.github.world().comments = (0..120)
        .map(|id| comment(id + 1, "maya", "User", "hello"))
        .collect();
    scene.comment(&[]).expect(0);
    scene.own();
    assert_eq!(scene.github.count("GET", "comments"), 2);
}

#[test]
fn a_check_run_has_the_verdict_and_a_name_of_its_own() {
    let scene = Scene::new(1.10);
    scene.github.fail("POST check-runs", 1, Fault::DoneAndLost);
    scene
        .comment(&["--check-run", "--report-url", "https://reports.test/7"])
        .expect(1);
    let world = scene.github.world();
    assert_eq!(
        world.check_runs.len(),
        1,
        "looked for before it is made again"
    );
    let run = &world.check_runs[0];
    assert_eq!(
        (run["name"].as_str(), run["conclusion"].as_str()),
        (Some("perfgate report: demo"), Some("failure"))
    );
    assert_eq!(
        (&run["head_sha"], &run["details_url"]),
        (&json!(HEAD), &json!("https://reports.test/7"))
    );
    assert_eq!(world.statuses[0]["target_url"], "https://reports.test/7");
}

#[test]
fn a_check_run_marks_the_lines_of_the_rules_that_do_not_hold() {
    let scene = Scene::new(1.10);
    let mut comparison = read_json(&scene.path().join("comparison.json"));
    for (index, row) in comparison["judgements"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        row["rule"]["place"] = json!({"file": "thresholds.yaml", "line": 3 + index});
    }
    write(scene.path(), "comparison.json", &comparison.to_string());
    scene.comment(&["--check-run"]).expect(1);
    let world = scene.github.world();
    let marks = world.check_runs[0]["output"]["annotations"]
        .as_array()
        .unwrap();
    // Two that block, one that warns; the one that holds has none.
    let seen: Vec<(&str, u64)> = marks
        .iter()
        .map(|mark| {
            (
                mark["annotation_level"].as_str().unwrap(),
                mark["start_line"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("failure", 3), ("failure", 4), ("warning", 5)]);
    assert_eq!(marks[0]["path"], "thresholds.yaml");
}

#[test]
fn a_merge_queue_gets_its_status_and_no_comment() {
    let mut scene = Scene::new(1.0);
    scene.event = "merge_group";
    let reference = format!("refs/heads/gh-readonly-queue/main/pr-7-{HEAD}");
    scene.write_event(&json!({"merge_group": {"head_sha": HEAD, "head_ref": reference}}));
    scene.comment(&[]).expect(0);
    assert_eq!(scene.github.required()[0]["sha"], HEAD);
    assert_eq!(scene.github.count("GET", "comments"), 0);
}

#[test]
fn a_push_comments_on_the_open_pull_request_that_has_it_as_its_head() {
    let mut scene = Scene::new(1.0);
    scene.event = "push";
    scene.write_event(&json!({"after": HEAD}));
    let pull = |number: u64, sha: &str, base: &str, state: &str| json!({"number": number, "state": state, "head": {"sha": sha, "repo": {"full_name": "acme/llm"}}, "base": {"sha": "x", "repo": {"full_name": base}}});
    scene.github.world().pulls = vec![
        pull(5, HEAD, "mallory/llm", "open"),
        pull(6, &"2".repeat(40), "acme/llm", "open"),
        pull(4, HEAD, "acme/llm", "closed"),
        pull(7, HEAD, "acme/llm", "open"),
    ];
    scene.comment(&[]).expect(0);
    scene.own();
}

#[test]
fn a_token_of_a_person_finds_the_comments_of_that_person() {
    let scene = Scene::new(1.0);
    scene.github.world().writer = ("maya".to_owned(), "User".to_owned());
    // The token says what it is by its beginning; the fake takes any.
    let stderr = scene
        .comment(&["--comment-author", "maya"])
        .expect(0)
        .stderr;
    assert!(!stderr.contains("warning"), "{stderr}");
    scene.comment(&["--comment-author", "maya"]).expect(0);
    scene.own();
}

#[test]
fn a_token_of_an_app_finds_the_comment_that_it_wrote() {
    let scene = Scene::at(1.0, "/api/v3");
    scene.github.world().writer = ("our-app[bot]".to_owned(), "Bot".to_owned());
    for _ in 0..2 {
        let stderr = scene.comment(&[]).expect(0).stderr;
        assert!(!stderr.contains("warning"), "{stderr}");
    }
    scene.own();
    // Where nobody tells whose token it is, it is said at least.
    let other = Scene::new(1.0);
    other.github.world().writer = ("our-app[bot]".to_owned(), "Bot".to_owned());
    other
        .github
        .fail("POST graphql", 1, Fault::says(404, "Not Found"));
    let stderr = other.comment(&[]).expect(0).stderr;
    assert!(
        stderr.contains("set `--comment-author 'our-app[bot]'`"),
        "{stderr}"
    );
}

#[test]
fn without_a_token_nothing_is_published_which_is_an_error_only_if_publishing_is_required() {
    let mut scene = Scene::new(1.10);
    scene.variables = vec![("GITHUB_TOKEN", String::new())];
    let stderr = scene.comment(&[]).expect(1).stderr;
    assert!(
        stderr.contains("nothing is published: GITHUB_TOKEN is not set"),
        "{stderr}"
    );
    for flags in [&["--require-publish"][..], &["--comment", "always"]] {
        let stderr = scene.comment(flags).expect(6).stderr;
        assert!(stderr.contains("github.token"), "{stderr}");
    }
    assert!(scene.github.world().seen.is_empty());
}

#[test]
fn a_comparison_of_another_commit_is_not_published() {
    let scene = Scene::new(1.0);
    scene.write_comparison("comparison.json", 1.0, Some(&"9".repeat(40)));
    let stderr = scene.comment(&[]).expect(2).stderr;
    assert!(
        stderr.contains("the comparison is of 9999999999, but this step is for 77b02d4f0a"),
        "{stderr}"
    );
    scene.write_comparison("comparison.json", 1.0, None);
    scene.comment(&[]).expect(2);
    assert!(scene.github.world().statuses.is_empty());
    // What was checked out in this very step is its merge commit.
    let mut comparison = super::comparison(scene.path(), 1.0, None);
    comparison["candidate"]["commit"] = json!("1".repeat(40));
    write(scene.path(), "comparison.json", &comparison.to_string());
    scene.comment(&[]).expect(0);
}

#[test]
fn a_broken_event_is_reported_before_any_request() {
    let scene = Scene::new(1.0);
    for event in [
        "rubbish",
        "{\"number\": 7, \"pull_request\": {\"head\": {\"sha\": \"x\"}}}",
    ] {
        write(scene.path(), "event.json", event);
        let stderr = scene.comment(&[]).expect(2).stderr;
        assert!(stderr.contains("the event"), "{stderr}");
    }
    assert!(scene.github.world().seen.is_empty());
}

#[test]
fn the_gate_publishes_its_verdict_and_records_the_commit() {
    let plan = "name: demo\nmodel: demo\nserver: {simulator: {seed: 7, noise: 0.2%}}\nnum_requests: 120\nconcurrency: 16\ninput_tokens: 64\noutput_tokens: 16\nrepeat: 3\n";
    let scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", plan);
    run_scripted(
        scene.path(),
        &[
            "bench",
            "--output",
            "baselines/demo/simulated-gpu-80gb.json",
        ],
    )
    .expect(0);
    let head = scene.commit();
    let ran = scene
        .perfgate(&[
            "gate",
            "--output",
            "out",
            "--simulator",
            "slowdown=1.2",
            "--require-publish",
        ])
        .expect(1);
    assert!(ran.stdout.contains("BLOCK"), "{}", ran.stdout);
    assert!(scene.own().contains("perfgate: BLOCK"));
    assert_eq!(scene.github.required()[0]["state"], "failure");
    assert_eq!(
        read_json(&scene.path().join("out/comparison.json"))["head"],
        head.as_str()
    );
    assert!(scene.outputs().contains("comment-url=") && scene.outputs().contains("verdict=block"));
    // Required and impossible: said before anything is measured.
    let mut command = command(
        scene.path(),
        &["gate", "--output", "never", "--require-publish"],
    );
    let stderr = Ran::of(&command.output().unwrap()).expect(6).stderr;
    assert!(stderr.contains("cannot publish"), "{stderr}");
    assert!(!scene.path().join("never").exists());
}

#[test]
fn a_gate_without_a_verdict_leaves_an_error_on_the_head_and_no_older_success() {
    let plan = "name: demo\nmodel: demo\nserver: {process: {command: [\"false\", \"{port}\"]}}\nnum_requests: 20\nconcurrency: 2\ninput_tokens: 16\noutput_tokens: 4\nrepeat: 3\n";
    let scene = Scene::new(1.0);
    write(scene.path(), "perfgate.yaml", plan);
    scene.commit();
    scene.perfgate(&["gate", "--output", "out"]).expect(5);
    let statuses = scene.github.required();
    assert_eq!(statuses[0]["state"], "error");
    let description = statuses[0]["description"].as_str().unwrap();
    assert!(
        description.starts_with("NO VERDICT: ") && description.contains("(exit code 5)"),
        "{description}"
    );
    assert!(scene.github.own().is_empty());
}

#[test]
fn hostile_names_stay_text_in_the_comment() {
    let scene = Scene::new(1.10);
    let mut comparison = super::comparison(scene.path(), 1.10, Some(HEAD));
    let hostile = "x --><script>@everyone #1 ](http://evil.test)\n::error::y";
    comparison["name"] = json!(hostile);
    comparison["headline"] = json!(hostile);
    comparison["candidate"]["model"] = json!(hostile);
    write(scene.path(), "comparison.json", &comparison.to_string());
    scene
        .comment(&["--report-url", "https://x.test/>) @me"])
        .expect(1);
    let description = scene.github.required()[0]["description"].clone();
    let world = scene.github.world();
    let body = world.comments[0]["body"].as_str().unwrap();
    assert!(
        !body.contains("@everyone") && !body.contains("<script") && !body.contains("](http://evil"),
        "{body}"
    );
    assert_eq!(body.lines().next().unwrap().matches("-->").count(), 1);
    let description = description.as_str().unwrap();
    assert!(!description.contains('\n') && description.chars().count() <= 140);
}

#[test]
fn the_token_goes_to_no_other_server() {
    let scene = Scene::new(1.0);
    let other = GitHub::start("");
    let next = format!(
        "<{}/repositories/1/issues/7/comments?page=2>; rel=\"next\"",
        other.address()
    );
    scene.github.fail(
        "GET comments",
        1,
        Fault::Answer(200, vec![("link", next)], "[]".to_owned()),
    );
    let stderr = scene.comment(&[]).expect(0).stderr;
    assert!(
        stderr.contains("its next page is on another server"),
        "{stderr}"
    );
    let redirect = format!("{}/repos/acme/llm/issues/7/comments", other.address());
    scene.github.fail(
        "GET comments",
        1,
        Fault::Answer(302, vec![("location", redirect)], String::new()),
    );
    scene.comment(&[]).expect(0);
    assert!(other.world().seen.is_empty(), "{}", TOKEN.len());
}
