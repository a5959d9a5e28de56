//! Client of GitHub's REST API: sequential requests, waits as GitHub requests, and follows pages. The token is only in one
//! header.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{self, Answer, Meaning, Refusal};
use crate::{clock, http, secret};

/// The version of the API.
const API_VERSION: &str = "2022-11-28";

/// Maximum size of an answer in bytes.
const LARGEST_ANSWER: usize = 16 << 20;

/// Maximum pages of 100 entries.
const MAX_PAGES: u32 = 100;

/// Maximum attempts of an idempotent request.
const ATTEMPTS: u32 = 4;

/// Maximum attempts to create an object.
const CREATE_ATTEMPTS: u32 = 3;

/// Time limits for GitHub.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Length of a second of waiting; shorter in tests.
    pub second: Duration,
    /// Limit of one request, from connecting to the last byte of the answer.
    pub request: Duration,
    /// Limit in seconds of all requests, answers and waits together.
    pub most: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            request: Duration::from_secs(30),
            most: 60,
        }
    }
}

/// Why a request to GitHub failed. Never contains the token.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Before any request.
    #[error("{0}")]
    Setup(String),
    /// GitHub refused the request.
    #[error("{request}: HTTP {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status code.
        status: u16,
        /// GitHub's message.
        message: String,
        /// The kind of refusal.
        refusal: Refusal,
    },
    /// Publishing exceeds its time limit, or would after the wait that GitHub requests.
    #[error("{request}: {why} (`--publish-timeout`)")]
    Late {
        /// Method and path.
        request: String,
        /// What exceeds the limit.
        why: String,
    },
    /// No answer, an invalid answer, or a server failure: the request may have had its effect.
    #[error("{request}: {what}")]
    Unclear {
        /// Method and path.
        request: String,
        /// The failure.
        what: String,
    },
    /// The answer is not what the API describes.
    #[error("{request}: unexpected answer from GitHub: {what}")]
    Odd {
        /// Method and path.
        request: String,
        /// What is wrong with the answer.
        what: String,
    },
}

impl ClientError {
    /// The kind of refusal, if it was one.
    pub fn refusal(&self) -> Option<Refusal> {
        if let Self::Refused { refusal, .. } = self {
            Some(*refusal)
        } else {
            None
        }
    }

    /// Whether GitHub rejected the content and not the token.
    pub fn is_of_contents(&self) -> bool {
        matches!(self, Self::Refused { status: 422, .. })
    }

    /// Whether the request may have had its effect.
    fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear { .. } | Self::Odd { .. })
    }
}

