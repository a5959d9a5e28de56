//! Whether two runs are comparable, and their numbers. Pure.

mod arguments;
mod comparability;
mod equal_work;
mod evidence;
mod hardware;
mod memory;
mod missing;
mod packaging;
mod request_noise;
mod server_figures;
mod shift;
mod sides;
mod strata;
mod timelines;

pub use comparability::{Comparability, comparability};
pub(crate) use comparability::{failed_and_all, same_fingerprint};
pub use evidence::{ComparableInputs, ComparisonInputs, is_same_measurement, usable};
pub(crate) use hardware::describe_gpus;
pub(crate) use memory::{
    MEMORY, cache_figures_differ, cache_is_fixed, cache_is_sized_differently, what_it_reveals,
};
pub use missing::Missing;
pub(crate) use missing::of_side;
pub(crate) use packaging::unlike;
pub(crate) use request_noise::request_noise;
pub(crate) use server_figures::server_figures;
pub(crate) use shift::shift;
pub(crate) use sides::orientation;
pub use sides::{Alternating, Pair, SideValues, alternating, fewest_requests, pair};
pub(crate) use strata::strata;
pub(crate) use timelines::timelines;
