//! What a step of GitHub Actions is told: its summary and its outputs.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::super::Context;
use crate::cli::compare::OutputArgs;
use crate::publish::actions;
use crate::report::comparison::Comparison;
use crate::terminal::progress::note;
use crate::{render, secret};

/// Tells the step, where this runs in one. Failing to tell one thing keeps no other from being told, and never changes the
/// verdict.
pub(crate) fn tell(
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
        untold("the step has no outputs", &error);
    }
}

/// Adds Markdown to the summary of the step.
pub(crate) fn summarize(markdown: &str, context: &Context) {
    let Some(summary) = (context.environment)("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        return;
    };
    match actions::write_step_summary(&summary, &secret::masked(markdown)) {
        Ok(true) => {}
        Ok(false) => untold(
            "the step's summary has no report",
            &"its file is full (1 MiB)",
        ),
        Err(error) => untold("the step's summary has no report", &error),
    }
}

fn untold(what: &str, why: &dyn Display) {
    note(&format!(
        "warning: the verdict is unchanged, but {what}: {why}"
    ));
}
