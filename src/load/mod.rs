//! The load generator: sends requests when they are due, and stamps what comes back.
//!
//! ```text
//!              schedule          body                     kernel stamps
//! LoadTest ──▶ (what is due) ──▶ engine thread ──▶ connection ⇄ socket ──▶ server
//!     ▲                           │                               │
//!     │ LoadResult: traces,       │ exchange ◀── sse ◀── response ◀┘
//!     └── own load, early_answers ◀─────┴─▶ answer (outcome and chunks of one request)
//! ```
//!
//! One thread sends and reads everything, without async and without a lock, so that its own cost per chunk is known
//! ([`ceiling()`] measures it). `response` removes HTTP's framing, `sse` splits events, `chunk` finds the generated text in one.
//! A chunk's time is when the kernel received it, not when it was read. `own_load` measures what the thread needs,
//! `thread_priority` gets it a CPU, and `watch` ends a measurement early that cannot count any more. This module does not
//! judge: a failed request is an outcome in its trace, and [`crate::measure`] turns traces into metrics.

mod answer;
mod body;
mod ceiling;
pub mod chunk;
mod client;
mod connection;
mod driver;
mod early_answers;
mod engine;
mod engine_io;
mod exchange;
mod instant;
mod own_load;
mod prepared;
pub mod response;
mod schedule;
mod socket;
pub mod sse;
mod thread_priority;
mod watch;

use std::io;

pub use body::RequestTemplate;
pub use ceiling::{Ceiling, ceiling};
pub use client::Client;
pub use driver::LoadTest;
pub use engine_io::LoadResult;
pub use watch::StopConditions;

/// Why the load could not be generated. A failed request is counted instead.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address cannot be used.
    #[error("cannot send requests to `{url}`: {reason}")]
    Address {
        /// The configured address.
        url: String,
        /// The problem.
        reason: String,
    },
    /// The API key contains characters that are invalid in a header.
    #[error(
        "the API key in `PERFGATE_API_KEY` contains characters that are invalid in an HTTP header"
    )]
    ApiKey,
    /// A request could not be rendered.
    #[error("cannot render a request as JSON: {0}")]
    Body(#[source] serde_json::Error),
    /// The load needs more connections than the system allows.
    #[error(
        "the load needs {wanted} open files, but the system allows {allowed}: raise the limit (`ulimit -Hn`) or send fewer requests \
         at once"
    )]
    TooManyStreams {
        /// Files that would be open.
        wanted: u64,
        /// The hard limit.
        allowed: u64,
    },
    /// A system call that the load generator needs failed.
    #[error("the load generator cannot run on this system: {0}")]
    System(#[source] io::Error),
    /// The thread panicked.
    #[error("the load generator crashed: {0}")]
    Broken(String),
    /// perfgate was interrupted.
    #[error("interrupted")]
    Cancelled,
}
