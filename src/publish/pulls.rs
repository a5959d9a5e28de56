//! The pull request of a run, queried from GitHub if the event does not contain it.

use serde::Deserialize;

use super::client::{Client, ClientError};
use super::event::{Branch, Repository};
use super::sha::Sha;

/// Why there is no pull request to comment on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPullRequest {
    /// There is none, or only closed ones.
    #[error("no open pull request of this repository has the run's commit as its head")]
    None,
    /// The measured commit is no longer the head.
    #[error(
        "pull request #{number} has newer commits than the run: its head is {now}, the commit of the run is {measured}"
    )]
    Moved {
        /// The pull request.
        number: u64,
        /// Its head, shortened.
        now: String,
        /// The commit of the run, shortened.
        measured: String,
    },
    /// One branch with pull requests into several bases, each with its own run.
    #[error(
        "{numbers} all have the run's commit as their head; select one with `--pull-request N`"
    )]
    Several {
        /// `#7 and #9`.
        numbers: String,
    },
}

/// A pull request from the API.
#[derive(Clone, Debug, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    #[serde(default)]
    state: String,
    /// Its text.
    pub body: Option<String>,
    /// Its head.
    pub head: End,
    /// Its base.
    pub base: End,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
}

/// An end of a pull request.
#[derive(Clone, Debug, Deserialize)]
pub struct End {
    /// Its commit.
    pub sha: String,
    /// Its branch.
    #[serde(rename = "ref", default)]
    pub branch: String,
    /// Its repository; `None` if the fork was deleted.
    pub repo: Option<Home>,
}

/// A repository from the API.
#[derive(Clone, Debug, Deserialize)]
pub struct Home {
    /// `owner/name`.
    pub full_name: String,
}

/// A label from the API.
#[derive(Clone, Debug, Deserialize)]
pub struct Label {
    /// Its name.
    pub name: String,
}

impl PullRequest {
    fn is_open_in(&self, ours: &Repository) -> bool {
        self.state != "closed" && self.base.is_in(ours)
    }
}

impl End {
    fn is_in(&self, repository: &Repository) -> bool {
        let home = self.repo.as_ref();
        home.is_some_and(|home| repository.is(&home.full_name))
    }
}

/// The pull request with this number.
pub async fn numbered(
    client: &Client,
    ours: &Repository,
    number: u64,
) -> Result<PullRequest, ClientError> {
    client
        .get(&format!("repos/{ours}/pulls/{number}"), &[])
        .await
}

/// The open pull request with this commit as its head, for a commit of this repository. GitHub cannot find one for a commit
/// that exists only in a fork.
pub async fn of_commit(
    client: &Client,
    ours: &Repository,
    head: &Sha,
) -> Result<Result<PullRequest, NoPullRequest>, ClientError> {
    let path = format!("repos/{ours}/commits/{head}/pulls");
    let mut listed: Vec<PullRequest> = client.list(&path, &[]).await?;
    listed.retain(|pull| pull.head.sha == head.text() && pull.is_open_in(ours));
    Ok(only(listed, NoPullRequest::None))
}

/// The only listed one, or `none` if the list is empty.
fn only(mut listed: Vec<PullRequest>, none: NoPullRequest) -> Result<PullRequest, NoPullRequest> {
    if listed.len() > 1 {
        listed.sort_unstable_by_key(|pull| pull.number);
        let named: Vec<String> = listed
            .iter()
            .map(|pull| format!("#{}", pull.number))
            .collect();
        return Err(NoPullRequest::Several {
            numbers: named.join(" and "),
        });
    }
    listed.pop().ok_or(none)
}

/// The open pull request of this branch of a fork that still has the commit of the run as its head.
pub async fn of_branch(
    client: &Client,
    ours: &Repository,
    branch: &Branch,
    head: &Sha,
) -> Result<Result<PullRequest, NoPullRequest>, ClientError> {
    let path = format!("repos/{ours}/pulls");
    let proposed = format!("{}:{}", branch.repository.owner(), branch.name);
    let query = [("state", "open"), ("head", proposed.as_str())];
    let mut listed: Vec<PullRequest> = client.list(&path, &query).await?;
    // An owner may have several forks with such a branch.
    listed.retain(|pull| pull.is_open_in(ours) && pull.head.is_in(&branch.repository));
    let moved = listed.first().map(|moved| NoPullRequest::Moved {
        number: moved.number,
        now: moved.head.sha.chars().take(10).collect(),
        measured: head.short().to_owned(),
    });
    listed.retain(|pull| pull.head.sha == head.text());
    Ok(only(listed, moved.unwrap_or(NoPullRequest::None)))
}
