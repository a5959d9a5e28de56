//! Turns request traces into a repeat's record, and decides from its covariates whether it counts. Pure.

mod client;
mod covariates;
mod cross_check;
mod offered;
mod prompts;
mod repeat;
pub mod stability;
mod steady;
mod trace;

pub use client::{ClientLoad, Lateness, Stop, first_chunks, most_unasked};
pub use covariates::{Concerns, Warning};
pub use cross_check::{ClientFigures, ServerFigures};
pub use offered::offered_rate;
pub use prompts::prompt_lengths;
pub use repeat::{Observed, repeat};
#[cfg(test)]
pub(crate) use trace::ok_trace;
pub use trace::{RequestOutcome, RequestTrace};
