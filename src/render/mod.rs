//! Renderers of a comparison. They decide nothing.
//!
//! [`view`] turns a comparison into words and numbers as text, once; the renderers only arrange them. `number` is the
//! only place where a number becomes text.

pub mod bisect;
mod chart_axis;
mod chart_history;
mod chart_repeats;
mod chart_shift;
mod chart_strata;
mod chart_timeline;
mod charts;
mod columns;
mod curve;
mod drawing;
mod drawn;
mod explanation;
mod forest;
pub mod history;
pub mod html;
pub mod junit;
mod limited;
pub mod markdown;
pub mod mlperf;
pub mod number;
mod svg;
pub mod sweep;
pub mod terminal;
pub mod view;
mod view_lines;
mod view_row;
mod view_server;

/// The short name of a commit.
pub(crate) fn short_commit(commit: &str) -> String {
    commit.chars().take(10).collect()
}