/// The API of a server, with a token.
pub struct Client {
    http: reqwest::Client,
    api: Url,
    patience: Patience,
    /// Seconds waited so far because of limits and failures.
    waited: Cell<u64>,
    /// When publishing began.
    began: Cell<Option<Instant>>,
    /// Time since then spent in those waits.
    slept: Cell<Duration>,
    /// Whether a write happened; the next write then waits a second.
    wrote: Cell<bool>,
    /// Called for every wait.
    on_wait: fn(&str),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client, because its headers contain the token.
        f.debug_struct("Client")
            .field("api", &self.api.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// For the API at `api` (`GITHUB_API_URL`). Calls `on_wait` for every wait.
    pub fn new(
        api: &str,
        token: &str,
        patience: Patience,
        on_wait: fn(&str),
    ) -> Result<Self, ClientError> {
        let api = api.trim_end_matches('/');
        let url = Url::parse(&format!("{api}/"))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .filter(|url| url.query().is_none() && url.fragment().is_none());
        let url = url.ok_or_else(|| {
            let what = "is not an address of GitHub's API (GITHUB_API_URL)";
            ClientError::Setup(format!("`{api}` {what}"))
        })?;
        let client = http::builder(url.as_str())
            .user_agent(concat!("perfgate/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(token)?)
            .timeout(patience.request)
            .connect_timeout(patience.request)
            .http1_only()
            .redirect(redirect::Policy::custom(|attempt| {
                // A renamed repository redirects on the same server; other servers never get the token.
                let first = attempt.previous().first();
                let same = first.is_some_and(|first| is_same_server(first, attempt.url()));
                if same && attempt.previous().len() <= 3 {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }))
            .build()
            .map_err(|error| ClientError::Setup(http::in_words(&error)))?;
        Ok(Self {
            http: client,
            api: url,
            patience,
            waited: Cell::new(0),
            began: Cell::new(None),
            slept: Cell::new(Duration::ZERO),
            wrote: Cell::new(false),
            on_wait,
        })
    }

    /// Starts the time limit of publishing. Requests before a long measurement do not count.
    pub fn begin(&self) {
        self.began.set(Some(Instant::now()));
        self.waited.set(0);
        self.slept.set(Duration::ZERO);
    }

    /// The time left.
    fn left(&self) -> Duration {
        let began = self.began.get().unwrap_or_else(Instant::now);
        let busy = began.elapsed().saturating_sub(self.slept.get());
        let used = busy + Duration::from_secs(self.waited.get());
        Duration::from_secs(self.patience.most).saturating_sub(used)
    }

    /// Sends a GraphQL query to the endpoint.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        query: &str,
    ) -> Result<T, ClientError> {
        let address = Url::parse(endpoint)
            .ok()
            .filter(|address| is_same_server(address, &self.api))
            .ok_or_else(|| {
                ClientError::Setup(format!("`{endpoint}` is not on the server of GitHub's API"))
            })?;
        let body = serde_json::json!({"query": query});
        let request = Request {
            is_write: false,
            ..Request::write(Method::POST, address, body)
        };
        request.parse(&self.once(&request).await?)
    }

    /// Gets one object.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = Request::get(with_query(self.address(path)?, query));
        request.parse(&self.repeated(&request).await?)
    }

    /// Gets all pages of a list, each element as `T`.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, ClientError> {
        let address = with_query(self.address(path)?, query);
        let mut address = with_query(address, &[("per_page", "100")]);
        let mut all = Vec::new();
        for _page in 0..MAX_PAGES {
            let request = Request::get(address.clone());
            let answer = self.repeated(&request).await?;
            all.extend(request.parse::<Vec<T>>(&answer)?);
            let Some(next) = answer::next_page(&answer.headers) else {
                return Ok(all);
            };
            // Unchanged, but only on the same server, because the request contains the token.
            let next = Url::parse(&next).ok();
            address = next
                .filter(|next| is_same_server(next, &self.api))
                .ok_or_else(|| request.odd("its next page is on another server"))?;
        }
        Err(Request::get(address).odd("it has more than 100 pages"))
    }

    /// Sends an idempotent change.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<T, ClientError> {
        let request = Request::write(method, self.address(path)?, body);
        request.parse(&self.repeated(&request).await?)
    }

