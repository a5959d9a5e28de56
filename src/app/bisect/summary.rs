//! The summary of a search: beside its results, and on stdout.

use std::path::Path;

use crate::app::output::print;
use crate::bisect::BisectReport;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::terminal::Output;
use crate::{files, render};

/// Writes `summary.json` and `summary.md` into that folder, and shows the report.
pub(super) fn write(report: &BisectReport, folder: &Path) -> Result<(), Failure> {
    let write = |name: &str, text: &str| {
        files::write_atomically(&folder.join(name), text.as_bytes()).map_err(cannot_keep)
    };
    write("summary.json", &render::bisect::json(report))?;
    write("summary.md", &render::bisect::markdown(report))?;
    print(Output::Text, &render::bisect::text(report))
}
