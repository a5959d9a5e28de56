//! Rules and numbers to judgements and a verdict. Pure.

mod advice;
mod budget;
pub mod comparison;
mod curves;
mod effect;
mod errors;
mod headline;
mod judge;
mod judge_all;
mod noise;
mod power;
pub mod rule;
mod sentence;
mod shown;
mod verdict;
mod warning;

pub use effect::{Effect, effect};
pub use power::{Needs, needs};
pub use sentence::{percent, signed_percent};
pub(crate) use verdict::ALPHA;
pub use verdict::{
    Labels, ThisLook, compare_evidence, compare_runs, with_analysis, with_explanation,
};
