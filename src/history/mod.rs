//! The accepted sessions over time: series, segments and steps. Pure.

mod export;
mod segments;
mod series;

pub use export::{Labels, bencher, csv, github_action_benchmark, json_lines, prometheus};
pub use segments::{Start, last_segment, segments};
pub(crate) use series::worse_by;
pub use series::{Point, Series, Step, StepReason, all_series};
