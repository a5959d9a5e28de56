//! What a search for the guilty commit found out: the frozen shape of its summary, and what follows from its steps. Pure.

mod report;
mod sureness;

pub use report::{Answer, BisectReport, Commit, Cost, Outcome, Role, SCHEMA, Step, StepChange};
pub use sureness::{Sureness, steps_for};
