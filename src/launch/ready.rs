//! Asks a server whether it is ready: `/health` answers 2xx and `/v1/models` lists the model. Servers of other makers have
//! no `/health`; then the list alone counts.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Headers;
use crate::http;

/// Between two questions. It limits the resolution of `startup`.
const INTERVAL: Duration = Duration::from_millis(100);

/// Timeout of one question. Behind a published port a connection can be accepted and never answered.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest version, in characters. Those of development builds have about 40.
const LONGEST_VERSION: usize = 200;

/// A server that should become ready.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    pub(super) http: &'a reqwest::Client,
    pub(super) base_url: &'a str,
    pub(super) served_model_name: &'a str,
    pub(super) api_key: Option<&'a str>,
    pub(super) headers: &'a Headers,
    pub(super) timeout: Duration,
    /// Whether perfgate did not start it, so that it must be ready already.
    pub(super) is_attached: bool,
}

/// Why a server is not ready and will not become ready.
#[derive(Debug)]
pub(super) enum NotReady {
    Cancelled,
    Ended,
    TimedOut {
        last: String,
    },
    WrongModel {
        listed: Vec<String>,
    },
    Unauthorized {
        path: &'static str,
        status: u16,
    },
    /// It redirects its clients.
    Redirected {
        path: &'static str,
        status: u16,
        to: String,
    },
    /// It has none of the requested paths.
    NoApi {
        status: u16,
    },
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

/// Result of one round of questions.
enum Readiness {
    Ready,
    NotYet(String),
    Never(NotReady),
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
        loop {
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(NotReady::Cancelled),
                () = ended.cancelled() => return Err(NotReady::Ended),
                () = tokio::time::sleep_until(deadline) => return Err(NotReady::TimedOut { last }),
                answer = self.ask() => answer,
            };
            match answer {
                Readiness::Ready => return Ok(()),
                Readiness::Never(reason) => return Err(reason),
                Readiness::NotYet(reason) => last = reason,
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(NotReady::Cancelled),
                () = ended.cancelled() => return Err(NotReady::Ended),
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    async fn ask(&self) -> Readiness {
        match self.get("/health").await {
            Ok(response) if response.status().is_success() => self.models(false).await,
            Ok(response) if response.status().is_redirection() => redirected("/health", &response),
            Ok(response) if is_absent(response.status()) => self.models(true).await,
            Ok(response) if wants_a_key(response.status()) => {
                unauthorized("/health", response.status())
            }
            Ok(response) => {
                Readiness::NotYet(format!("/health: HTTP {}", response.status().as_u16()))
            }
            Err(error) => {
                let reason = http::in_words(&error);
                let last = format!("/health: {reason}");
                // A certificate that is rejected now is rejected in ten seconds too.
                if reason.contains("certificate") {
                    Readiness::Never(NotReady::TimedOut { last })
                } else {
                    Readiness::NotYet(last)
                }
            }
        }
    }

    async fn models(&self, has_no_health: bool) -> Readiness {
        let response = match self.get("/v1/models").await {
            Ok(response) => response,
            Err(error) => {
                return Readiness::NotYet(format!("/v1/models: {}", http::in_words(&error)));
            }
        };
        let status = response.status();
        if wants_a_key(status) {
            return unauthorized("/v1/models", status);
        }
        if status.is_redirection() {
            return redirected("/v1/models", &response);
        }
        if is_absent(status) && has_no_health && self.is_attached {
            return Readiness::Never(NotReady::NoApi {
                status: status.as_u16(),
            });
        }
        if status != StatusCode::OK {
            return Readiness::NotYet(format!("/v1/models: HTTP {}", status.as_u16()));
        }
        let list = match http::body(response).await {
            Ok(body) => {
                serde_json::from_slice::<ModelList>(&body).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match list {
            Ok(list) if list.data.is_empty() => {
                Readiness::NotYet("/v1/models: no model".to_owned())
            }
            Ok(list) => {
                let listed: Vec<String> = list.data.into_iter().map(|model| model.id).collect();
                if listed.iter().any(|name| name == self.served_model_name) {
                    Readiness::Ready
                } else {
                    Readiness::Never(NotReady::WrongModel { listed })
                }
            }
            Err(error) => Readiness::NotYet(format!("/v1/models: {error}")),
        }
    }

    /// The server's version, if it reports one.
    pub(super) async fn version(&self) -> Option<String> {
        let response = self.get("/version").await.ok()?;
        let body = http::body(response).await.ok()?;
        let Version { version } = serde_json::from_slice(&body).ok()?;
        // Only a version goes into the result, not any text that a server sends in its place.
        Some(version.chars().take(LONGEST_VERSION).collect())
    }

    async fn get(&self, path: &str) -> Result<reqwest::Response, reqwest::Error> {
        let mut request = self
            .http
            .get(format!("{}{path}", self.base_url))
            .timeout(QUESTION_TIMEOUT);
        if let Some(key) = self.api_key {
            request = request.bearer_auth(key);
        }
        // A gateway that needs these headers for a request needs them here too.
        for (name, value) in self.headers.sent() {
            request = request.header(name, value);
        }
        request.send().await
    }
}

fn wants_a_key(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn unauthorized(path: &'static str, status: StatusCode) -> Readiness {
    Readiness::Never(NotReady::Unauthorized {
        path,
        status: status.as_u16(),
    })
}

/// Whether the server does not have the path, or not for GET.
fn is_absent(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
    )
}

fn redirected(path: &'static str, response: &reqwest::Response) -> Readiness {
    /// As long as an address that a person writes.
    const LONGEST: usize = 200;
    let location = response.headers().get(reqwest::header::LOCATION);
    let to = location.map(|to| String::from_utf8_lossy(to.as_bytes()));
    // A query may contain a sign-in token.
    let to = to.as_deref().and_then(|to| to.split('?').next());
    let shown = to.unwrap_or_default().chars().filter(|c| !c.is_control());
    Readiness::Never(NotReady::Redirected {
        path,
        status: response.status().as_u16(),
        to: shown.take(LONGEST).collect(),
    })
}
