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

#[derive(Deserialize)]
struct Listed {
    number: u64,
    #[serde(default)]
    state: String,
    head: End,
    base: End,
}

/// A pull request from a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPull {
    /// Its number.
    pub number: u64,
    /// The base branch.
    pub base: String,
}

#[derive(Deserialize)]
struct End {
    sha: String,
    #[serde(rename = "ref", default)]
    branch: String,
    /// `None` if the fork was deleted.
    repo: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

impl Listed {
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

/// The open pull request with this commit as its head, for a commit of this repository. GitHub cannot find one for a commit
/// that exists only in a fork.
pub async fn of_commit(
    client: &Client,
    ours: &Repository,
    head: &Sha,
) -> Result<Result<FoundPull, NoPullRequest>, ClientError> {
    let path = format!("repos/{}/commits/{}/pulls", ours.name(), head.text());
    let mut listed: Vec<Listed> = client.list(&path, &[]).await?;
    listed.retain(|pull| pull.head.sha == head.text() && pull.is_open_in(ours));
    Ok(only(&listed).unwrap_or(Err(NoPullRequest::None)))
}

/// The only listed one; `None` if the list is empty.
fn only(listed: &[Listed]) -> Option<Result<FoundPull, NoPullRequest>> {
    match listed {
        [] => None,
        [pull] => Some(Ok(FoundPull {
            number: pull.number,
            base: pull.base.branch.clone(),
        })),
        several => {
            let mut numbers: Vec<u64> = several.iter().map(|pull| pull.number).collect();
            numbers.sort_unstable();
            let named: Vec<String> = numbers.iter().map(|number| format!("#{number}")).collect();
            Some(Err(NoPullRequest::Several {
                numbers: named.join(" and "),
            }))
        }
    }
}

/// The open pull request of this branch of a fork that still has the commit of the run as its head.
pub async fn of_branch(
    client: &Client,
    ours: &Repository,
    branch: &Branch,
    head: &Sha,
) -> Result<Result<FoundPull, NoPullRequest>, ClientError> {
    let path = format!("repos/{}/pulls", ours.name());
    let proposed = format!("{}:{}", branch.repository.owner(), branch.name);
    let query = [("state", "open"), ("head", proposed.as_str())];
    let mut listed: Vec<Listed> = client.list(&path, &query).await?;
    // An owner may have several forks with such a branch.
    listed.retain(|pull| pull.is_open_in(ours) && pull.head.is_in(&branch.repository));
    let moved = listed.first().map(|moved| NoPullRequest::Moved {
        number: moved.number,
        now: moved.head.sha.chars().take(10).collect(),
        measured: head.short().to_owned(),
    });
    listed.retain(|pull| pull.head.sha == head.text());
    Ok(only(&listed).unwrap_or_else(|| Err(moved.unwrap_or(NoPullRequest::None))))
}
