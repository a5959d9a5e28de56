//! Asks a server whether it is ready: `/health` answers 2xx and `/v1/models` lists the model. Servers of other makers have
//! no `/health`; then the list alone counts.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::redact::clean;
use super::{Launch, LaunchError};
use crate::http;

/// Between two questions. It limits the resolution of `startup`.
const INTERVAL: Duration = Duration::from_millis(100);

/// Timeout of one question. Behind a published port a connection can be accepted and never answered.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest version, in characters. Those of development builds have about 40.
const LONGEST_VERSION: usize = 200;

/// Longest address of a redirection, in characters: as long as an address that a person writes.
const LONGEST_ADDRESS: usize = 200;

/// Names listed in an error.
const NAMES_SHOWN: usize = 10;

/// A server that should become ready.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    pub(super) http: &'a reqwest::Client,
    pub(super) launch: &'a Launch<'a>,
    pub(super) base_url: &'a str,
    pub(super) timeout: Duration,
    /// Whether perfgate did not start it, so that it must be ready already.
    pub(super) is_attached: bool,
}

/// Why a server is not ready.
#[derive(Debug)]
pub(super) enum NotReady {
    /// Not yet, with the last answer.
    NotYet(String),
    Ended,
    WrongModel {
        listed: Vec<String>,
    },
    /// Another reason for which it will not become ready.
    Other(LaunchError),
}

#[derive(Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Probe<'_> {
    /// Waits until the server is ready, has ended or takes too long, or until `cancel` is cancelled.
    pub(super) async fn wait(
        &self,
        ended: &CancellationToken,
        cancel: &CancellationToken,
    ) -> Result<(), NotReady> {
        let deadline = Instant::now() + self.timeout;
        let mut last = "no request was sent".to_owned();
        let mut pause = Duration::ZERO;
        loop {
            let question = async {
                tokio::time::sleep(pause).await;
                self.ask().await
            };
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(NotReady::Other(LaunchError::Cancelled)),
                () = ended.cancelled() => return Err(NotReady::Ended),
                () = tokio::time::sleep_until(deadline) => {
                    return Err(if self.is_attached {
                        self.not_reachable(&last)
                    } else {
                        NotReady::NotYet(last)
                    });
                }
                answer = question => answer,
            };
            match answer {
                Err(NotReady::NotYet(reason)) => last = reason,
                answer => return answer,
            }
            pause = INTERVAL;
        }
    }

    fn not_reachable(&self, last: &str) -> NotReady {
        NotReady::Other(LaunchError::NotReachable {
            base_url: clean(self.base_url),
            last: clean(last),
        })
    }

    async fn ask(&self) -> Result<(), NotReady> {
        let response = self.get("/health").await.map_err(|error| {
            let reason = http::in_words(&error);
            let last = format!("/health: {reason}");
            // A certificate that is rejected now is rejected in ten seconds too.
            if reason.contains("certificate") {
                self.not_reachable(&last)
            } else {
                NotReady::NotYet(last)
            }
        })?;
        let has_no_health = is_absent(response.status());
        if !has_no_health && !response.status().is_success() {
            return Err(self.refused("/health", &response));
        }
        self.ask_models(has_no_health).await
    }

    async fn ask_models(&self, has_no_health: bool) -> Result<(), NotReady> {
        let not_yet = |reason: String| NotReady::NotYet(format!("/v1/models: {reason}"));
        let response = self.get("/v1/models").await;
        let response = response.map_err(|error| not_yet(http::in_words(&error)))?;
        let status = response.status();
        if is_absent(status) && has_no_health && self.is_attached {
            let (base_url, status) = (clean(self.base_url), status.as_u16());
            return Err(NotReady::Other(LaunchError::setting(
                format!("{base_url} has neither /health nor /v1/models (HTTP {status})"),
                format!(
                    "perfgate measures servers with the OpenAI API: use the address without /v1/models, here {base_url}"
                ),
            )));
        }
        if status != StatusCode::OK {
            return Err(self.refused("/v1/models", &response));
        }
        let body = http::body(response).await;
        let body = body.map_err(|error| not_yet(error.to_string()))?;
        let list: ModelList =
            serde_json::from_slice(&body).map_err(|error| not_yet(error.to_string()))?;
        let mut listed: Vec<String> = list.data.into_iter().map(|model| model.id).collect();
        if listed.is_empty() {
            return Err(not_yet("no model".to_owned()));
        }
        if listed
            .iter()
            .any(|name| name == self.launch.served_model_name)
        {
            return Ok(());
        }
        listed.truncate(NAMES_SHOWN);
        Err(NotReady::WrongModel { listed })
    }

    /// What an answer without the requested content shows.
    fn refused(&self, path: &str, response: &reqwest::Response) -> NotReady {
        let code = response.status();
        let status = code.as_u16();
        let answered = clean(&format!("{}{path} answered HTTP {status}", self.base_url));
        let (problem, hint) = if matches!(code, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            (
                "the server needs an API key".to_owned(),
                "set PERFGATE_API_KEY to the API key of the server",
            )
        } else if code.is_redirection() {
            (
                format!("it redirects to {}", target_of(response)),
                "use the address at which the server itself answers",
            )
        } else {
            return NotReady::NotYet(format!("{path}: HTTP {status}"));
        };
        NotReady::Other(LaunchError::setting(format!("{answered}: {problem}"), hint))
    }

    /// The server's version, if it reports one.
    pub(super) async fn version(&self) -> Option<String> {
        let response = self.get("/version").await.ok()?;
        let body = http::body(response).await.ok()?;
        let Version { version } = serde_json::from_slice(&body).ok()?;
        // Only a version goes into the result, not any text that a server sends in its place.
        let version: String = version.chars().take(LONGEST_VERSION).collect();
        Some(clean(&version))
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response, reqwest::Error> {
        let mut request = self
            .http
            .get(format!("{}{path}", self.base_url))
            .timeout(QUESTION_TIMEOUT);
        if let Some(key) = self.launch.api_key {
            request = request.bearer_auth(key);
        }
        // A gateway that needs these headers for a request needs them here too.
        for (name, value) in self.launch.headers.sent() {
            request = request.header(name, value);
        }
        request.send().await
    }
}

/// Whether the server does not have the path, or not for GET.
fn is_absent(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    )
}

/// Where a redirection leads.
fn target_of(response: &reqwest::Response) -> String {
    let location = response.headers().get(reqwest::header::LOCATION);
    let to = location.map(|to| String::from_utf8_lossy(to.as_bytes()));
    // A query may contain a sign-in token.
    let to = to.as_deref().and_then(|to| to.split('?').next());
    let shown = to.unwrap_or_default().chars().filter(|c| !c.is_control());
    let shown: String = shown.take(LONGEST_ADDRESS).collect();
    if shown.is_empty() {
        return "an unknown address".to_owned();
    }
    clean(&shown)
}
