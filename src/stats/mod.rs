//! Quantiles, noise, intervals, decisions. Pure: slices in, values out.
//!
//! The formulas are those of `docs/concepts/mathematics.md`; each function names the part it computes.

mod alpha_spending;
mod anytime;
mod change_point;
mod decision;
mod difference;
mod discovery;
mod estimate;
mod evidence;
mod huber;
mod noise;
mod number;
mod quantile;
mod rate;
mod trigamma;

pub use alpha_spending::{InterimLook, PAIR_LOOKS, SELF_LOOKS, candidate_looks, search_looks};
pub use anytime::e_value;
pub use change_point::{ChangePoint, change_points, level_steps};
pub use decision::{
    ErrorLevels, HIGH_EDGE, IndifferenceZone, LOW_EDGE, Outcome, decide, smallest_detectable,
};
pub use difference::{MeanDifference, difference_of_means};
pub use discovery::discovery_level;
pub use estimate::{Estimate, noise_probability, stored};
pub use evidence::{Assessment, Basis, Decision, Evidence};
pub use huber::{huber_location, huber_weight};
pub use noise::{FEWEST_SESSIONS, Noise};
pub use number::number;
pub use quantile::{mean, median, quantile};
pub(crate) use quantile::{quantile_among, quantile_of_sorted};
pub use rate::rate_interval;

#[cfg(test)]
mod reference_tests;
