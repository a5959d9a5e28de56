//! The LLM scenarios of MLPerf Inference: limits of the tasks, early stopping, and whether a run is valid.
//!
//! Pure. A run of perfgate by these rules is not an official result: official results come from the LoadGen, with the
//! benchmark's data sets, and after review.

mod early_stopping;
mod report;
mod task;
mod validity;

pub use early_stopping::{CONFIDENCE, over_latency_allowed, queries_needed};
pub use report::{MlperfReport, NOT_OFFICIAL, SCHEMA, Tried};
pub use task::{Limits, TASKS, Task};
pub use validity::{LENGTH_ROOM, Reason, Requirements, Scenario, Seen, reasons};
