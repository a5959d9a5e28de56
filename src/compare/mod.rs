//! May these two runs be compared, and what are the numbers? Pure.

mod comparability;
mod sides;

pub use comparability::{Comparability, Finding, comparability};
pub use sides::{Missing, Pair, SideValues, pair};
