//! The commit status: the check to make required, since a job that is skipped counts as a success and a status that
//! nobody wrote does not.
//!
//! Several verdicts may be about one commit: of several gates, and of pull requests into several bases. Each has a status of
//! its own, `perfgate/GATE → BASE`, and the required one, `perfgate`, is a success only where all of them are.

use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::client::{Client, ClientError};
use super::event::Repository;
use super::sha::Sha;
use crate::exit::ExitStatus;
use crate::text::sanitize;

/// Characters of a description that GitHub takes.
const LONGEST: usize = 140;

/// Characters of a context that GitHub takes.
const LONGEST_CONTEXT: usize = 255;

/// Times that the required status is written anew because others wrote theirs meanwhile.
const ATTEMPTS: u32 = 3;

/// What the status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitState {
    /// The merge may go on.
    Success,
    /// It may not.
    Failure,
    /// Nothing could be said.
    Error,
}

impl CommitState {
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

    /// The state by GitHub's name; a pending one is not a success.
    fn named(name: &str) -> Self {
        match name {
            "success" => Self::Success,
            "failure" => Self::Failure,
            _ => Self::Error,
        }
    }
}

/// A status as the API gives it.
#[derive(Clone, Debug, Deserialize)]
struct Given {
    state: String,
    context: String,
    #[serde(default)]
    description: Option<String>,
}

/// A verdict that is to be published as a status.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The API.
    pub client: &'a Client,
    /// The repository.
    pub repository: &'a Repository,
    /// The commit that carries it.
    pub head: &'a Sha,
    /// Name of the required status.
    pub context: &'a str,
    /// Whose verdict: the gate's name, and the base branch where there is one.
    pub of: &'a str,
    /// The context that the same verdict had before its name was known: of a gate whose configuration could not be read.
    pub formerly: Option<&'a str>,
    /// Its schema.
    pub state: CommitState,
    /// In a line.
    pub description: &'a str,
    /// Where it can be read.
    pub address: Option<&'a str>,
}