    /// Creates an object once: after an unclear answer, `find` finds it if it exists, before the next attempt.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
        find: impl AsyncFn() -> Result<Option<T>, ClientError>,
    ) -> Result<T, ClientError> {
        let request = Request::write(Method::POST, self.address(path)?, body);
        let mut attempt = 0;
        loop {
            let answer = self.once(&request).await;
            match answer.and_then(|answer| request.parse(&answer)) {
                Err(error) if error.is_unclear() && attempt + 1 < CREATE_ATTEMPTS => {
                    self.pause(&error, attempt).await?;
                    if let Some(found) = find().await? {
                        return Ok(found);
                    }
                    attempt += 1;
                }
                created => return created,
            }
        }
    }

    /// Waits before a retry.
    async fn pause(&self, error: &ClientError, attempt: u32) -> Result<(), ClientError> {
        let ClientError::Unclear { request, what } = error else {
            return Ok(());
        };
        self.wait(1 << attempt.min(8), what, request).await
    }

    fn address(&self, path: &str) -> Result<Url, ClientError> {
        let path = path.trim_start_matches('/');
        self.api
            .join(path)
            .map_err(|error| ClientError::Setup(format!("`{path}` is not a valid path: {error}")))
    }

    /// Retries until it is answered; the request is idempotent.
    async fn repeated(&self, request: &Request) -> Result<Answer, ClientError> {
        let mut attempt = 0;
        loop {
            match self.once(request).await {
                Err(error @ ClientError::Unclear { .. }) if attempt + 1 < ATTEMPTS => {
                    self.pause(&error, attempt).await?;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Sends until it is done, refused or unclear. Rate limits apply before any effect, so a retry is safe.
    async fn once(&self, request: &Request) -> Result<Answer, ClientError> {
        let mut limited = 0;
        loop {
            if request.is_write && self.wrote.replace(true) {
                self.sleep(self.patience.second).await;
            }
            let answer = self.send(request).await?;
            let message = || answer::message(&answer.body);
            let status = answer.status;
            match answer::meaning(&answer, limited, clock::unix_time().as_secs()) {
                Meaning::Done => return Ok(answer),
                Meaning::Wait(seconds) => {
                    let why = format!("HTTP {status}: {}", message());
                    self.wait(seconds, &why, &request.name()).await?;
                    limited += 1;
                }
                Meaning::Unclear => {
                    return Err(request.unclear(format!("HTTP {status}: {}", message())));
                }
                Meaning::Refused(refusal) => {
                    return Err(ClientError::Refused {
                        request: request.name(),
                        status,
                        message: message(),
                        refusal,
                    });
                }
            }
        }
    }

    async fn send(&self, request: &Request) -> Result<Answer, ClientError> {
        let unclear = |error: reqwest::Error| request.unclear(http::in_words(&error));
        let mut builder = self
            .http
            .request(request.method.clone(), request.address.clone());
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(secret::masked_json(&body.to_string()));
        }
        let left = self.left();
        if left.is_zero() {
            return Err(ClientError::Late {
                request: request.name(),
                why: format!(
                    "publishing exceeds its time limit of {} s",
                    self.patience.most
                ),
            });
        }
        let builder = builder.timeout(self.patience.request.min(left));
        let mut response = builder.send().await.map_err(unclear)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unclear)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(request.odd("it is larger than 16 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        })
    }

    async fn wait(&self, seconds: u64, why: &str, request: &str) -> Result<(), ClientError> {
        let left = self.left();
        if Duration::from_secs(seconds) > left {
            return Err(ClientError::Late {
                request: request.to_owned(),
                why: format!(
                    "{why}: requires a wait of {seconds} s, but {} s of the {} s for publishing are left",
                    left.as_secs(),
                    self.patience.most
                ),
            });
        }
        (self.on_wait)(&format!("waiting {seconds} s for GitHub: {request}: {why}"));
        self.waited.set(self.waited.get() + seconds);
        let factor = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.sleep(self.patience.second * factor).await;
        Ok(())
    }

    /// Sleeps without counting that as request time: the caller counts the wait.
    async fn sleep(&self, time: Duration) {
        let began = Instant::now();
        tokio::time::sleep(time).await;
        self.slept.set(self.slept.get() + began.elapsed());
    }
}

/// One request.
struct Request {
    method: Method,
    address: Url,
    body: Option<Value>,
    /// Whether it changes data on GitHub.
    is_write: bool,
}

impl Request {
    fn get(address: Url) -> Self {
        Self {
            method: Method::GET,
            address,
            body: None,
            is_write: false,
        }
    }

    fn write(method: Method, address: Url, body: Value) -> Self {
        Self {
            method,
            address,
            body: Some(body),
            is_write: true,
        }
    }

    /// Method and path.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.address.path())
    }

    fn unclear(&self, what: String) -> ClientError {
        ClientError::Unclear {
            request: self.name(),
            what,
        }
    }

    fn odd(&self, what: &str) -> ClientError {
        ClientError::Odd {
            request: self.name(),
            what: what.to_owned(),
        }
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| self.odd(&error.to_string()))
    }
}

fn with_query(mut address: Url, query: &[(&str, &str)]) -> Url {
    if !query.is_empty() {
        address.query_pairs_mut().extend_pairs(query);
    }
    address
}

fn is_same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn headers(token: &str) -> Result<HeaderMap, ClientError> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        // The original error shows the value.
        .map_err(|_secret| {
            ClientError::Setup(
                "GITHUB_TOKEN has characters that are not valid in a token".to_owned(),
            )
        })?;
    bearer.set_sensitive(true);
    let fixed = HeaderValue::from_static;
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, bearer),
        (ACCEPT, fixed("application/vnd.github+json")),
        (
            HeaderName::from_static("x-github-api-version"),
            fixed(API_VERSION),
        ),
    ]))
}
