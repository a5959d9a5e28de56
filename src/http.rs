//! The HTTP client that asks a server about itself: ready, models, metrics. Requests under measurement have their own.

use std::time::Duration;

/// A healthy server answers these questions in milliseconds; a busy one may need a moment.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A slash added, and a scheme.
const MOST_REDIRECTS: usize = 3;

/// A client without a proxy (the server under test is on this machine or named on purpose) and with a short time-out.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    install_tls_provider();
    reqwest::Client::builder()
        .no_proxy()
        // The client of buckets brings HTTP/2 along; a server under test is asked as ever.
        .http1_only()
        .timeout(TIMEOUT)
        // A server that is to be measured is not elsewhere; but vLLM's own /metrics may be at /metrics/.
        .redirect(reqwest::redirect::Policy::custom(|attempt| {
            let first = attempt.previous().first();
            let is_metrics = first.is_some_and(|first| first.path().ends_with("/metrics"));
            if is_metrics && attempt.previous().len() < MOST_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        }))
        .build()
}

/// Most bytes of what a server says of itself: its models, its version, its metrics. vLLM's metrics have some 100 kB for
/// each engine; whoever sends more than this sends something else, or without end.
pub const LONGEST_ANSWER: usize = 16 << 20;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection broke, or it took too long.
    #[error("{}", in_words(.0))]
    Connection(#[source] reqwest::Error),
    /// It is longer than anybody reads.
    #[error("the answer is longer than {} MiB", LONGEST_ANSWER >> 20)]
    TooLong,
}

/// The body of an answer, of [`LONGEST_ANSWER`] at most: what comes after that is not read.
pub async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(BodyError::Connection)? {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Names the implementation of TLS, once per process. Without it building any client would panic.
pub fn install_tls_provider() {
    // An error only says that one is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The cause at the bottom: what is above it only repeats the address.
pub fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
