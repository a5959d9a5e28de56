//! What a search for the guilty commit found out: the frozen shape of its summary, and what follows from its steps. Pure.

mod report;
mod sureness;

pub use report::{
    BisectOutcome, BisectReport, Commit, Cost, Role, SCHEMA, Step, StepChange, StepOutcome,
};
pub use sureness::{Sureness, steps_for};
