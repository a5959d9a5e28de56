//! The result file: types, versions, reading and writing.
//!
//! [`mod@format`] mirrors the file, [`Run`] is the checked result, and only `store` accesses
//! files.

mod columns;
mod compact;
mod contradiction;
mod counts;
mod definition;
mod failures;
pub mod format;
mod latencies;
mod ledger;
mod optional_fields;
mod read;
mod same;
mod store;
pub mod telemetry;
mod totals;
mod valid;

pub use compact::{as_baseline, as_session, is_measured_before, line, readable};
pub use definition::Packaging;
pub use failures::Failures;
pub use latencies::{FASTEST_TOKEN, Latencies, MAX_PACKED};
pub use ledger::{LedgerLine, average_price, ledger_lines, parse_ledger};
pub(crate) use read::checked;
pub use read::{RecordError, parse};
pub use same::{Content, is_same_run};
pub(crate) use same::{Mark, marks, marks_of};
pub use store::{load, load_ledger, read, read_ledger, save};
pub use totals::Totals;
pub use valid::{FROM_BLOCKS, RepeatRun, Run, ScenarioRun};
