//! Quantiles, noise, intervals, decisions. Pure: slices in, values out.
//!
//! The formulas are those of `docs/concepts/mathematics.md`; each function names the part it computes.

mod anytime;
mod change_point;
mod decision;
mod difference;
mod discovery;
mod estimate;
mod huber;
mod levels;
mod look;
mod noise;
mod number;
mod order;
mod projection;
mod quantile;
mod rate;
mod starts;
mod today;
mod trigamma;

pub use anytime::e_value;
pub use change_point::{ChangePoint, change_points, level_steps};
pub use decision::{ErrorLevels, HIGH_EDGE, IndifferenceZone, LOW_EDGE, Outcome};
pub use difference::{MeanDifference, difference_of_means};
pub use discovery::discovery_level;
pub use estimate::{CLEAR_BLOCK, CLEAR_PASS, Estimate, Test};
pub use huber::{huber_location, huber_weight};
pub use levels::{MOST_PAIRS, PairSchedule, StoredLook, stored_looks};
pub use look::{AllEvidence, Basis, Beyond, Evidence, Look, Shown, StoredEvidence};
pub use noise::{FEWEST_SESSIONS, MOST_SESSIONS, Noise, is_host_known};
pub use number::number;
pub use order::base_starts_first;
pub use projection::Projection;
pub use quantile::{mean, median, quantile};
pub(crate) use quantile::{quantile_among, quantile_of_sorted};
pub use rate::rate_interval;
pub use starts::{
    Replicate, Replicates, by_start, is_of_kind, merge_pairs, noise_of_starts, replicates,
};
pub use today::{TodaysNoise, noise_probability};

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod vector_tests;
