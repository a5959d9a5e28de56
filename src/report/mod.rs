//! The published contract: the comparison file and what it is made of. Types only.

pub mod charts;
pub mod comparison;
pub mod rule;
