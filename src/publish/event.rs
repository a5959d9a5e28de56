//! The commit and pull request of a GitHub Actions step. The event's file contains untrusted text of the pull request's
//! author; only numbers, commits and names in strict forms are read from it.

use std::fmt;

use super::payload::{End, Event, EventError, PullRequest, WorkflowRun};
use super::sha::Sha;

/// `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// The repository of that name; `None` if the name is not valid.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            (1..=100).contains(&part.len())
                && part.chars().all(allowed)
                && part != "."
                && part != ".."
        };
        let (owner, name) = text.split_once('/')?;
        (is_name(owner) && is_name(name)).then(|| Self(text.to_owned()))
    }

    /// `owner/name`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its owner.
    pub fn owner(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether it has this name, without case.
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pull request, as far as the event contains it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Pull {
    /// This one.
    Known(u64),
    /// The one with this commit as its head; requires a query.
    OfHead,
    /// The one for this branch of a fork; requires a query.
    OfBranch(Branch),
    /// None: only the status is published.
    #[default]
    None,
}

/// A branch of another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The repository.
    pub repository: Repository,
    /// Its name, with any character that git accepts.
    pub name: String,
}

/// What the event contains about the pull request's head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// Pushed at or before that time (RFC 3339).
    Pushed(String),
    /// This label was set while the commit was the head.
    Labelled(String),
    /// Unknown.
    #[default]
    Other,
}

/// Run of a workflow; later runs have larger numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId {
    /// Its number.
    pub run: u64,
    /// Number of its attempt.
    pub attempt: u64,
}

/// Where to publish; the default is unknown, and the pull request has the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// The commit for the status: the head of the pull request, never the checked-out merge commit. `None` if the event does
    /// not contain it and the pull request must be queried.
    pub head: Option<Sha>,
    /// The pull request.
    pub pull: Pull,
    /// The base branch, if the event contains it.
    pub base: Option<String>,
    /// Whether the head is in another repository.
    pub from_fork: bool,
    /// What is known about the push.
    pub moment: Moment,
    /// The run of the measurement, if it differs from this run.
    pub measured_by: Option<RunId>,
}

/// Where to publish for an event. `commit` is `GITHUB_SHA`, which applies to events without a pull request.
pub fn occasion(
    event: &str,
    content: &Event,
    ours: &Repository,
    commit: Option<&str>,
) -> Result<Occasion, EventError> {
    let missing = |part| EventError::Part {
        event: event.to_owned(),
        part,
    };
    let commit = commit.and_then(Sha::parse);
    match event {
        "merge_group" => {
            let group = content.merge_group.as_ref();
            let group = group.ok_or_else(|| missing("merge_group"))?;
            let head = group.head_sha.as_deref().and_then(Sha::parse);
            Ok(Occasion {
                base: group.base_ref.as_deref().map(branch),
                ..of_commit(Some(head.ok_or_else(|| missing("merge_group.head_sha"))?))
            })
        }
        "workflow_run" => {
            let run = content.workflow_run.as_ref();
            let run = run.ok_or_else(|| missing("workflow_run"))?;
            of_workflow_run(run, ours).map_err(missing)
        }
        "push" => {
            // For an annotated tag it is the tag object, not a commit.
            let reference = content.reference.as_deref();
            let is_tag = reference.is_some_and(|reference| reference.starts_with("refs/tags/"));
            let after = content.after.as_deref().and_then(Sha::parse);
            let head = if is_tag {
                commit.or(after)
            } else {
                after.or(commit)
            };
            Ok(Occasion {
                pull: Pull::OfHead,
                ..of_commit(Some(head.ok_or_else(|| missing("after"))?))
            })
        }
        "workflow_dispatch" => Ok(Occasion {
            pull: commit.as_ref().map_or(Pull::None, |_| Pull::OfHead),
            ..of_commit(commit)
        }),
        "issue_comment" | "issues" => {
            let issue = content.issue.as_ref().ok_or_else(|| missing("issue"))?;
            let number = issue.number.filter(|_| issue.pull_request.is_some());
            // GITHUB_SHA is the head of the default branch here, not the measured commit.
            Ok(Occasion {
                pull: number.map_or(Pull::None, Pull::Known),
                ..of_commit(None)
            })
        }
        _ => match &content.pull_request {
            Some(pull) => of_pull_request(content, pull, ours).map_err(missing),
            None => Ok(of_commit(commit)),
        },
    }
}

/// The branch of a reference such as `refs/heads/main`.
fn branch(reference: &str) -> String {
    let name = reference.strip_prefix("refs/heads/");
    name.unwrap_or(reference).to_owned()
}

/// The branch of one end.
fn branch_of(end: Option<&End>) -> Option<String> {
    end.and_then(|end| end.branch.clone())
        .filter(|branch| !branch.is_empty())
}

fn of_commit(head: Option<Sha>) -> Occasion {
    Occasion {
        head,
        ..Occasion::default()
    }
}

