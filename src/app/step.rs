//! What a step of GitHub Actions is told: its summary and its outputs.

use std::path::{Path, PathBuf};

use super::Context;
use super::progress::note;
use crate::cli::compare::OutputArgs;
use crate::files::FileError;
use crate::policy::comparison::Comparison;
use crate::publish::actions;
use crate::render;

/// Tells the step, where this runs in one; the summary only with the files of a gate. Failing to tell never changes the
/// verdict.
pub(super) fn tell(
    comparison: &Comparison,
    files: Option<&OutputArgs>,
    accept_label: Option<&str>,
    comparison_path: &Path,
    context: &Context,
) {
    let variable = |name: &str| (context.environment)(name).map(PathBuf::from);
    let told = (|| {
        if let (Some(summary), Some(_)) = (variable("GITHUB_STEP_SUMMARY"), files) {
            let markdown = render::markdown::comparison(comparison, accept_label);
            actions::write_step_summary(&summary, &markdown)?;
        }
        let Some(outputs) = variable("GITHUB_OUTPUT") else {
            return Ok(());
        };
        let mut values = vec![
            ("verdict", render::json::verdict(comparison)),
            ("exit-code", comparison.exit_code.to_string()),
            ("headline", comparison.headline.clone()),
            ("comparison-path", comparison_path.display().to_string()),
        ];
        let report = files.and_then(|files| files.html.as_deref());
        values.extend(report.map(|path| ("report-path", path.display().to_string())));
        actions::write_outputs(&outputs, &values)
    })();
    if let Err(error) = told {
        let error: FileError = error;
        note(&format!(
            "warning: the verdict stands, but GitHub was not told: {error}"
        ));
    }
}
