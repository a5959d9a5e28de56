//! Whether a CI job judges a proposed change, and its head and target: from the variables of the service and, on GitHub,
//! the event. The base of the change is read from the clone, because the service's value may be old.

use super::payload::{End, Event, PullRequest};
use super::sha::Sha;

/// A proposed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The target branch.
    pub target: Target,
    /// The proposed commit, if the service reports it.
    pub head: Option<Sha>,
    /// A commit of the target from the service.
    pub base: Option<Base>,
}

impl Change {
    /// A change with only its target known.
    pub fn into(target: Target) -> Self {
        Self {
            target,
            head: None,
            base: None,
        }
    }
}

/// The target branch of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This branch.
    Branch(String),
    /// The main branch, with any name.
    Main,
    /// Unknown: the service does not report it.
    Unknown,
}

/// A commit that a service reports as the base of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// The target at an earlier time.
    Old(Sha),
    /// The merge base of the change.
    Exact(Sha),
}

/// The variables with which a CI service marks a job for a proposed change.
struct Service {
    /// One of them is set in such jobs only; `false` counts as unset.
    marks: &'static [&'static str],
    target: &'static str,
    /// The merge base of the change.
    base: &'static str,
    head: &'static str,
}

/// Marks a variable that a service does not have.
const NONE: &str = "";

const SERVICES: [Service; 12] = [
    // GitLab.
    Service {
        marks: &[
            "CI_MERGE_REQUEST_IID",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA",
        ],
        target: "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
        base: "CI_MERGE_REQUEST_DIFF_BASE_SHA",
        head: "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA",
    },
    // A branch pipeline with open merge requests.
    service(
        &["CI_OPEN_MERGE_REQUESTS"],
        "CI_DEFAULT_BRANCH",
        "CI_COMMIT_SHA",
    ),
    service(
        &[
            "BUILDKITE_PULL_REQUEST",
            "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
        ],
        "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
        "BUILDKITE_COMMIT",
    ),
    // Jenkins.
    service(&["CHANGE_ID", "CHANGE_TARGET"], "CHANGE_TARGET", NONE),
    // Azure Pipelines.
    service(
        &[
            "SYSTEM_PULLREQUEST_PULLREQUESTID",
            "SYSTEM_PULLREQUEST_TARGETBRANCH",
        ],
        "SYSTEM_PULLREQUEST_TARGETBRANCH",
        "SYSTEM_PULLREQUEST_SOURCECOMMITID",
    ),
    service(
        &["BITBUCKET_PR_ID", "BITBUCKET_PR_DESTINATION_BRANCH"],
        "BITBUCKET_PR_DESTINATION_BRANCH",
        "BITBUCKET_COMMIT",
    ),
    service(
        &["TRAVIS_PULL_REQUEST"],
        "TRAVIS_BRANCH",
        "TRAVIS_PULL_REQUEST_SHA",
    ),
    service(&["DRONE_PULL_REQUEST"], "DRONE_TARGET_BRANCH", NONE),
    // Woodpecker.
    service(&["CI_COMMIT_PULL_REQUEST"], "CI_COMMIT_TARGET_BRANCH", NONE),
    service(
        &["CIRRUS_PR", "CIRRUS_BASE_BRANCH"],
        "CIRRUS_BASE_BRANCH",
        NONE,
    ),
    // Prow.
    service(&["PULL_NUMBER"], "PULL_BASE_REF", "PULL_PULL_SHA"),
    service(&["CIRCLE_PULL_REQUEST"], NONE, NONE),
];

const fn service(
    marks: &'static [&'static str],
    target: &'static str,
    head: &'static str,
) -> Service {
    Service {
        marks,
        target,
        base: NONE,
        head,
    }
}

/// Services whose branch jobs also count for merge requests that are opened later: variables of the branch, the main branch,
/// the commit, and a tag.
const BRANCHES: [[&str; 4]; 2] = [
    [
        "CI_COMMIT_BRANCH",
        "CI_DEFAULT_BRANCH",
        "CI_COMMIT_SHA",
        "CI_COMMIT_TAG",
    ],
    [
        "BUILDKITE_BRANCH",
        "BUILDKITE_PIPELINE_DEFAULT_BRANCH",
        "BUILDKITE_COMMIT",
        "BUILDKITE_TAG",
    ],
];

