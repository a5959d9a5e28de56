//! Whether an authorised person accepted the regression of this commit, and why. In doubt it is not accepted.
//!
//! The author controls a commit's dates, so they do not prove when it was pushed. GitHub reports that: in the push event of the
//! pull request, in the label event (the label was set while this commit was the head), or in the repository's list of
//! pushes.

use jiff::Timestamp;
use serde::Deserialize;

use super::client::{Client, ClientError};
use super::comment::{self, Account};
use super::event::{Moment, Repository};
use super::pull_request::{accept_line, acceptance_reason};
use super::pulls::{self, Label, PullRequest};
use super::sha::Sha;
use crate::report::comparison::Acceptance;

/// Minimum length of a reason in characters.
const MIN_LENGTH: usize = 20;

/// Maximum length of a reason in characters.
const MAX_LENGTH: usize = 4000;

/// An event of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct IssueEvent {
    /// `labeled`, `unlabeled`, `head_ref_force_pushed` …
    #[serde(default)]
    pub event: String,
    /// When.
    #[serde(default)]
    pub created_at: String,
    /// By whom.
    pub actor: Option<Account>,
    /// Which label.
    pub label: Option<Label>,
}

#[derive(Deserialize)]
struct Activity {
    after: String,
    timestamp: String,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
    #[serde(default)]
    role_name: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The label is not set.
    NotAsked,
    /// Accepted.
    Accepted(Acceptance),
    /// The label is set but does not count, with the reason and what to do.
    Lacking(String),
}

/// A request for the acceptance of one commit.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The API.
    pub client: &'a Client,
    /// The repository of the pull request.
    pub repository: &'a Repository,
    /// The pull request.
    pub number: u64,
    /// The commit with the regression.
    pub head: &'a Sha,
    /// The label.
    pub label: &'a str,
    /// What the event contains about the push.
    pub moment: &'a Moment,
}

impl Question<'_> {
    /// Queries GitHub.
    pub async fn ask(&self) -> Result<Found, ClientError> {
        let (name, number) = (self.repository.name(), self.number);
        let pull = pulls::numbered(self.client, self.repository, number).await?;
        if !pull.labels.iter().any(|label| is_named(label, self.label)) {
            return Ok(Found::NotAsked);
        }
        if pull.head.sha != self.head.text() {
            return Ok(lacking(
                "the pull request has newer commits than this measurement; measure its head",
            ));
        }
        let path = format!("repos/{name}/issues/{number}/events");
        let events: Vec<IssueEvent> = self.client.list(&path, &[]).await?;
        let set = match last_label(&events, self.label) {
            Ok(set) => set,
            Err(why) => return Ok(lacking(why)),
        };
        if let Some(why) = self.pushed_since(&set, &pull).await? {
            return Ok(lacking(why));
        }
        let path = format!("repos/{name}/collaborators/{}/permission", set.by);
        let permission: Permission = self.client.get(&path, &[]).await?;
        if !may_accept(&permission) {
            return Ok(lacking(format!(
                "{} set it without write permission (permission: `{}`); a person with write permission must set it",
                set.by, permission.permission
            )));
        }
        let reason = match pull.body.as_deref().and_then(acceptance_reason) {
            Some(reason) => Some(reason),
            None => self.reason_in_comments(&set.by).await?,
        };
        Ok(match reason {
            Some(reason) if (MIN_LENGTH..=MAX_LENGTH).contains(&reason.chars().count()) => {
                Found::Accepted(Acceptance {
                    label: self.label.to_owned(),
                    by: set.by,
                    reason,
                    regression: String::new(),
                })
            }
            Some(_) => lacking("the reason must have 20 to 4000 characters"),
            None => lacking(format!(
                "the reason is missing: write it under the heading “perfgate accepted” in the pull request's text, or as a line \
                 “perf-accept: REASON” there or in a comment by {}",
                set.by
            )),
        })
    }

    /// Why the label may be older than the commit; `None` if it is newer.
    async fn pushed_since(
        &self,
        set: &Set,
        pull: &PullRequest,
    ) -> Result<Option<&'static str>, ClientError> {
        if set.forced_since {
            return Ok(Some(OLDER));
        }
        let pushed = match self.moment {
            // The event is the label event and has this commit as its head.
            Moment::Labelled(label) if label.eq_ignore_ascii_case(self.label) => return Ok(None),
            Moment::Pushed(at) => at.clone(),
            Moment::Labelled(_) | Moment::Other => match self.last_push(pull).await {
                Ok(Some(at)) => at,
                Ok(None) => return Ok(Some(UNKNOWN)),
                Err(error) if error.refusal().is_some() => return Ok(Some(UNKNOWN)),
                Err(error) => return Err(error),
            },
        };
        Ok(match (pushed.parse::<Timestamp>(), set.at) {
            (Ok(pushed), at) if at > pushed => None,
            (Ok(_), _) => Some(OLDER),
            (Err(_no_time), _) => Some(UNKNOWN),
        })
    }

    /// When the head was pushed, from the push list of its repository.
    async fn last_push(&self, pull: &PullRequest) -> Result<Option<String>, ClientError> {
        let home = pull.head.repo.as_ref();
        let Some(home) = home.and_then(|home| Repository::parse(&home.full_name)) else {
            return Ok(None);
        };
        let branch = format!("refs/heads/{}", pull.head.branch);
        let query = [("ref", branch.as_str()), ("per_page", "1")];
        let path = format!("repos/{home}/activity");
        let pushes: Vec<Activity> = self.client.get(&path, &query).await?;
        let newest = pushes.into_iter().next();
        Ok(newest
            .filter(|push| push.after == self.head.text())
            .map(|push| push.timestamp))
    }

    /// The reason in the person's last comment with a reason.
    async fn reason_in_comments(&self, by: &str) -> Result<Option<String>, ClientError> {
        let comments = comment::all(self.client, self.repository, self.number).await?;
        let theirs = comments.iter().rev().filter(|comment| {
            comment
                .user
                .as_ref()
                .is_some_and(|user| user.login.eq_ignore_ascii_case(by))
        });
        Ok(theirs
            .filter_map(|comment| comment.body.as_deref())
            .find_map(accept_line))
    }
}

