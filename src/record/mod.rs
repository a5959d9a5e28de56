//! The result file: types, versions, reading and writing.
//!
//! [`mod@format`] is what the file says, [`Run`] what is believed after checking it, `store` the only part that touches
//! files.

mod columns;
mod compact;
mod counts;
mod definition;
mod failures;
pub mod format;
mod ledger;
mod read;
mod store;
mod valid;

pub use compact::{as_baseline, as_session, is_measured_before, is_same_run, line, readable};
pub use definition::Packaging;
pub use failures::Failures;
pub use ledger::{LedgerLine, ledger_lines, parse_ledger};
pub use read::{RecordError, parse};
pub use store::{load, load_ledger, read, read_ledger, save};
pub(crate) use valid::is_copy;
pub use valid::{FROM_BLOCKS, KV_CACHE_FROM, RepeatRun, Run, ScenarioRun};