/// The change of a job of a service other than GitHub; `None` if the job has no proposed change.
pub fn of_variables(variable: &dyn Fn(&str) -> Option<String>) -> Option<Change> {
    let given = |name: &str| {
        let value = (!name.is_empty()).then(|| variable(name))??;
        (!matches!(value.as_str(), "" | "false")).then_some(value)
    };
    let commit = |name: &str| given(name).as_deref().and_then(Sha::parse);
    let marked = |service: &&Service| service.marks.iter().any(|mark| given(mark).is_some());
    if let Some(service) = SERVICES.iter().find(marked) {
        return Some(Change {
            target: given(service.target).map_or(Target::Main, |name| Target::named(&name)),
            head: commit(service.head),
            base: commit(service.base).map(Base::Exact),
        });
    }
    BRANCHES.iter().find_map(|[branch, main, head, tag]| {
        let (branch, main) = given(branch).zip(given(main))?;
        (branch != main && given(tag).is_none()).then(|| Change {
            head: commit(head),
            ..Change::into(Target::named(&main))
        })
    })
}

impl Target {
    fn named(name: &str) -> Self {
        Self::Branch(name.strip_prefix("refs/heads/").unwrap_or(name).to_owned())
    }
}

/// The change of a GitHub event; `None` without a proposed change: the main branch, a tag, a schedule. A run on another
/// branch is published on the pull request of that branch, so it counts as a change.
pub fn of_event(event: &Event) -> Option<Change> {
    let commit = |text: &Option<String>| text.as_deref().and_then(Sha::parse);
    if let Some(pull) = &event.pull_request {
        return Some(of_pull_request(pull));
    }
    if let Some(group) = &event.merge_group {
        return Some(Change {
            target: group
                .base_ref
                .as_deref()
                .map_or(Target::Unknown, Target::named),
            head: commit(&group.head_sha),
            base: commit(&group.base_sha).map(Base::Exact),
        });
    }
    let repository = event.repository.as_ref();
    let main = repository.and_then(|repository| repository.default_branch.as_deref());
    let change = |head| Change {
        target: main.map_or(Target::Main, Target::named),
        head,
        base: None,
    };
    if let Some(run) = &event.workflow_run {
        if let Some(pull) = run.pull_requests.first() {
            return Some(of_pull_request(pull));
        }
        let event = run.event.as_deref().unwrap_or_default();
        let is_of_main = run.head_branch.as_deref() == main && !event.starts_with("pull_request");
        return (!is_of_main).then(|| change(commit(&run.head_sha)));
    }
    if let Some(issue) = &event.issue
        && issue.pull_request.is_some()
    {
        return Some(change(None));
    }
    let branch = event.reference.as_deref()?.strip_prefix("refs/heads/")?;
    (main != Some(branch)).then(|| change(commit(&event.after)))
}

fn of_pull_request(pull: &PullRequest) -> Change {
    let base = pull.base.as_ref();
    let target = base.and_then(|base| base.branch.as_deref());
    Change {
        target: target.map_or(Target::Unknown, Target::named),
        head: pull.head.as_ref().and_then(End::commit),
        base: base.and_then(End::commit).map(Base::Old),
    }
}

