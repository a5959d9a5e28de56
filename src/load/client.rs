//! One request over HTTP: sent, timed as its bytes arrive, and turned into a trace.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::LoadError;
use super::answer::{Answer, Expected};
use super::chunk::error_text;
use crate::http::{in_words, install_tls_provider};
use crate::measure::{Outcome, RequestTrace};

/// An idle connection is given up before uvicorn closes it (after 5 s): a request on a connection that closes under it
/// would look like a failure of the server.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Connecting to a server that answered a moment ago takes no time; a hang here is a failure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A body of an error answer is read up to here.
const LONGEST_ERROR_BODY: usize = 64 << 10;

/// Sends completions to one server. Every stream in flight has a connection of its own (HTTP/1.1).
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    authorization: Option<HeaderValue>,
}

/// One rendered request; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) index: usize,
    pub(super) body: Bytes,
    pub(super) expected: Expected,
}

impl Client {
    /// A client of `url` (base address and path). `api_key` goes into the `Authorization` header and nowhere else.
    pub fn new(url: String, api_key: Option<&str>) -> Result<Self, LoadError> {
        install_tls_provider();
        let http = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION)
            .build()
            .map_err(LoadError::Client)?;
        let authorization = api_key
            .map(|key| {
                HeaderValue::from_str(&format!("Bearer {key}")).map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
            })
            .transpose()
            .map_err(|_unprintable| LoadError::ApiKey)?;
        Ok(Self {
            http,
            url,
            authorization,
        })
    }

    /// Sends one request and waits for its end, at most `timeout`. Times count from `origin`; `due` is when it should
    /// have been sent (`None`: now). Returns the trace and the server's `system_fingerprint`.
    pub(super) async fn send(
        &self,
        prepared: Prepared,
        timeout: Duration,
        origin: Instant,
        due: Option<Duration>,
    ) -> (RequestTrace, Option<String>) {
        let since = |instant: Instant| instant.saturating_duration_since(origin).as_secs_f64();
        let expected = prepared.expected;
        let index = prepared.index;
        let mut answer = Answer::default();
        let sent = since(Instant::now());
        let streamed =
            tokio::time::timeout(timeout, self.stream(prepared.body, &mut answer, origin)).await;
        let ended = since(Instant::now());
        let (heard, outcome) = match streamed {
            Ok(Ok(())) => answer.finish(ended, expected),
            Ok(Err(reason)) => (answer.broken_off(), Outcome::Failed(reason)),
            Err(_elapsed) => (answer.broken_off(), Outcome::TimedOut),
        };
        let trace = RequestTrace {
            index,
            due: due.map_or(sent, |due| due.as_secs_f64()),
            sent,
            token_chunks: heard.token_chunks,
            last_token: heard.last_token,
            ended,
            prompt_tokens: heard.usage.map(|(prompt, _)| prompt),
            output_tokens: heard.usage.map(|(_, output)| output),
            outcome,
        };
        (trace, heard.fingerprint)
    }

    async fn stream(
        &self,
        body: Bytes,
        answer: &mut Answer,
        origin: Instant,
    ) -> Result<(), String> {
        let mut request = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| in_words(&error))?;
        let status = response.status();
        let mut bytes = response.bytes_stream();
        if status != reqwest::StatusCode::OK {
            let mut body = Vec::new();
            while let Some(Ok(piece)) = bytes.next().await {
                body.extend_from_slice(&piece);
                if body.len() > LONGEST_ERROR_BODY {
                    break;
                }
            }
            return Err(format!(
                "HTTP {}: {}",
                status.as_u16(),
                error_text(&String::from_utf8_lossy(&body))
            ));
        }
        while let Some(piece) = bytes.next().await {
            // The clock before anything else: parsing must not be part of a latency.
            let at = Instant::now()
                .saturating_duration_since(origin)
                .as_secs_f64();
            let piece = piece.map_err(|error| in_words(&error))?;
            answer.receive(&piece, at)?;
        }
        Ok(())
    }
}
