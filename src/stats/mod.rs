//! Quantiles, noise, intervals, decisions. Pure: slices in, values out.
//!
//! The formulas are those of `docs/statistics.md`; each function names the part it computes.

mod decision;
mod estimate;
mod huber;
mod number;
mod quantile;

pub use decision::{Answer, HIGH_EDGE, LOW_EDGE, Zone, decide, smallest_detectable};
pub use estimate::{Estimate, Prior, stored_baseline};
pub use huber::huber_location;
pub use number::number;
pub(crate) use quantile::quantile_of_sorted;
pub use quantile::{mean, median, quantile};
