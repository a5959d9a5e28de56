//! A maintainer's label with a reason, on this very commit.

use serde_json::{Value, json};

use super::fake::{Fault, comment};
use super::{Scene, event};
use crate::support::{Ran, json as read_json};

const LABEL: &str = "perf-regression-accepted";
const REASON: &str = "The new sampler costs 10 % and is needed for correctness.";

fn labelled(at: &str, by: &str) -> Value {
    json!({"event": "labeled", "created_at": at, "actor": {"login": by, "type": "User"}, "label": {"name": LABEL}})
}

/// A blocked pull request with the label, set by maya after the push, and a reason in its text.
fn accepted() -> Scene {
    let scene = Scene::new(1.10);
    {
        let mut world = scene.github.world();
        world.pull["labels"] = json!([{"name": LABEL}]);
        world.pull["body"] = json!(format!("Intro\n\n## perfgate accepted\n{REASON}\n"));
        world.events = vec![labelled("2026-11-28T03:10:00Z", "maya")];
        world.permissions.insert(
            "maya".to_owned(),
            json!({"permission": "write", "role_name": "maintain"}),
        );
    }
    scene
}

/// Not accepted, and said why.
fn refused(scene: &Scene, why: &str) {
    let ran = scene.comment(&[]).expect(1);
    assert!(ran.stderr.contains(why), "{why}: {}", ran.stderr);
    let own = scene.own().replace("&#58;", ":");
    assert!(
        own.contains("the label <code>perf-regression-accepted</code> is set but does not count"),
        "{own}"
    );
    assert_eq!(scene.github.required().last().unwrap()["state"], "failure");
}

