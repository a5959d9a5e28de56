//! The load generator.
//!
//! [`Drive`] makes the `schedule` of a pass and starts the `engine`, a thread that sends requests over `connection`s when
//! they are due. What comes back is stamped by the kernel (`socket`, `instant`), freed of HTTP's framing (`response`) and
//! turned into an outcome (`exchange`, `answer`) by way of `sse` and `chunk`. `own_load` counts what the thread did
//! itself, `precedence` sees that it gets a CPU, `watch` ends a pass that has become worthless, and [`ceiling()`] measures
//! what it can do on this machine.

mod answer;
mod body;
mod ceiling;
pub mod chunk;
mod client;
mod connection;
mod driver;
mod engine;
mod exchange;
mod instant;
mod order;
mod own_load;
mod precedence;
mod prepared;
pub mod response;
mod schedule;
mod socket;
pub mod sse;
mod unasked;
mod watch;

use std::io;

pub use body::RequestTemplate;
pub use ceiling::{Ceiling, ceiling};
pub use client::Client;
pub use driver::{Drive, Driven};
pub use watch::Patience;

/// Why a pass could not be driven. A failed request is no such error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address leads nowhere.
    #[error("cannot send requests to `{url}`: {reason}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The API key has characters that no header can carry.
    #[error("the API key in `PERFGATE_API_KEY` has characters that an HTTP header cannot carry")]
    ApiKey,
    /// A request could not be rendered.
    #[error("cannot render a request as JSON: {0}")]
    Body(#[source] serde_json::Error),
    /// More connections than the system allows.
    #[error(
        "the load needs {wanted} open files and the system allows {allowed}; raise the limit (`ulimit -Hn`) or send less at \
         once"
    )]
    TooManyStreams {
        /// Files that would be open.
        wanted: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// The system refused what the load generator cannot do without.
    #[error("the load generator cannot work on this system: {0}")]
    System(#[source] io::Error),
    /// The thread ended by a panic.
    #[error("the load generator broke: {0}")]
    Broken(String),
    /// Told to stop.
    #[error("interrupted")]
    Cancelled,
}
