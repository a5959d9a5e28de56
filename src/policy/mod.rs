//! Rules and numbers to judgements and a verdict. Pure.

mod advice;
mod budget;
pub mod comparison;
mod comparison_charts;
mod curves;
mod errors;
mod headline;
mod history;
mod judge;
mod judge_all;
mod noise;
mod power;
pub mod rule;
mod sentence;
mod shown;
mod verdict;
mod warning;

pub use power::{Needs, needs};
pub use sentence::{percent, signed_percent};
pub(crate) use verdict::ALPHA;
pub use verdict::{Labels, ThisLook, compare_evidence, compare_runs, with_analysis};