#[test]
fn a_label_with_a_reason_lets_the_regression_through_and_it_stays_red() {
    let scene = accepted();
    let ran = scene
        .comment(&["--json", "accepted.json", "--html", "report.html"])
        .expect(0);
    assert!(
        ran.stdout
            .contains("WARN: merge: the regression was accepted"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("accepted by maya, label perf-regression-accepted"),
        "{}",
        ran.stdout
    );
    let own = scene.own();
    assert!(
        own.contains("Accepted by maya") && own.contains("needed for correctness"),
        "{own}"
    );
    assert!(own.contains("| ⛔ | TPOT"), "{own}");
    let status = scene.github.required()[0].clone();
    assert_eq!(status["state"], "success");
    let kept = read_json(&scene.path().join("accepted.json"));
    assert_eq!(
        (&kept["verdict"], &kept["accepted"]["by"]),
        (&json!("warn"), &json!("maya"))
    );
    assert_eq!(kept["judgements"][0]["status"], "regressed");
    let html = std::fs::read_to_string(scene.path().join("report.html")).unwrap();
    assert!(html.contains("Accepted by maya"));
}

#[test]
fn a_label_that_was_taken_off_blocks_again() {
    let scene = accepted();
    scene.comment(&["--json", "accepted.json"]).expect(0);
    let accepted = read_json(&scene.path().join("accepted.json")).to_string();
    crate::support::write(scene.path(), "comparison.json", &accepted);
    scene.github.world().pull["labels"] = json!([]);
    let ran = scene.comment(&[]).expect(1);
    assert!(ran.stdout.contains("BLOCK: do not merge"), "{}", ran.stdout);
    assert!(scene.own().contains("perfgate: BLOCK"));
    assert!(!scene.own().contains("accepted by maya"), "{}", scene.own());
    assert_eq!(scene.github.required()[1]["state"], "failure");
}

#[test]
fn the_comment_of_a_block_explains_once_how_to_accept_it_and_names_the_label() {
    let scene = Scene::new(1.10);
    scene
        .comment(&["--accept-label", "our-label", "--markdown", "comment.md"])
        .expect(1);
    let own = scene.own();
    let how = "**To accept it:** give the reason under the heading “perfgate accepted” in the pull request's text; \
               a person with write permission then sets the label <code>our-label</code>; a later push removes the acceptance\n";
    assert!(own.contains(how), "{own}");
    let file = std::fs::read_to_string(scene.path().join("comment.md")).unwrap();
    assert!(file.contains(how), "{file}");
    let count = |part: &str| own.matches(part).count();
    assert_eq!(
        [count("perfgate accepted"), count("&#96;"), count(LABEL)],
        [1, 0, 0]
    );
    // Nothing is asked where nothing is to be accepted.
    let passing = Scene::new(1.0);
    passing.comment(&[]).expect(0);
    assert_eq!(passing.github.count("GET", "pulls/7"), 0);
    let off = accepted();
    off.comment(&["--accept-label", ""]).expect(1);
    assert_eq!(off.github.count("GET", "pulls/7"), 0);
    assert!(!off.own().contains("accept it"), "{}", off.own());
}

#[test]
fn no_label_is_named_where_there_is_no_pull_request_to_set_it_on() {
    let mut scene = Scene::new(1.10);
    let markdown = |scene: &Scene| {
        scene.comment(&["--markdown", "comment.md"]).expect(1);
        std::fs::read_to_string(scene.path().join("comment.md")).unwrap()
    };
    assert!(markdown(&scene).contains(LABEL));
    scene.event = "push";
    scene.write_event(&json!({"after": super::HEAD}));
    assert!(!markdown(&scene).contains("accept it"));
    scene.variables = vec![("GITHUB_TOKEN", String::new())];
    assert!(!markdown(&scene).contains("accept it"));
}

#[test]
fn a_reason_in_a_comment_counts_only_from_the_person_who_set_the_label() {
    let scene = accepted();
    let line = format!("I looked at it.\nperf-accept: {REASON}");
    scene.github.world().pull["body"] = json!("nothing");
    refused(&scene, "the reason is missing");
    scene
        .github
        .world()
        .comments
        .push(comment(900, "mallory", "User", &line));
    refused(&scene, "the reason is missing");
    scene
        .github
        .world()
        .comments
        .push(comment(901, "maya", "User", &line));
    scene.comment(&[]).expect(0);
    assert!(scene.own().contains("WARN"));
}

#[test]
fn a_short_or_empty_reason_does_not_count() {
    let scene = accepted();
    scene.github.world().pull["body"] = json!("perf-accept: ok");
    refused(&scene, "the reason must have 20 to 4000");
    scene.github.world().pull["body"] =
        json!("## perfgate accepted\n<!-- why is it worth it? -->\n");
    refused(&scene, "the reason is missing");
}

#[test]
fn a_person_without_write_permission_cannot_accept() {
    let scene = accepted();
    for permission in [
        json!({"permission": "read", "role_name": "triage"}),
        json!({"permission": "none"}),
    ] {
        scene
            .github
            .world()
            .permissions
            .insert("maya".to_owned(), permission);
        refused(&scene, "maya set it without write permission");
    }
    // The last who set it counts.
    let mut world = scene.github.world();
    world
        .permissions
        .insert("otto".to_owned(), json!({"permission": "admin"}));
    world.events.push(json!({"event": "unlabeled", "created_at": "2026-11-28T03:11:00Z", "actor": {"login": "maya"}, "label": {"name": LABEL}}));
    world.events.push(labelled("2026-11-28T03:12:00Z", "otto"));
    drop(world);
    scene.comment(&[]).expect(0);
}

#[test]
fn a_new_push_takes_the_acceptance_away() {
    let mut scene = accepted();
    // The event of the push says when it was: 03:00:01.
    scene.github.world().events = vec![labelled("2026-11-28T02:59:00Z", "maya")];
    refused(&scene, "it is older than the last push");
    scene
        .github
        .world()
        .events
        .push(labelled("2026-11-28T03:10:00Z", "maya"));
    scene.github.world().events.push(json!({"event": "head_ref_force_pushed", "created_at": "2026-11-28T03:11:00Z", "actor": null}));
    refused(&scene, "it is older than the last push");
    // The head is another one by now.
    scene.github.world().pull["head"]["sha"] = json!("9".repeat(40));
    refused(&scene, "has newer commits than this measurement");
    // Another event says nothing of the push; GitHub's list of pushes does.
    scene = accepted();
    scene.write_event(&event("edited", "acme/llm"));
    scene.comment(&[]).expect(0);
    scene.github.world().activity[0]["timestamp"] = json!("2026-11-28T03:10:01Z");
    refused(&scene, "it is older than the last push");
    for activity in [
        json!([]),
        json!([{"after": "8".repeat(40), "timestamp": "2026-11-28T03:00:00Z"}]),
    ] {
        scene.github.world().activity = activity.as_array().unwrap().clone();
        refused(&scene, "GitHub reports no push time for the commit");
    }
    scene
        .github
        .fail("GET activity", 1, Fault::says(404, "Not Found"));
    refused(&scene, "GitHub reports no push time for the commit");
}

#[test]
fn the_event_of_the_label_itself_needs_no_list_of_pushes() {
    let scene = accepted();
    let mut labelled = event("labeled", "acme/llm");
    labelled["label"] = json!({"name": LABEL});
    scene.write_event(&labelled);
    scene.comment(&[]).expect(0);
    assert_eq!(scene.github.count("GET", "activity"), 0);
    // That of another label does.
    labelled["label"] = json!({"name": "other"});
    scene.write_event(&labelled);
    scene.comment(&[]).expect(0);
    assert_eq!(scene.github.count("GET", "activity"), 1);
}

#[test]
fn a_regression_is_not_accepted_if_github_does_not_answer() {
    let scene = accepted();
    scene.github.fail(
        "GET collaborators",
        1,
        Fault::says(403, "Resource not accessible by integration"),
    );
    let ran: Ran = scene.comment(&[]).expect(1);
    assert!(
        ran.stderr
            .contains("unknown whether the regression was accepted"),
        "{}",
        ran.stderr
    );
    scene.github.fail(
        "GET events",
        1,
        Fault::Answer(200, Vec::new(), "{}".to_owned()),
    );
    scene.comment(&[]).expect(1);
}

#[test]
fn a_label_does_not_accept_an_incomparable_result() {
    let scene = accepted();
    let mut comparison = super::comparison(scene.path(), 1.10, Some(super::HEAD));
    comparison["verdict"] = json!("incomparable");
    comparison["exit_code"] = json!(4);
    comparison["mismatches"] =
        json!([{"what": "workload digest", "baseline": "a", "candidate": "b"}]);
    crate::support::write(scene.path(), "comparison.json", &comparison.to_string());
    scene.comment(&[]).expect(4);
    assert_eq!(scene.github.required()[0]["state"], "error");
}
