//! May these two runs be compared, and what are the numbers? Pure.

mod comparability;
mod finding;
mod sides;

pub use comparability::{Comparability, comparability};
pub(crate) use comparability::{describe_gpus, failed_and_all};
pub use finding::Finding;
pub(crate) use sides::orientation;
pub use sides::{Missing, Pair, SideValues, pair};
