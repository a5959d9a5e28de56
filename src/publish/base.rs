//! Where the change of an event branched off.

use std::path::Path;

use serde::Deserialize;

use super::pull_request::EventError;
use crate::files;

#[derive(Deserialize)]
struct Event {
    pull_request: Option<PullRequest>,
    merge_group: Option<MergeGroup>,
}

#[derive(Deserialize)]
struct PullRequest {
    base: Option<Base>,
}

#[derive(Deserialize)]
struct Base {
    sha: Option<String>,
}

#[derive(Deserialize)]
struct MergeGroup {
    base_sha: Option<String>,
}

/// The tip of the base branch in an event file (`$GITHUB_EVENT_PATH`) of a pull request or a merge group; `None` for other
/// events. What is no object's name is none: it would reach git.
pub fn commit_of_event(path: &Path) -> Result<Option<String>, EventError> {
    let event: Event = serde_json::from_slice(&files::read(path)?)?;
    let of_pull_request = event
        .pull_request
        .and_then(|pull_request| pull_request.base)
        .and_then(|base| base.sha);
    let of_group = event.merge_group.and_then(|group| group.base_sha);
    let is_name =
        |sha: &String| (40..=64).contains(&sha.len()) && sha.chars().all(|c| c.is_ascii_hexdigit());
    Ok(of_pull_request.or(of_group).filter(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(event: &str) -> Result<Option<String>, EventError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        files::write_atomically(&path, event.as_bytes()).unwrap();
        commit_of_event(&path)
    }

    #[test]
    fn pull_requests_and_merge_groups_have_a_base_and_pushes_have_none() {
        let sha = "1234567890123456789012345678901234567890";
        let read = |event: String| commit(&event).unwrap();
        assert_eq!(
            read(format!(
                r#"{{"pull_request":{{"base":{{"sha":"{sha}"}}}}}}"#
            ))
            .as_deref(),
            Some(sha)
        );
        assert_eq!(
            read(format!(r#"{{"merge_group":{{"base_sha":"{sha}"}}}}"#)).as_deref(),
            Some(sha)
        );
        assert_eq!(read(r#"{"ref":"refs/heads/main"}"#.to_owned()), None);
        assert_eq!(
            read(r#"{"pull_request":{"base":{"sha":"--upload-pack=x"}}}"#.to_owned()),
            None
        );
        assert!(commit("rubbish").is_err());
    }
}
