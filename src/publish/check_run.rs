//! A check run: a page with the verdict beside the commit. Off by default; the status blocks the merge.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::cut;
use super::event::Repository;
use super::sha::Sha;
use super::status::{CommitState, is_web_address};

/// GitHub's limit of a summary, in bytes.
const MAX_LENGTH: usize = 65_535;

/// GitHub's limit of annotations per request.
const PER_REQUEST: usize = 50;

/// Content of a check run.
#[derive(Clone, Debug)]
pub struct CheckRun<'a> {
    /// Its name, different from the status, because a required check would require both.
    pub name: &'a str,
    /// The commit.
    pub head: &'a Sha,
    /// Whether the merge may proceed.
    pub state: CommitState,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: &'a str,
    /// Identifies it: the run that wrote it.
    pub external_id: String,
    /// Its details.
    pub address: Option<&'a str>,
    /// Annotations of files of the repository.
    pub annotations: Vec<Mark>,
}

/// An annotation of a line of a file of the repository, in GitHub's form.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// The file, from the root of the repository.
    pub path: String,
    /// Counted from 1.
    pub start_line: u32,
    /// The same line.
    pub end_line: u32,
    /// `failure` if it blocks, else `warning`.
    pub annotation_level: &'static str,
    /// The message.
    pub message: String,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
    external_id: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    check_runs: Vec<Found>,
}

impl CheckRun<'_> {
    fn output(&self, marks: &[Mark]) -> Value {
        let summary = cut::to(self.summary, MAX_LENGTH, cut::bytes);
        json!({
            "title": self.title,
            "summary": summary,
            "annotations": marks,
        })
    }

    /// `success` or `failure`; GitHub counts `neutral` and `skipped` as a success.
    fn conclusion(&self) -> &'static str {
        match self.state {
            CommitState::Success => "success",
            CommitState::Failure | CommitState::Error => "failure",
        }
    }

    /// Writes it.
    pub async fn put(&self, client: &Client, repository: &Repository) -> Result<(), ClientError> {
        let path = format!("repos/{repository}/check-runs");
        let mut parts = self.annotations.chunks(PER_REQUEST);
        let mut body = json!({
            "name": self.name,
            "head_sha": self.head.text(),
            "external_id": self.external_id,
            "status": "completed",
            "conclusion": self.conclusion(),
            "output": self.output(parts.next().unwrap_or_default()),
        });
        if let Some(address) = self.address.filter(|address| is_web_address(address)) {
            body["details_url"] = json!(address);
        }
        let find = async || self.find(client, repository).await;
        let Found { id, .. } = client.create(&path, body, find).await?;
        // Later requests append annotations.
        for part in parts {
            let path = format!("{path}/{id}");
            let body = json!({"output": self.output(part)});
            let _run: IgnoredAny = client.change(Method::PATCH, &path, body).await?;
        }
        Ok(())
    }

    /// The check run of this run, if it was created and the answer was lost.
    async fn find(
        &self,
        client: &Client,
        repository: &Repository,
    ) -> Result<Option<Found>, ClientError> {
        let path = format!("repos/{repository}/commits/{}/check-runs", self.head);
        let query = [("check_name", self.name), ("per_page", "100")];
        let listed: Listed = client.get(&path, &query).await?;
        let is_own = |run: &Found| run.external_id.as_deref() == Some(&self.external_id);
        Ok(listed.check_runs.into_iter().find(is_own))
    }
}
