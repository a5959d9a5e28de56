//! Rules and numbers to judgements and a verdict. Pure.

pub mod comparison;
pub mod rule;
