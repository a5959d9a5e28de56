//! A check run: a page with the verdict beside the commit. Off by default; the status blocks the merge.

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
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

/// Maximum attempts to create it.
const ATTEMPTS: u32 = 3;

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

/// An annotation of a line of a file of the repository.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The file, from the root of the repository.
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    /// Whether it blocks.
    pub blocks: bool,
    /// The message.
    pub message: String,
}

impl Mark {
    fn json(&self) -> Value {
        json!({
            "path": self.path,
            "start_line": self.line,
            "end_line": self.line,
            "annotation_level": if self.blocks { "failure" } else { "warning" },
            "message": self.message,
        })
    }
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
            "annotations": marks.iter().map(Mark::json).collect::<Vec<_>>(),
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
        let path = format!("repos/{}/check-runs", repository.name());
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
        let mut attempt = 0;
        let id = loop {
            let error = match client.create::<Found>(&path, body.clone()).await {
                Ok(created) => break created.id,
                Err(error) => error,
            };
            if !error.is_unclear() || attempt + 1 == ATTEMPTS {
                return Err(error);
            }
            client.pause(&error, attempt).await?;
            attempt += 1;
            if let Some(id) = self.find(client, repository).await? {
                break id;
            }
        };
        // Later requests append annotations.
        for part in parts {
            let path = format!("{path}/{id}");
            let body = json!({"output": self.output(part)});
            client
                .change::<IgnoredAny>(Method::PATCH, &path, body)
                .await?;
        }
        Ok(())
    }

    /// The check run of this run, if it was created and the answer was lost.
    async fn find(
        &self,
        client: &Client,
        repository: &Repository,
    ) -> Result<Option<u64>, ClientError> {
        let path = format!(
            "repos/{}/commits/{}/check-runs",
            repository.name(),
            self.head.text()
        );
        let query = [("check_name", self.name), ("per_page", "100")];
        let listed: Listed = client.get(&path, &query).await?;
        let own = listed
            .check_runs
            .iter()
            .find(|run| run.external_id.as_deref() == Some(&self.external_id));
        Ok(own.map(|run| run.id))
    }
}
