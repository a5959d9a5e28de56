//! The load generator: driver, HTTP client, SSE parser.
//!
//! [`Drive`] decides when a request is sent, [`Client`] sends it and stamps its bytes as they arrive, `answer` turns
//! them into an outcome by way of `sse` and `chunk`.

mod answer;
mod body;
pub mod chunk;
mod client;
mod driver;
pub mod sse;

pub use body::RequestTemplate;
pub use client::Client;
pub use driver::{Drive, Driven};

/// Why a pass could not be driven. A failed request is no such error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[source] reqwest::Error),
    /// The API key has characters that no header can carry.
    #[error("the API key in `PERFGATE_API_KEY` has characters that an HTTP header cannot carry")]
    ApiKey,
    /// A request could not be rendered.
    #[error("cannot render a request as JSON: {0}")]
    Body(#[source] serde_json::Error),
    /// A sender ended by a panic.
    #[error("a sender of the load generator broke: {0}")]
    Sender(String),
    /// Told to stop.
    #[error("interrupted")]
    Cancelled,
}
