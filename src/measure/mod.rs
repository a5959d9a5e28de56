//! Request traces to a repeat's record, and what was seen beside them to whether it counts. Pure.

mod client;
mod covariates;
mod cross_check;
mod latencies;
mod offered;
mod prompts;
mod repeat;
pub mod stability;
mod steady;
mod totals;
mod trace;

pub use client::{ClientLoad, Lateness, MOST_PACKED, Stop, first_chunks, most_unasked};
pub use covariates::{Concerns, Warning};
pub use cross_check::{ClientFigures, ServerFigures, ServerPeaks};
pub use latencies::Latencies;
pub use offered::offered_rate;
pub use prompts::prompt_lengths;
pub use repeat::{Observed, repeat};
pub use totals::Totals;
#[cfg(test)]
pub(crate) use trace::ok_trace;
pub use trace::{FASTEST_TOKEN, RequestOutcome, RequestTrace};
