//! GitHub's REST API by its own rules: one request after another, waiting as long as it says, following pages as it gives
//! them. The token is in one header and nowhere else.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::{self, Answer, Meaning, Refusal};
use crate::{clock, http, secret};

/// The version of the API that is spoken.
const API_VERSION: &str = "2022-11-28";

/// No answer that is read here is larger.
const LARGEST_ANSWER: usize = 16 << 20;

/// Pages of 100; more is no conversation.
const MOST_PAGES: u32 = 100;

/// Attempts of a request that may be repeated without harm.
const ATTEMPTS: u32 = 4;

/// How long GitHub is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A second, in waiting; shorter in tests.
    pub second: Duration,
    /// For one request, from connecting to the last byte of the answer.
    pub request: Duration,
    /// Seconds that everything may take together: asking, answering, and waiting because of limits and failures.
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

/// Why GitHub was not told, or did not tell. Never has the token in it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Before anything was asked.
    #[error("{0}")]
    Setup(String),
    /// It said no.
    #[error("{request}: HTTP {status}: {message}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status code.
        status: u16,
        /// In GitHub's words.
        message: String,
        /// Which kind of no.
        refusal: Refusal,
    },
    /// It asks for more time than is waited.
    #[error(
        "{request}: {why}: it would take {asked} s more, and {left} s of the {most} s for all of publishing are left (`--publish-timeout`)"
    )]
    Limited {
        /// Method and path.
        request: String,
        /// What asks for the time.
        why: String,
        /// Seconds still to wait.
        asked: u64,
        /// Seconds that are left.
        left: u64,
        /// Seconds that everything may take.
        most: u64,
    },
    /// The time for all of publishing is over.
    #[error("{request}: the {most} s for all of publishing are over (`--publish-timeout`)")]
    Over {
        /// Method and path.
        request: String,
        /// Seconds that everything may take.
        most: u64,
    },
    /// No answer, a broken one, or a failure of the server: it may have been done.
    #[error("{request}: {what}")]
    Unclear {
        /// Method and path.
        request: String,
        /// What came instead of an answer.
        what: String,
    },
    /// The answer is not what the API describes.
    #[error("{request}: the answer is not as GitHub describes it: {what}")]
    Odd {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        what: String,
    },
}

impl ClientError {
    /// Which kind of no it was.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            Self::Setup(_)
            | Self::Limited { .. }
            | Self::Over { .. }
            | Self::Unclear { .. }
            | Self::Odd { .. } => None,
        }
    }

    /// Whether GitHub found fault with what it was to take, and not with who asked.
    pub fn is_of_contents(&self) -> bool {
        matches!(self, Self::Refused { status: 422, .. })
    }

    /// Whether what was asked for may have been done.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unclear { .. } | Self::Odd { .. })
    }
}

/// The API of one server, with one token.
pub struct Client {
    http: reqwest::Client,
    api: Url,
    patience: Patience,
    /// Seconds waited so far because of limits and failures.
    waited: Cell<u64>,
    /// When publishing began.
    began: Cell<Option<Instant>>,
    /// What of the time since then was spent in those waits.
    slept: Cell<Duration>,
    /// Whether something was written, after which the next writing waits a second.
    wrote: Cell<bool>,
    /// Told of every wait.
    say: fn(&str),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client, whose headers have the token.
        f.debug_struct("Client")
            .field("api", &self.api.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// For the API at `api` (`GITHUB_API_URL`). `say` is told of every wait.
    pub fn new(
        api: &str,
        token: &str,
        patience: Patience,
        say: fn(&str),
    ) -> Result<Self, ClientError> {
        let setup = |what: String| ClientError::Setup(what);
        let api = api.trim_end_matches('/');
        let url = Url::parse(&format!("{api}/"))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .filter(|url| url.query().is_none() && url.fragment().is_none());
        let url = url.ok_or_else(|| {
            setup(format!(
                "`{api}` is no address of GitHub's API (GITHUB_API_URL)"
            ))
        })?;
        let client = http::builder(url.as_str())
            .default_headers(headers(token)?)
            .timeout(patience.request)
            .connect_timeout(patience.request)
            .http1_only()
            .redirect(redirect::Policy::custom(|attempt| {
                // A repository that was renamed is elsewhere on the same server; nobody else gets the token.
                let first = attempt.previous().first();
                let same = first.is_some_and(|first| is_same_server(first, attempt.url()));
                if same && attempt.previous().len() <= 3 {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }))
            .build()
            .map_err(|error| setup(http::in_words(&error)))?;
        Ok(Self {
            http: client,
            api: url,
            patience,
            waited: Cell::new(0),
            began: Cell::new(None),
            slept: Cell::new(Duration::ZERO),
            wrote: Cell::new(false),
            say,
        })
    }

    /// From now on the time for all of publishing runs. What was asked before a measurement of an hour takes none of it.
    pub fn begin(&self) {
        self.began.set(Some(Instant::now()));
        self.waited.set(0);
        self.slept.set(Duration::ZERO);
    }

    /// What is left of that time, in seconds.
    fn left(&self) -> f64 {
        let began = self.began.get().unwrap_or_else(Instant::now);
        let busy = began.elapsed().saturating_sub(self.slept.get());
        let used = busy.as_secs_f64() + Duration::from_secs(self.waited.get()).as_secs_f64();
        (Duration::from_secs(self.patience.most).as_secs_f64() - used).max(0.0)
    }

    /// What the GraphQL endpoint at that address answers; a question, however it is sent.
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
        let request = Request {
            body: Some(serde_json::json!({"query": query})),
            writes: false,
            ..Request::new(Method::POST, address)
        };
        let answer = self.once(&request).await?;
        request.parse(&answer)
    }

    /// One thing.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let request = Request::new(Method::GET, with_query(self.address(path)?, query));
        let answer = self.repeated(&request).await?;
        request.parse(&answer)
    }