fn of_pull_request(
    event: &Event,
    pull: &PullRequest,
    ours: &Repository,
) -> Result<Occasion, &'static str> {
    let number = event.number.or(pull.number).ok_or("number")?;
    let head = pull.head.as_ref().ok_or("pull_request.head")?;
    let sha = head.commit().ok_or("pull_request.head.sha")?;
    // A deleted fork has no repository, but is still a fork.
    let home = head
        .repo
        .as_ref()
        .and_then(|repo| repo.full_name.as_deref());
    let label = event.label.as_ref().and_then(|label| label.name.clone());
    let moment = match (event.action.as_deref(), &pull.updated_at, label) {
        (Some("opened" | "reopened" | "synchronize"), Some(at), _) => Moment::Pushed(at.clone()),
        (Some("labeled"), _, Some(label)) => Moment::Labelled(label),
        (_, _, _) => Moment::Other,
    };
    Ok(Occasion {
        pull: Pull::Known(number),
        base: branch_of(pull.base.as_ref()),
        from_fork: !home.is_some_and(|home| ours.is(home)),
        moment,
        ..of_commit(Some(sha))
    })
}

fn of_workflow_run(run: &WorkflowRun, ours: &Repository) -> Result<Occasion, &'static str> {
    let head = run.head_sha.as_deref().and_then(Sha::parse);
    let head = head.ok_or("workflow_run.head_sha")?;
    let home = run.head_repository.as_ref();
    let home = home.and_then(|repo| repo.full_name.as_deref());
    let from_fork = !home.is_some_and(|home| ours.is(home));
    let our_id = run.repository.as_ref().and_then(|repo| repo.id);
    // The list is empty for forks, and may contain pull requests of other repositories with the same commit.
    let listed = run.pull_requests.iter().find(|pull| {
        let same_head = pull.head.as_ref().and_then(|end| end.sha.as_deref()) == Some(head.text());
        let base = pull.base.as_ref().and_then(|end| end.repo.as_ref());
        same_head && our_id.is_some() && base.and_then(|repo| repo.id) == our_id
    });
    let measured_by = run.id.map(|id| RunId {
        run: id,
        attempt: run.run_attempt.unwrap_or(1),
    });
    let branch = home
        .and_then(Repository::parse)
        .zip(run.head_branch.as_ref());
    let pull = match (listed.and_then(|pull| pull.number), branch) {
        (Some(number), _) => Pull::Known(number),
        // GitHub cannot find a pull request by a commit that exists only in a fork.
        (None, Some((repository, name))) if from_fork && !name.is_empty() => {
            Pull::OfBranch(Branch {
                repository,
                name: name.clone(),
            })
        }
        (None, _) => Pull::OfHead,
    };
    Ok(Occasion {
        pull,
        base: listed.and_then(|pull| branch_of(pull.base.as_ref())),
        from_fork,
        measured_by,
        ..of_commit(Some(head))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const HEAD: &str = "77b02d4f0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const MERGE: &str = "1111111111111111111111111111111111111111";

    fn ours() -> Repository {
        Repository::parse("acme/llm").unwrap()
    }

    fn of(event: &str, json: &Value) -> Result<Occasion, EventError> {
        let content = Event::parse(json.to_string().as_bytes())?;
        occasion(event, &content, &ours(), Some(MERGE))
    }

    fn pull_request(action: &str, home: &str) -> Value {
        json!({"action": action, "number": 7, "label": {"name": "perf-regression-accepted"}, "pull_request": {
            "number": 7, "updated_at": "2026-11-28T03:00:00Z",
            "head": {"sha": HEAD, "repo": {"id": 2, "full_name": home}}}})
    }

    #[test]
    fn a_pull_request_gets_its_status_on_the_head_and_never_on_the_merge_commit() {
        let occasion = of("pull_request", &pull_request("synchronize", "Acme/LLM")).unwrap();
        assert_eq!(occasion.head.unwrap().text(), HEAD);
        assert_eq!((occasion.pull, occasion.from_fork), (Pull::Known(7), false));
        assert_eq!(
            occasion.moment,
            Moment::Pushed("2026-11-28T03:00:00Z".to_owned())
        );
        let fork = of(
            "pull_request_target",
            &pull_request("labeled", "mallory/llm"),
        )
        .unwrap();
        assert!(fork.from_fork);
        assert_eq!(
            fork.moment,
            Moment::Labelled("perf-regression-accepted".to_owned())
        );
        let edited = of("pull_request", &pull_request("edited", "acme/llm")).unwrap();
        assert_eq!(edited.moment, Moment::Other);
    }

    #[test]
    fn a_merge_queue_has_a_head_and_no_pull_request_for_comments() {
        let group = json!({"merge_group": {"head_sha": HEAD}});
        let occasion = of("merge_group", &group).unwrap();
        assert_eq!(occasion.pull, Pull::None);
        assert_eq!(occasion.head.unwrap().text(), HEAD);
    }

    #[test]
    fn a_workflow_run_contains_its_pull_request_or_requires_a_query() {
        let run = |pulls: Value| {
            json!({"workflow_run": {"id": 99, "run_attempt": 2, "head_sha": HEAD, "repository": {"id": 1},
                "head_repository": {"full_name": "acme/llm"}, "pull_requests": pulls}})
        };
        let pull = |sha: &str, base: u64| json!({"number": 7, "head": {"sha": sha}, "base": {"repo": {"id": base}}});
        let named = |pulls: Value| of("workflow_run", &run(pulls)).unwrap();
        let ours = named(json!([pull(HEAD, 1)]));
        assert_eq!(ours.pull, Pull::Known(7));
        assert_eq!(
            ours.measured_by,
            Some(RunId {
                run: 99,
                attempt: 2
            })
        );
        for others in [json!([]), json!([pull(HEAD, 2)]), json!([pull(MERGE, 1)])] {
            assert_eq!(named(others).pull, Pull::OfHead);
        }
    }

    #[test]
    fn a_workflow_run_of_a_fork_is_identified_by_its_branch_while_the_fork_exists() {
        let of_fork = |home: Value, branch: Value| {
            let run = json!({"workflow_run": {"id": 99, "head_sha": HEAD, "repository": {"id": 1},
                "head_repository": home, "head_branch": branch, "pull_requests": []}});
            let occasion = of("workflow_run", &run).unwrap();
            assert!(occasion.from_fork);
            occasion.pull
        };
        let fork = json!({"id": 2, "full_name": "mallory/llm"});
        let branch = Branch {
            repository: Repository::parse("mallory/llm").unwrap(),
            name: "faster/50%".to_owned(),
        };
        assert_eq!(
            of_fork(fork.clone(), json!("faster/50%")),
            Pull::OfBranch(branch)
        );
        for (home, branch) in [
            (Value::Null, json!("faster")),
            (fork.clone(), Value::Null),
            (fork, json!("")),
            (json!({"full_name": "mallory/../llm"}), json!("faster")),
        ] {
            assert_eq!(of_fork(home, branch), Pull::OfHead);
        }
    }

    #[test]
    fn other_events_are_about_their_commit() {
        let push = of("push", &json!({"after": HEAD})).unwrap();
        assert_eq!((push.head.unwrap().text(), push.pull), (HEAD, Pull::OfHead));
        let tag = json!({"ref": "refs/tags/v1", "after": HEAD});
        assert_eq!(of("push", &tag).unwrap().head.unwrap().text(), MERGE);
        let by_hand = of("workflow_dispatch", &json!({})).unwrap();
        assert_eq!(by_hand.head.unwrap().text(), MERGE);
        let nightly = of("schedule", &json!({})).unwrap();
        assert_eq!(nightly.pull, Pull::None);
        let comment = of(
            "issue_comment",
            &json!({"issue": {"number": 7, "pull_request": {}}}),
        );
        let comment = comment.unwrap();
        assert_eq!((comment.head, comment.pull), (None, Pull::Known(7)));
    }

    #[test]
    fn an_event_without_a_required_part_is_refused_by_name() {
        let refused = |event: &str, json: Value| of(event, &json).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                refused("merge_group", json!({})),
                refused("merge_group", json!({"merge_group": {"head_sha": "HEAD; rm"}})),
                refused("pull_request", json!({"number": 7, "pull_request": {"head": {"sha": "../../x"}}})),
                refused("pull_request", json!({"number": -7, "pull_request": {}})),
                refused("workflow_run", json!({"workflow_run": {}})),
                refused("push", json!([])),
            ]
            .join("\n"),
            @r"
            the event `merge_group` has no valid `merge_group`
            the event `merge_group` has no valid `merge_group.head_sha`
            the event `pull_request` has no valid `pull_request.head.sha`
            the event is not a valid GitHub event: invalid value: integer `-7`, expected u64 at line 1 column 12
            the event `workflow_run` has no valid `workflow_run.head_sha`
            the event is not a valid GitHub event: invalid length 0, expected struct Event with 10 elements at line 1 column 2
            "
        );
    }

    proptest! {
        #[test]
        fn no_event_panics(
            event in "(pull_request|merge_group|workflow_run|push|issue_comment|x)",
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            number in any::<i64>(),
            text in "(\\PC|/|refs/heads/gh-readonly-queue/|pr-1-){0,20}"
        ) {
            let _result = Event::parse(&bytes).map(|content| occasion(&event, &content, &ours(), Some(&text)));
            let odd = json!({"number": number, "after": text, "merge_group": {"head_sha": HEAD, "head_ref": text},
                "pull_request": {"head": {"sha": text}}, "workflow_run": {"head_sha": text, "pull_requests": [{"head": null}]}});
            let odd = Event::parse(odd.to_string().as_bytes());
            if let Ok(occasion) = odd.and_then(|content| occasion(&event, &content, &ours(), None)) {
                prop_assert!(occasion.head.is_none_or(|sha| sha.text().len() >= 40));
            }
        }
    }
}
