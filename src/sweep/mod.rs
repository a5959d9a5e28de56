//! Throughput against latency over the load: which load to measure next, the knee, the highest load inside the SLO.
//!
//! Pure: the search and the growth of the grid have no state. They take all measurements so far and return the next step, so that
//! a sweep can be replayed from its result file.

mod attainment;
mod growth;
mod knee;
mod report;
mod search;

pub use attainment::{Attained, CONFIDENCE, Limits, attained};
pub use growth::{Growth, grow};
pub use knee::{Bend, knee};
pub use report::{Capacity, SCHEMA, SweepContext, SweepPoint, SweepReport, WithinLimits};
pub use search::{Found, Grain, LoadReason, Point, Search, Step};
