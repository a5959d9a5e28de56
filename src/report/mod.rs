//! The published contract: the types of the comparison file. Types only.

pub mod charts;
pub mod comparison;
pub mod judgement;
pub mod price;
pub mod rule;
