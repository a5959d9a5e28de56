//! The commit status: make it a required check, because a skipped job counts as a success and a missing status does
//! not.
//!
//! One commit can have several verdicts: of several gates, and of pull requests into several bases. Each has its own
//! status, `perfgate/GATE → BASE`, and the required one, `perfgate`, is a success only if all of them are.

use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::client::{Client, ClientError};
use super::event::Repository;
use super::sha::Sha;
use crate::exit::ExitStatus;
use crate::text::sanitize;

/// GitHub's limit of a description, in characters.
const MAX_LENGTH: usize = 140;

/// GitHub's limit of a context, in characters.
const MAX_CONTEXT: usize = 255;

/// Maximum rewrites of the required status because of concurrent statuses.
const ATTEMPTS: u32 = 3;

/// The state of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CommitState {
    /// The merge may proceed.
    Success,
    /// The merge is blocked.
    Failure,
    /// No verdict.
    Error,
}

impl CommitState {
    /// The state for an exit code.
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

    /// The state from GitHub's name; `pending` is not a success.
    fn named(name: &str) -> Self {
        let mut known = [Self::Success, Self::Failure].into_iter();
        known
            .find(|state| state.name() == name)
            .unwrap_or(Self::Error)
    }
}

/// A status from the API.
#[derive(Clone, Debug, Deserialize)]
struct Given {
    state: String,
    context: String,
    #[serde(default)]
    description: Option<String>,
}

/// A verdict to publish as a status.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The API.
    pub client: &'a Client,
    /// The repository.
    pub repository: &'a Repository,
    /// The commit.
    pub head: &'a Sha,
    /// Name of the required status.
    pub context: &'a str,
    /// The gate's name, and the base branch if there is one.
    pub of: &'a str,
    /// Former context of this verdict, before its name was known: for a gate with an unreadable configuration.
    pub formerly: Option<&'a str>,
    /// The state.
    pub state: CommitState,
    /// Description in one line.
    pub description: &'a str,
    /// Address of the report.
    pub address: Option<&'a str>,
}

impl Statement<'_> {
    /// Sets the verdict's own status and then the required one. Returns the parts that had to be left out.
    pub async fn set(&self) -> Result<Vec<String>, ClientError> {
        let mut problems = Vec::new();
        // The own status first, so that other gates see it.
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
        shortened(&context, MAX_CONTEXT)
    }

    /// The combined state of all verdicts of this commit.
    async fn together(&self, own: &str) -> Result<(CommitState, String), ClientError> {
        let own_words = (self.state, self.description.to_owned());
        let others = match self.others(own).await {
            Ok(others) => others,
            // Without permission to read statuses only this verdict counts; any other failure must not lead to a success.
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

    /// The newest states of the other verdicts, with their descriptions.
    async fn others(&self, own: &str) -> Result<Vec<(CommitState, String)>, ClientError> {
        let path = format!("repos/{}/commits/{}/statuses", self.repository, self.head);
        // Newest first.
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

    /// Sets one status. Leaves out the parts that GitHub refuses, so that no older status stays.
    async fn put(
        &self,
        context: &str,
        state: CommitState,
        description: &str,
    ) -> Result<Option<String>, ClientError> {
        let address = self.address.filter(|address| is_web_address(address));
        let unfit = self.address.filter(|_| address.is_none()).map(|address| {
            let shown = sanitize::line(address);
            format!("the status has no link: `{shown}` is not an absolute http(s) address (`--report-url`)")
        });
        let description = short(description);
        match self.send(context, state, &description, address).await {
            Err(error) if error.is_of_contents() => {
                let bare = format!("{} (GitHub refused the text of this status)", state.name());
                self.send(context, state, &bare, None).await?;
                Ok(Some(format!(
                    "the status was set without its text and link: {}",
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
        let path = format!("repos/{}/statuses/{}", self.repository, self.head);
        let mut body = json!({
            "state": state.name(),
            "context": context,
            "description": description,
        });
        if let Some(address) = address {
            body["target_url"] = json!(address);
        }
        let _status: IgnoredAny = self.client.change(Method::POST, &path, body).await?;
        Ok(())
    }
}

/// Whether GitHub accepts the address as the link of a status or a check run.
pub fn is_web_address(address: &str) -> bool {
    let parsed = Url::parse(address).ok();
    parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// GitHub refuses characters outside the Unicode basic plane in statuses.
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
    shortened(text, MAX_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mergeable_verdict_is_a_success() {
        let states = ExitStatus::ALL.map(|(status, _)| CommitState::of(status.code()));
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
        assert_eq!(long.chars().count(), MAX_LENGTH);
        assert!(long.ends_with("päng päng…"), "{long}");
        assert_eq!(short("fine"), "fine");
        assert_eq!(short("🚀 faster"), "\u{FFFD} faster");
    }

    #[test]
    fn a_link_is_an_absolute_web_address() {
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
