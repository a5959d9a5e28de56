//! What perfgate does when GitHub fails: the table in `docs/reference/github.md`, row by row.

use super::Scene;
use super::fake::{Fault, comment};

const PAGE: &str = include_str!("../../../docs/reference/github.md");

/// One way to fail.
struct Row {
    /// In words.
    fault: &'static str,
    /// Which requests, how often, how.
    requests: &'static str,
    times: u32,
    how: How,
    /// The message of perfgate; `…` stands for anything.
    says: &'static str,
    /// Comments of ours that are left.
    left: usize,
}

#[derive(Clone, Copy)]
enum How {
    Secondary(Option<&'static str>),
    Primary(u64),
    DoneAndLost,
    Lost,
    BadGateway,
    Hang,
    Says(u16, &'static str),
    TooLong,
}

impl How {
    fn fault(self) -> Fault {
        let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        match self {
            Self::Secondary(after) => {
                let header = after.map(|seconds| ("retry-after", seconds.to_owned()));
                let body = serde_json::json!({"message": secondary}).to_string();
                Fault::Answer(403, header.into_iter().collect(), body)
            }
            Self::Primary(after) => {
                let reset = perfgate::clock::unix_time().as_secs() + after;
                let headers = vec![
                    ("x-ratelimit-remaining", "0".to_owned()),
                    ("x-ratelimit-reset", reset.to_string()),
                ];
                Fault::Answer(403, headers, r#"{"message":"API rate limit exceeded"}"#.to_owned())
            }
            Self::DoneAndLost => Fault::DoneAndLost,
            Self::Lost => Fault::Lost,
            Self::BadGateway => Fault::Answer(502, Vec::new(), "<html>502 Bad Gateway</html>".to_owned()),
            Self::Hang => Fault::Hang,
            Self::Says(status, message) => Fault::says(status, message),
            Self::TooLong => Fault::Answer(
                422,
                Vec::new(),
                r#"{"message":"Validation Failed","errors":[{"message":"Body is too long (maximum is 65536 characters)"}]}"#.to_owned(),
            ),
        }
    }
}

const FOREVER: u32 = 1000;

const ROWS: [Row; 19] = [
    Row {
        fault: "a secondary limit with `Retry-After: 7`",
        requests: "POST comments",
        times: 1,
        how: How::Secondary(Some("7")),
        says: "waiting 7 s for GitHub",
        left: 1,
    },
    Row {
        fault: "a secondary limit without it, which GitHub means as a minute",
        requests: "POST comments",
        times: FOREVER,
        how: How::Secondary(None),
        says: "warning: the verdict is unchanged, but the comment was not written: …requires a wait of 60 s, but …s of the 60 s for publishing are left",
        left: 0,
    },
    Row {
        fault: "a secondary limit with `Retry-After: 25` without end",
        requests: "POST comments",
        times: FOREVER,
        how: How::Secondary(Some("25")),
        says: "waiting 25 s for GitHub…waiting 25 s for GitHub…the comment was not written: …requires a wait of 25 s",
        left: 0,
    },
    Row {
        fault: "the primary limit, reset in 30 s",
        requests: "GET comments",
        times: 1,
        how: How::Primary(30),
        says: "waiting 3… s for GitHub: …API rate limit exceeded",
        left: 1,
    },
    Row {
        fault: "the primary limit, reset in an hour",
        requests: "GET comments",
        times: FOREVER,
        how: How::Primary(3600),
        says: "the comment was not written: …API rate limit exceeded: requires a wait of 36… s",
        left: 0,
    },
    Row {
        fault: "the comment is created and the answer is lost",
        requests: "POST comments",
        times: 1,
        how: How::DoneAndLost,
        says: "waiting 1 s for GitHub: POST",
        left: 1,
    },
    Row {
        fault: "the connection ends and no comment was created",
        requests: "POST comments",
        times: 1,
        how: How::Lost,
        says: "waiting 1 s for GitHub: POST",
        left: 1,
    },
    Row {
        fault: "502 on the create, then well",
        requests: "POST comments",
        times: 1,
        how: How::BadGateway,
        says: "waiting 1 s for GitHub: POST …HTTP 502",
        left: 1,
    },
    Row {
        fault: "502 on the create for ever",
        requests: "POST comments",
        times: FOREVER,
        how: How::BadGateway,
        says: "the comment was not written: …HTTP 502",
        left: 0,
    },
    Row {
        fault: "502 on the list, three times",
        requests: "GET comments",
        times: 3,
        how: How::BadGateway,
        says: "waiting 1 s for GitHub…waiting 2 s for GitHub…waiting 4 s for GitHub",
        left: 1,
    },
    Row {
        fault: "no answer to the create",
        requests: "POST comments",
        times: 1,
        how: How::Hang,
        says: "waiting 1 s for GitHub: POST …timed out",
        left: 1,
    },
    Row {
        fault: "no answer to the list for ever",
        requests: "GET comments",
        times: FOREVER,
        how: How::Hang,
        says: "the comment was not written: …timed out",
        left: 0,
    },
    Row {
        fault: "a token that only reads",
        requests: "POST comments",
        times: FOREVER,
        how: How::Says(403, "Resource not accessible by integration"),
        says: "the comment was not written: …Resource not accessible by integration; the token lacks the permission: give the job…permissions:…pull-requests: write",
        left: 0,
    },
    Row {
        fault: "a token that sets no status",
        requests: "POST statuses",
        times: FOREVER,
        how: How::Says(403, "Resource not accessible by integration"),
        says: "the status was not set: …permissions:…statuses: write",
        left: 1,
    },
    Row {
        fault: "a wrong token",
        requests: "GET comments",
        times: FOREVER,
        how: How::Says(401, "Bad credentials"),
        says: "the comment was not written: …Bad credentials; the token is invalid or expired",
        left: 0,
    },
    Row {
        fault: "a locked conversation",
        requests: "POST comments",
        times: FOREVER,
        how: How::Says(403, "Unable to create comment because issue is locked."),
        says: "the conversation is locked: unlock it, or use `--comment never`",
        left: 0,
    },
    Row {
        fault: "the body is found too long",
        requests: "POST comments",
        times: 1,
        how: How::TooLong,
        says: "",
        left: 1,
    },
    Row {
        fault: "the list is not valid JSON",
        requests: "GET comments",
        times: FOREVER,
        how: How::Says(200, "hello"),
        says: "the comment was not written: …unexpected answer from GitHub",
        left: 0,
    },
    Row {
        fault: "240 comments of others, one with our marker in it",
        requests: "GET nothing",
        times: 1,
        how: How::Lost,
        says: "",
        left: 1,
    },
];

/// What stands in the page.
fn line(row: &Row) -> String {
    let says = if row.says.is_empty() {
        "nothing"
    } else {
        row.says
    };
    format!("| {} | {} | {} |\n", row.fault, says, row.left)
}

fn contains_in_order(text: &str, pattern: &str) -> bool {
    let mut rest = text;
    pattern.split('…').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

fn hold(row: &Row) {
    let mut scene = Scene::new(1.10);
    if matches!(row.how, How::Hang) {
        scene
            .variables
            .push(("PERFGATE_GITHUB_TIMEOUT_MS", "1000".to_owned()));
    }
    if row.fault.starts_with("240") {
        let marker = "<!-- perfgate:v1 key=demo head=x run=9.9 -->";
        scene.github.world().comments = (0..240)
            .map(|id| comment(id + 1, "mallory", "User", marker))
            .collect();
    }
    scene.github.fail(row.requests, row.times, row.how.fault());
    // The verdict's exit code, whatever GitHub does.
    let ran = scene.comment(&[]).expect(1);
    assert!(
        contains_in_order(&ran.stderr, row.says),
        "{}: {}",
        row.fault,
        ran.stderr
    );
    assert_eq!(
        scene.github.own().len(),
        row.left,
        "{}: {}",
        row.fault,
        ran.stderr
    );
    let warned = ran.stderr.contains("warning: ");
    let statuses = scene.github.required().len();
    assert_eq!(
        statuses,
        usize::from(!row.requests.contains("statuses")),
        "{}",
        row.fault
    );
    // The next run of the same leaves one.
    scene.github.world().faults.clear();
    scene.comment(&[]).expect(1);
    assert_eq!(scene.github.own().len(), 1, "{}", row.fault);
    // And where publishing is required, what failed is a failure.
    if warned {
        scene.github.fail(row.requests, row.times, row.how.fault());
        if row.requests.starts_with("GET") || row.requests.contains("statuses") {
            let stderr = scene.comment(&["--require-publish"]).expect(6).stderr;
            assert!(
                stderr.contains("the verdict is unchanged (exit code 1), but was not published"),
                "{stderr}"
            );
        }
    }
}

macro_rules! rows {
    ($($name:ident: $range:expr;)*) => {$(
        #[test]
        fn $name() {
            ROWS[$range].iter().for_each(hold);
        }
    )*};
}

rows! {
    limits_are_waited_for_and_not_for_ever: 0..5;
    a_lost_answer_leaves_one_comment: 5..8;
    a_failing_server_never_changes_the_verdict: 8..12;
    a_refusal_says_what_to_do: 12..17;
    odd_answers_and_crowds_leave_one_comment: 17..19;
}

#[test]
fn the_page_contains_the_tables_of_the_tests() {
    let head = "| GitHub | message | comments of ours left |\n| --- | --- | --- |\n";
    let table: String = ROWS.iter().map(line).collect();
    assert!(
        PAGE.contains(&format!("{head}{table}")),
        "docs/reference/github.md must have\n{head}{table}"
    );
}