/// The name of the main branch in a GitHub event.
pub fn main_branch_of_event(event: Event) -> Option<String> {
    event.repository?.default_branch
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const HEAD: &str = "77b02d4f0a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const BASE: &str = "1111111111111111111111111111111111111111";

    fn of(event: &Value) -> Option<Change> {
        of_event(&Event::parse(event.to_string().as_bytes()).unwrap())
    }

    fn main() -> Target {
        Target::Branch("main".to_owned())
    }

    #[test]
    fn pull_requests_and_merge_groups_have_a_target_and_an_invalid_commit_is_ignored() {
        let pull = |base: Value| {
            of(&json!({"pull_request": {"base": base, "head": {"sha": HEAD}}})).unwrap()
        };
        let named = pull(json!({"sha": BASE, "ref": "main"}));
        assert_eq!(named.target, main());
        assert_eq!(named.head, Sha::parse(HEAD));
        assert_eq!(named.base, Sha::parse(BASE).map(Base::Old));
        for unusable in [
            json!(null),
            json!({"sha": ""}),
            json!({"sha": "0".repeat(40)}),
            json!({"sha": "--upload-pack=x"}),
            json!({"sha": BASE[..9]}),
        ] {
            let unknown = pull(unusable);
            assert_eq!((unknown.target, unknown.base), (Target::Unknown, None));
        }
        let group = of(&json!({"merge_group": {"base_sha": BASE, "base_ref": "refs/heads/main", "head_sha": HEAD}})).unwrap();
        assert_eq!(
            (group.target, group.base),
            (main(), Sha::parse(BASE).map(Base::Exact))
        );
        assert!(Event::parse(b"rubbish").is_err());
    }

    #[test]
    fn every_event_published_on_a_pull_request_is_a_change_and_one_on_the_main_branch_is_not() {
        let repository = json!({"default_branch": "trunk"});
        let trunk = Target::Branch("trunk".to_owned());
        for event in [
            json!({"issue": {"number": 7, "pull_request": {"url": "x"}}, "repository": repository}),
            json!({"ref": "refs/heads/feature", "after": HEAD, "repository": repository}),
            json!({"ref": "refs/heads/main", "inputs": {}, "repository": repository}),
            json!({"workflow_run": {"event": "push", "head_branch": "feature", "head_sha": HEAD}, "repository": repository}),
            json!({"workflow_run": {"event": "pull_request", "head_branch": "trunk", "head_sha": HEAD}, "repository": repository}),
        ] {
            assert_eq!(of(&event).unwrap().target, trunk, "{event}");
        }
        assert_eq!(
            of(&json!({"ref": "refs/heads/x"})).unwrap().target,
            Target::Main
        );
        for event in [
            json!({"ref": "refs/heads/trunk", "after": HEAD, "repository": repository}),
            json!({"ref": "refs/tags/v1", "repository": repository}),
            json!({"issue": {"number": 7}, "repository": repository}),
            json!({"schedule": "0 3 * * *", "repository": repository}),
            json!({"workflow_run": {"event": "push", "head_branch": "trunk"}, "repository": repository}),
        ] {
            assert_eq!(of(&event), None, "{event}");
        }
    }

    #[test]
    fn merge_requests_of_other_services_are_known_by_their_variables() {
        let of = |given: &[(&str, &str)]| {
            of_variables(&|name| {
                let found = given.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let gitlab = of(&[
            ("CI", "true"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", BASE),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", ""),
        ])
        .unwrap();
        assert_eq!(gitlab.target, main());
        assert_eq!(gitlab.base, Sha::parse(BASE).map(Base::Exact));
        assert_eq!(gitlab.head, None);
        let buildkite = |number, base| {
            of(&[
                ("CI", "true"),
                ("BUILDKITE_PULL_REQUEST", number),
                ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", base),
                ("BUILDKITE_COMMIT", HEAD),
            ])
        };
        assert_eq!(buildkite("false", ""), None);
        assert_eq!(buildkite("7", "main").unwrap().head, Sha::parse(HEAD));
        let azure = [
            ("SYSTEM_PULLREQUEST_PULLREQUESTID", "7"),
            ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main"),
        ];
        assert_eq!(of(&azure).unwrap().target, main());
        let jenkins = [("CHANGE_ID", "7"), ("CHANGE_TARGET", "main")];
        assert_eq!(of(&jenkins).unwrap().target, main());
        assert_eq!(of(&[("CI", "true")]), None);
        // A branch pipeline counts for a merge request that is opened later.
        for (branch, main, tag) in [
            ("CI_COMMIT_BRANCH", "CI_DEFAULT_BRANCH", "CI_COMMIT_TAG"),
            (
                "BUILDKITE_BRANCH",
                "BUILDKITE_PIPELINE_DEFAULT_BRANCH",
                "BUILDKITE_TAG",
            ),
        ] {
            let feature = of(&[(branch, "feature"), (main, "trunk")]).unwrap();
            assert_eq!(feature.target, Target::Branch("trunk".to_owned()));
            assert_eq!(of(&[(branch, "trunk"), (main, "trunk")]), None);
            assert_eq!(of(&[(branch, "v1"), (main, "trunk"), (tag, "v1")]), None);
            assert_eq!(of(&[(branch, "feature")]), None);
        }
    }

    proptest! {
        #[test]
        fn no_event_panics(text in "(\\{|\\}|\"ref\"|\"pull_request\"|\"base\"|:|,|null|\"x\"|\\[|\\]|\\PC){0,40}") {
            let _ = Event::parse(text.as_bytes()).map(|event| of_event(&event));
        }
    }
}
