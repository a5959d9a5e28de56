//! The load generator: sends requests when they are due, and stamps what comes back.
//!
//! ```text
//!            schedule          body                     kernel stamps
//! Drive ──▶ (what is due) ──▶ engine thread ──▶ connection ⇄ socket ──▶ server
//!   ▲                           │                               │
//!   │ Driven: traces,           │ exchange ◀── sse ◀── response ◀┘
//!   └── own load, unasked ◀─────┴─▶ answer (outcome and chunks of one request)
//! ```
//!
//! One thread sends and reads everything, without async and without a lock, so that its own cost per chunk is known
//! ([`ceiling()`] measures it). `response` removes HTTP's framing, `sse` splits events, `chunk` finds the generated text in one.
//! A chunk's time is the one at which the kernel received it, not the one at which it was read. `own_load` counts what the
//! thread needed, `precedence` gets it a CPU, and `watch` ends a measurement early that cannot count any more. Nothing here
//! judges: a failed request is an outcome in its trace, and [`crate::measure`] turns traces into metrics.

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