    /// All pages of a list, each element as `T`.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, ClientError> {
        let address = with_query(self.address(path)?, query);
        let mut address = with_query(address, &[("per_page", "100")]);
        let mut all = Vec::new();
        for _page in 0..MOST_PAGES {
            let request = Request::new(Method::GET, address.clone());
            let answer = self.repeated(&request).await?;
            all.extend(request.parse::<Vec<T>>(&answer)?);
            let Some(next) = answer::next_page(&answer.headers) else {
                return Ok(all);
            };
            // As given, but to nobody else: the token goes with it.
            let next = Url::parse(&next).ok();
            address = next
                .filter(|next| is_same_server(next, &self.api))
                .ok_or_else(|| request.odd("its next page is on another server"))?;
        }
        let request = Request::new(Method::GET, address);
        Err(request.odd("it has more than 100 pages"))
    }

    /// Changes something to what it shall be; once or twice is the same.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<T, ClientError> {
        let request = Request {
            body: Some(body),
            ..Request::new(method, self.address(path)?)
        };
        let answer = self.repeated(&request).await?;
        request.parse(&answer)
    }

    /// Creates something, once. An error that [`ClientError::is_unclear`] asks for a look before another try.
    pub async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Value,
    ) -> Result<T, ClientError> {
        let request = Request {
            body: Some(body),
            ..Request::new(Method::POST, self.address(path)?)
        };
        let answer = self.once(&request).await?;
        request.parse(&answer)
    }

    /// Waits before another try of a create, as before that of anything else.
    pub async fn pause(&self, error: &ClientError, attempt: u32) -> Result<(), ClientError> {
        let ClientError::Unclear { request, what } = error else {
            return Ok(());
        };
        self.wait(1 << attempt.min(8), what, request).await
    }

    fn address(&self, path: &str) -> Result<Url, ClientError> {
        let path = path.trim_start_matches('/');
        self.api
            .join(path)
            .map_err(|error| ClientError::Setup(format!("`{path}` is no path: {error}")))
    }

    /// Until it is answered: nothing is lost if it is done twice.
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

    /// Until it is done or refused, or it is unclear whether it was done. A limit was met before anything was done.
    async fn once(&self, request: &Request) -> Result<Answer, ClientError> {
        let mut limited = 0;
        loop {
            if request.writes && self.wrote.replace(true) {
                self.sleep(self.patience.second).await;
            }
            let answer = self.send(request).await?;
            let message = answer::message(&answer.body);
            match answer::meaning(&answer, limited, clock::unix_time().as_secs()) {
                Meaning::Done => return Ok(answer),
                Meaning::Wait(seconds) => {
                    self.wait(
                        seconds,
                        &format!("HTTP {}: {message}", answer.status),
                        &request.name(),
                    )
                    .await?;
                    limited += 1;
                }
                Meaning::Unclear => {
                    return Err(request.unclear(format!("HTTP {}: {message}", answer.status)));
                }
                Meaning::Refused(refusal) => {
                    return Err(ClientError::Refused {
                        request: request.name(),
                        status: answer.status,
                        message,
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
        if left <= 0.0 {
            return Err(ClientError::Over {
                request: request.name(),
                most: self.patience.most,
            });
        }
        let builder = builder.timeout(self.patience.request.min(Duration::from_secs_f64(left)));
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
        let most = self.patience.most;
        let left = self.left();
        if Duration::from_secs(seconds).as_secs_f64() > left {
            return Err(ClientError::Limited {
                request: request.to_owned(),
                why: why.to_owned(),
                asked: seconds,
                left: Duration::from_secs_f64(left).as_secs(),
                most,
            });
        }
        (self.say)(&format!("waiting {seconds} s for GitHub: {request}: {why}"));
        self.waited.set(self.waited.get() + seconds);
        let factor = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.sleep(self.patience.second * factor).await;
        Ok(())
    }

    /// Sleeps, and does not count that as time of requests: the caller counts the wait.
    async fn sleep(&self, time: Duration) {
        let began = Instant::now();
        tokio::time::sleep(time).await;
        self.slept.set(self.slept.get() + began.elapsed());
    }
}

/// One question.
struct Request {
    method: Method,
    address: Url,
    body: Option<Value>,
    /// Whether it changes something there.
    writes: bool,
}

impl Request {
    fn new(method: Method, address: Url) -> Self {
        Self {
            writes: method != Method::GET,
            method,
            address,
            body: None,
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
        // The error would show the value.
        .map_err(|_secret| {
            ClientError::Setup("GITHUB_TOKEN has characters that no token has".to_owned())
        })?;
    bearer.set_sensitive(true);
    let fixed = HeaderValue::from_static;
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, bearer),
        (ACCEPT, fixed("application/vnd.github+json")),
        (
            USER_AGENT,
            fixed(concat!("perfgate/", env!("CARGO_PKG_VERSION"))),
        ),
        (
            reqwest::header::HeaderName::from_static("x-github-api-version"),
            fixed(API_VERSION),
        ),
    ]))
}
