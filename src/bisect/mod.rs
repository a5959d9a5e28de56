//! The result of a search for the guilty commit: the frozen format of its summary, and its error probabilities. Pure.

mod report;
mod sureness;

pub use report::{
    BisectOutcome, BisectReport, Commit, Cost, Role, SCHEMA, Step, StepChange, StepOutcome,
};
pub use sureness::{Sureness, steps_for};
