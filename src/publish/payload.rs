//! The JSON of a GitHub event: the keys that perfgate reads.

use std::path::Path;

use serde::Deserialize;

use super::sha::Sha;
use crate::files::{self, FileError};
use crate::{json, limits};

/// Why an event is not usable.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text.
    #[error("the event is not a valid GitHub event: {0}")]
    Json(String),
    /// A required part of the event is missing or invalid.
    #[error("the event `{event}` has no valid `{part}`")]
    Part {
        /// Name of the event.
        event: String,
        /// Path of the part.
        part: &'static str,
    },
}

/// An event.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub(super) action: Option<String>,
    pub(super) label: Option<Label>,
    pub(super) number: Option<u64>,
    pub(super) after: Option<String>,
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) pull_request: Option<PullRequest>,
    pub(super) issue: Option<Issue>,
    pub(super) merge_group: Option<MergeGroup>,
    pub(super) workflow_run: Option<WorkflowRun>,
    pub(super) repository: Option<Home>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PullRequest {
    pub(super) number: Option<u64>,
    pub(super) body: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) head: Option<End>,
    pub(super) base: Option<End>,
}

/// One end of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct End {
    pub(super) sha: Option<String>,
    #[serde(rename = "ref")]
    pub(super) branch: Option<String>,
    pub(super) repo: Option<Named>,
}

/// The repository in which the event happened.
#[derive(Debug, Deserialize)]
pub(super) struct Home {
    pub(super) default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: Option<u64>,
    pub(super) full_name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Issue {
    pub(super) number: Option<u64>,
    pub(super) pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MergeGroup {
    pub(super) base_sha: Option<String>,
    pub(super) base_ref: Option<String>,
    pub(super) head_sha: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WorkflowRun {
    pub(super) event: Option<String>,
    pub(super) id: Option<u64>,
    pub(super) run_attempt: Option<u64>,
    pub(super) head_sha: Option<String>,
    pub(super) head_branch: Option<String>,
    pub(super) repository: Option<Named>,
    pub(super) head_repository: Option<Named>,
    #[serde(default)]
    pub(super) pull_requests: Vec<PullRequest>,
}

impl Event {
    /// The event of a file (`$GITHUB_EVENT_PATH`).
    pub fn read(path: &Path) -> Result<Self, EventError> {
        Self::parse(&files::read_within(path, limits::EVENT)?)
    }

    /// The event of a text.
    pub fn parse(text: &[u8]) -> Result<Self, EventError> {
        json::parse(text).map_err(|error| EventError::Json(error.to_string()))
    }
}

impl End {
    /// Its commit, if valid.
    pub(super) fn commit(&self) -> Option<Sha> {
        self.sha.as_deref().and_then(Sha::parse)
    }
}