impl Statement<'_> {
    /// Sets the verdict's own status and then the required one. What had to be left out is returned.
    pub async fn set(&self) -> Result<Vec<String>, ClientError> {
        let mut problems = Vec::new();
        // The own one first, so that other gates that read all of them see it.
        let own = self.own_context(self.of);
        let own_set = self.put(&own, self.state, self.description).await;
        let mut written = None;
        for _attempt in 0..ATTEMPTS {
            let (state, description) = self.together(&own).await?;
            if written.as_ref() == Some(&(state, description.clone())) {
                break;
            }
            problems.extend(self.put(self.context, state, &description).await?);
            written = Some((state, description));
        }
        problems.extend(own_set?);
        problems.dedup();
        Ok(problems)
    }

    fn own_context(&self, of: &str) -> String {
        let context = format!("{}/{of}", self.context);
        shortened(&context, LONGEST_CONTEXT)
    }

    /// What all verdicts about this commit come to.
    async fn together(&self, own: &str) -> Result<(CommitState, String), ClientError> {
        let own_words = (self.state, self.description.to_owned());
        let others = match self.others(own).await {
            Ok(others) => others,
            // Without the right to read them this verdict alone counts; any other failure must not lead to a success.
            Err(ClientError::Refused { .. }) => Vec::new(),
            Err(error) if self.state == CommitState::Success => return Err(error),
            Err(_unknown) => Vec::new(),
        };
        let worst = others.iter().max_by_key(|(state, _)| *state);
        Ok(match worst {
            None => own_words,
            Some((state, words)) if *state > self.state => (*state, words.clone()),
            Some(_) => (self.state, format!("{}: {}", self.of, self.description)),
        })
    }

    /// The newest states of the other verdicts, with what they say.
    async fn others(&self, own: &str) -> Result<Vec<(CommitState, String)>, ClientError> {
        let path = format!(
            "repos/{}/commits/{}/statuses",
            self.repository.name(),
            self.head.text()
        );
        // The newest first.
        let given: Vec<Given> = self.client.list(&path, &[]).await?;
        let beginning = format!("{}/", self.context);
        let former = self.formerly.map(|of| self.own_context(of));
        let mut seen = vec![own.to_owned()];
        seen.extend(former);
        let mut others = Vec::new();
        for status in given {
            let Some(of) = status.context.strip_prefix(&beginning) else {
                continue;
            };
            if seen.contains(&status.context) {
                continue;
            }
            let words = status.description.unwrap_or_default();
            others.push((CommitState::named(&status.state), format!("{of}: {words}")));
            seen.push(status.context);
        }
        Ok(others)
    }

    /// One status. What GitHub does not take of it is left out, so that no older one stays in its place.
    async fn put(
        &self,
        context: &str,
        state: CommitState,
        description: &str,
    ) -> Result<Option<String>, ClientError> {
        let (address, unfit) = match self.address {
            Some(address) if is_web_address(address) => (Some(address), None),
            Some(address) => (
                None,
                Some(format!(
                    "the status has no link: `{}` is not an absolute http(s) address (`--report-url`)",
                    sanitize::line(address)
                )),
            ),
            None => (None, None),
        };
        match self
            .send(context, state, &short(description), address)
            .await
        {
            Err(error) if error.is_of_contents() => {
                let bare = format!("{} (GitHub refused the text of this status)", state.name());
                self.send(context, state, &bare, None).await?;
                Ok(Some(format!(
                    "the status was set without its text and its link: {}",
                    sanitize::line(&error.to_string())
                )))
            }
            other => other.map(|()| unfit),
        }
    }

    async fn send(
        &self,
        context: &str,
        state: CommitState,
        description: &str,
        address: Option<&str>,
    ) -> Result<(), ClientError> {
        let path = format!(
            "repos/{}/statuses/{}",
            self.repository.name(),
            self.head.text()
        );
        let mut body = json!({
            "state": state.name(),
            "context": context,
            "description": description,
        });
        if let Some(address) = address {
            body["target_url"] = json!(address);
        }
        self.client
            .change::<IgnoredAny>(Method::POST, &path, body)
            .await
            .map(drop)
    }
}

/// What GitHub takes as the link of a status or a check run.
pub fn is_web_address(address: &str) -> bool {
    let parsed = Url::parse(address).ok();
    parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Statuses are kept as three bytes a character: GitHub refuses those beyond the basic plane.
fn shortened(text: &str, longest: usize) -> String {
    let line: String = sanitize::line(text)
        .chars()
        .map(|c| if c > '\u{FFFF}' { '\u{FFFD}' } else { c })
        .collect();
    if line.chars().count() <= longest {
        return line;
    }
    let cut: String = line.chars().take(longest - 1).collect();
    format!("{}…", cut.trim_end())
}

fn short(text: &str) -> String {
    shortened(text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_merged_is_a_success() {
        let states = ExitStatus::ALL.map(|status| CommitState::of(status.code()));
        let successes = states
            .iter()
            .filter(|state| **state == CommitState::Success);
        assert_eq!(successes.count(), 1);
        assert_eq!(CommitState::of(3), CommitState::Failure);
        assert_eq!(CommitState::of(200), CommitState::Error);
        assert_eq!(CommitState::named("pending"), CommitState::Error);
    }

    #[test]
    fn a_description_is_one_line_that_fits() {
        let long = short(&"päng\n".repeat(60));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.ends_with("päng päng…"), "{long}");
        assert_eq!(short("fine"), "fine");
        assert_eq!(short("🚀 faster"), "\u{FFFD} faster");
    }

    #[test]
    fn a_link_is_an_absolute_address_of_the_web() {
        for address in ["https://x.test/1", "http://127.0.0.1:8/r"] {
            assert!(is_web_address(address), "{address}");
        }
        for address in [
            "report.html",
            "/r",
            "//x.test/",
            "ftp://x.test/",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_web_address(address), "{address}");
        }
    }
}
