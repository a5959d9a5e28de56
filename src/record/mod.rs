//! The result file: types, versions, reading and writing.
//!
//! [`mod@format`] is what the file says, [`Run`] what is believed after checking it, `store` the only part that touches
//! files.

pub mod format;
mod read;
mod store;
mod valid;

pub use read::{RecordError, parse};
pub use store::{load, save};
pub use valid::{RepeatRun, Run, ScenarioRun};
