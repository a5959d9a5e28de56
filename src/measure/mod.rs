//! Request traces to a repeat's record. Pure.

mod client;
mod latencies;
mod repeat;
pub mod stability;
mod steady;
mod totals;
mod trace;

pub use client::{ClientLoad, Lateness, first_chunks};
pub use latencies::Latencies;
pub use repeat::{Observed, repeat};
pub use totals::Totals;
pub use trace::{Outcome, RequestTrace};
