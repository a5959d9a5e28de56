//! Summary and outputs of a GitHub Actions step.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::super::Context;
use crate::cli::compare::OutputArgs;
use crate::publish::actions;
use crate::report::comparison::Comparison;
use crate::terminal::progress::note;
use crate::{render, secret};

/// Writes the outputs of the step, if this runs in one. A failure of one does not stop the others and never changes the
/// verdict.
pub(crate) fn write_outputs(
    comparison: &Comparison,
    files: Option<&OutputArgs>,
    accept_label: Option<&str>,
    comparison_path: &Path,
    context: &Context,
) {
    let markdown = render::markdown::comparison(comparison, accept_label);
    summarize(&markdown, context);
    let Some(outputs) = (context.environment)("GITHUB_OUTPUT").map(PathBuf::from) else {
        return;
    };
    let mut values = vec![
        ("verdict", comparison.verdict_name()),
        ("exit-code", comparison.exit_code.to_string()),
        ("headline", secret::masked(&comparison.headline)),
        ("comparison-path", comparison_path.display().to_string()),
    ];
    let report = files.and_then(|files| files.html.as_deref());
    values.extend(report.map(|path| ("report-path", path.display().to_string())));
    if let Err(error) = actions::write_outputs(&outputs, &values) {
        warn_not_written("the step has no outputs", &error);
    }
}

/// Adds Markdown to the step's summary.
pub(crate) fn summarize(markdown: &str, context: &Context) {
    let Some(summary) = (context.environment)("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        return;
    };
    match actions::write_step_summary(&summary, &secret::masked(markdown)) {
        Ok(true) => {}
        Ok(false) => warn_not_written(
            "the step's summary has no report",
            &"its file is full (1 MiB)",
        ),
        Err(error) => warn_not_written("the step's summary has no report", &error),
    }
}

pub(super) fn warn_not_written(what: &str, why: &dyn Display) {
    note(&format!(
        "warning: the verdict is unchanged, but {what}: {why}"
    ));
}
