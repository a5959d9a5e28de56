//! Which pull request a run belongs to, asked of GitHub where the event does not say it.

use serde::Deserialize;

use super::client::{Client, ClientError};
use super::event::{Branch, Repository};
use super::sha::Sha;

/// Why there is no pull request to comment on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nowhere {
    /// There is none, or only closed ones.
    #[error("no open pull request of this repository has the run's commit as its head")]
    None,
    /// What was measured is not what would be merged.
    #[error(
        "pull request #{number} has been pushed to since the run: its head is {now}, and the run's commit {measured}"
    )]
    Moved {
        /// The pull request.
        number: u64,
        /// Its head, shortened.
        now: String,
        /// The commit of the run, shortened.
        measured: String,
    },
    /// One branch, proposed for several bases: each had a run of its own.
    #[error(
        "{numbers} have the run's commit as their head, and GitHub does not say which of them the run was for; `--pull-request N` names it"
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

/// A pull request that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPull {
    /// Its number.
    pub number: u64,
    /// The branch into which it is proposed.
    pub base: String,
}

#[derive(Deserialize)]
struct End {
    sha: String,
    #[serde(rename = "ref", default)]
    branch: String,
    /// None where a fork was deleted.
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

/// The open pull request that has this commit as its head, for a commit of our own. GitHub knows none for one that only a
/// fork has.
pub async fn of_commit(
    client: &Client,
    ours: &Repository,
    head: &Sha,
) -> Result<Result<FoundPull, Nowhere>, ClientError> {
    let path = format!("repos/{}/commits/{}/pulls", ours.name(), head.text());
    let mut listed: Vec<Listed> = client.list(&path, &[]).await?;
    listed.retain(|pull| pull.head.sha == head.text() && pull.is_open_in(ours));
    Ok(only(&listed).unwrap_or(Err(Nowhere::None)))
}

/// The one that is listed; `None` where none is.
fn only(listed: &[Listed]) -> Option<Result<FoundPull, Nowhere>> {
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
            Some(Err(Nowhere::Several {
                numbers: named.join(" and "),
            }))
        }
    }
}

/// The open pull request that proposes this branch of a fork and still has the commit of the run as its head.
pub async fn of_branch(
    client: &Client,
    ours: &Repository,
    branch: &Branch,
    head: &Sha,
) -> Result<Result<FoundPull, Nowhere>, ClientError> {
    let path = format!("repos/{}/pulls", ours.name());
    let proposed = format!("{}:{}", branch.repository.owner(), branch.name);
    let query = [("state", "open"), ("head", proposed.as_str())];
    let mut listed: Vec<Listed> = client.list(&path, &query).await?;
    // An owner may have several forks with a branch of that name.
    listed.retain(|pull| pull.is_open_in(ours) && pull.head.is_in(&branch.repository));
    let moved = listed.first().map(|moved| Nowhere::Moved {
        number: moved.number,
        now: moved.head.sha.chars().take(10).collect(),
        measured: head.short().to_owned(),
    });
    listed.retain(|pull| pull.head.sha == head.text());
    Ok(only(&listed).unwrap_or_else(|| Err(moved.unwrap_or(Nowhere::None))))
}
