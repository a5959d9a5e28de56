//! The commit status: the check to make required, since a job that is skipped counts as a success and a status that
//! nobody wrote does not.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::json;

use super::client::{Client, ClientError};
use super::event::{Repository, Sha};
use crate::exit::ExitStatus;
use crate::render::inert;

/// Characters that GitHub takes.
const LONGEST: usize = 140;

/// What the status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The merge may go on.
    Success,
    /// It may not.
    Failure,
    /// Nothing could be said.
    Error,
}

impl State {
    /// Of a comparison with this exit code.
    pub fn of(exit_code: u8) -> Self {
        let is = |status: ExitStatus| status.code() == exit_code;
        if is(ExitStatus::Pass) {
            Self::Success
        } else if is(ExitStatus::Blocked) || is(ExitStatus::Inconclusive) {
            Self::Failure
        } else {
            Self::Error
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// Sets it; the same commit and context have one status, whatever was said before.
pub async fn set(
    client: &Client,
    repository: &Repository,
    head: &Sha,
    context: &str,
    state: State,
    description: &str,
    address: Option<&str>,
) -> Result<(), ClientError> {
    let path = format!("repos/{}/statuses/{}", repository.name(), head.text());
    let mut body = json!({
        "state": state.name(),
        "context": context,
        "description": short(description),
    });
    if let Some(address) = address {
        body["target_url"] = json!(address);
    }
    client
        .change::<IgnoredAny>(Method::POST, &path, body)
        .await
        .map(drop)
}

fn short(text: &str) -> String {
    let line = inert::line(text);
    if line.chars().count() <= LONGEST {
        return line;
    }
    let cut: String = line.chars().take(LONGEST - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_merged_is_a_success() {
        let states = ExitStatus::ALL.map(|status| State::of(status.code()));
        let successes = states.iter().filter(|state| **state == State::Success);
        assert_eq!(successes.count(), 1);
        assert_eq!(State::of(3), State::Failure);
        assert_eq!(State::of(200), State::Error);
    }

    #[test]
    fn a_description_is_one_line_that_fits() {
        let long = short(&"päng\n".repeat(60));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with("päng päng…"), "{long}");
        assert_eq!(short("fine"), "fine");
    }
}
