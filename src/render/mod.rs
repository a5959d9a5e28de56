//! One comparison, many renderers. They decide nothing.
//!
//! [`view`] turns a comparison into words and numbers as text, once; the renderers only arrange them. `number` is the
//! only place where a number becomes text, `inert` the only one where foreign text becomes harmless.

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
pub mod json;
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

/// A commit as people name it.
pub(crate) fn short_commit(commit: &str) -> String {
    commit.chars().take(10).collect()
}