fn lacking(why: impl Into<String>) -> Found {
    Found::Lacking(why.into())
}

/// Why a label does not count: the commit was pushed later.
const OLDER: &str = "it is older than the last push; remove it and set it again for the new commit";

/// Why a label does not count: the commit may have been pushed later.
const UNKNOWN: &str = "GitHub reports no push time for the commit; remove the label and set it again in a workflow that runs on `labeled`";

fn is_named(label: &Label, name: &str) -> bool {
    label.name.eq_ignore_ascii_case(name)
}

/// How the label was set.
struct Set {
    by: String,
    at: Timestamp,
    /// Whether the branch was force-pushed afterwards.
    forced_since: bool,
}

/// The last time that the label was set, if it was not removed since.
fn last_label(events: &[IssueEvent], name: &str) -> Result<Set, &'static str> {
    let mut set = None;
    let mut forced_since = false;
    for event in events {
        let ours = event
            .label
            .as_ref()
            .is_some_and(|label| is_named(label, name));
        match event.event.as_str() {
            "labeled" if ours => {
                set = Some(event);
                forced_since = false;
            }
            "unlabeled" if ours => set = None,
            "head_ref_force_pushed" => forced_since = true,
            _ => {}
        }
    }
    let event = set.ok_or("GitHub reports no person who set it")?;
    let by = event.actor.as_ref().map(|actor| actor.login.clone());
    let is_login = |login: &String| {
        (1..=60).contains(&login.len())
            && login
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    Ok(Set {
        by: by.filter(is_login).ok_or("an app set it, not a person")?,
        at: event
            .created_at
            .parse()
            .map_err(|_no_time: jiff::Error| "GitHub reports no time at which it was set")?,
        forced_since,
    })
}

/// `triage` may set labels but not accept; unknown permissions may not accept.
fn may_accept(permission: &Permission) -> bool {
    matches!(
        permission.permission.as_str(),
        "admin" | "write" | "maintain"
    ) && !matches!(permission.role_name.as_str(), "triage" | "read" | "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, at: &str, by: &str, label: &str) -> IssueEvent {
        serde_json::from_value(serde_json::json!({
            "event": event, "created_at": at, "actor": {"login": by}, "label": {"name": label}
        }))
        .unwrap()
    }

    const LABEL: &str = "perf-regression-accepted";

    #[test]
    fn the_last_label_that_was_not_removed_counts() {
        let mut events = vec![
            event("labeled", "2026-11-28T01:00:00Z", "maya", LABEL),
            event("unlabeled", "2026-11-28T01:01:00Z", "maya", LABEL),
            event(
                "labeled",
                "2026-11-28T01:02:00Z",
                "otto",
                "Perf-Regression-Accepted",
            ),
            event("labeled", "2026-11-28T01:03:00Z", "eve", "other"),
        ];
        let set = last_label(&events, LABEL).map_err(str::to_owned).unwrap();
        assert_eq!((set.by.as_str(), set.forced_since), ("otto", false));
        events.push(event(
            "head_ref_force_pushed",
            "2026-11-28T01:04:00Z",
            "eve",
            "x",
        ));
        assert!(last_label(&events, LABEL).is_ok_and(|set| set.forced_since));
        events.push(event("unlabeled", "2026-11-28T01:05:00Z", "eve", LABEL));
        assert!(last_label(&events, LABEL).is_err());
    }

    #[test]
    fn an_unknown_person_accepts_nothing() {
        for by in ["github-actions[bot]", "../../x", ""] {
            let events = [event("labeled", "2026-11-28T01:00:00Z", by, LABEL)];
            assert!(last_label(&events, LABEL).is_err(), "{by}");
        }
        let events = [event("labeled", "yesterday", "maya", LABEL)];
        assert!(last_label(&events, LABEL).is_err());
    }

    #[test]
    fn only_write_and_more_may_accept() {
        let of = |permission: &str, role: &str| {
            may_accept(&Permission {
                permission: permission.to_owned(),
                role_name: role.to_owned(),
            })
        };
        assert!(of("admin", "admin") && of("write", "maintain") && of("write", ""));
        assert!(
            !of("read", "triage") && !of("none", "none") && !of("write", "triage") && !of("", "")
        );
    }
}
