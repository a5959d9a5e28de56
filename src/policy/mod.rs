//! Rules and numbers to judgements and a verdict. Pure.

mod advice;
pub mod comparison;
mod headline;
mod judge;
mod noise_floor;
pub mod rule;
mod sentence;
mod shown;
mod verdict;

pub use sentence::{percent, signed_percent};
pub use verdict::{Labels, compare_runs};
