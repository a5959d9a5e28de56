//! Annotations of lines of `thresholds.yaml` and `perfgate.yaml` on GitHub Actions.

use std::path::Path;

use super::super::Context;
use crate::config::Problems;
use crate::environment::environment;
use crate::failure::Failure;
use crate::policy::MergeEffect;
use crate::policy::rule::Place;
use crate::publish::check_run::Mark;
use crate::render::view::{Row, View};
use crate::report::comparison::Comparison;
use crate::terminal::{self, Level, WorkflowCommand};
use crate::text::sanitize;

/// GitHub's limit of shown annotations per level and step.
const MOST: usize = 10;

/// Path of a file in the repository, as far as known.
fn in_repository(file: &str) -> String {
    let below_the_workspace = || {
        let workspace = environment("GITHUB_WORKSPACE")?;
        let absolute = std::path::absolute(file).ok()?;
        let inside = absolute.strip_prefix(Path::new(&workspace)).ok()?;
        Some(inside.display().to_string())
    };
    below_the_workspace().unwrap_or_else(|| file.to_owned())
}

pub(super) fn is_on_actions(environment: &dyn Fn(&str) -> Option<String>) -> bool {
    environment("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Writes an annotation without a line.
pub(super) fn remark(level: Level, title: &str, message: &str) {
    terminal::command(&WorkflowCommand::remark(level, title, message));
}

/// Annotates the rules that failed or are undecided.
pub(crate) fn mark_rules(comparison: &Comparison, context: &Context) {
    if !is_on_actions(context.environment) {
        return;
    }
    let view = View::of(comparison);
    if !view.mismatches.is_empty() {
        let title = format!("perfgate: {}", view.title());
        return remark(Level::Error, &title, &view.headline);
    }
    let rows: Vec<(&Row, Option<&Place>)> = view
        .rows
        .iter()
        .zip(&comparison.judgements)
        .map(|(row, judgement)| (row, judgement.rule.place.as_ref()))
        .collect();
    for (level, effects) in [
        (Level::Error, &[MergeEffect::Stops][..]),
        (Level::Warning, &[MergeEffect::Warns, MergeEffect::Open][..]),
    ] {
        let marked: Vec<&(&Row, Option<&Place>)> = rows
            .iter()
            .filter(|(row, _)| effects.contains(&row.effect))
            .collect();
        // Actions adds an error for the exit code, and one annotation reports the number of omitted ones.
        for (row, place) in marked.iter().take(MOST - 2) {
            let title = format!(
                "perfgate: {}: {}",
                row.title(view.several_scenarios),
                row.sign.word
            );
            terminal::command(&match place {
                Some(place) => WorkflowCommand::annotation(
                    level,
                    &in_repository(&place.file),
                    place.line,
                    &title,
                    &row.reason,
                ),
                None => WorkflowCommand::remark(level, &title, &row.reason),
            });
        }
        if let Some(more) = marked.get(MOST - 2..).filter(|more| !more.is_empty()) {
            let message = format!("the report has {} more rules", more.len());
            remark(level, "perfgate", &message);
        }
    }
}

/// The annotations for a check run, without a limit.
pub(crate) fn marks(comparison: &Comparison) -> Vec<Mark> {
    let view = View::of(comparison);
    let rows = view.rows.iter().zip(&comparison.judgements);
    let marked = rows.filter_map(|(row, judgement)| {
        let place = judgement.rule.place.as_ref()?;
        let annotation_level = match row.effect {
            MergeEffect::Stops => "failure",
            MergeEffect::Warns | MergeEffect::Open => "warning",
            MergeEffect::Holds => return None,
        };
        Some(Mark {
            path: in_repository(&place.file),
            start_line: place.line,
            end_line: place.line,
            annotation_level,
            message: sanitize::line(&format!(
                "{}: {}: {}",
                row.title(view.several_scenarios),
                row.sign.word,
                row.reason
            )),
        })
    });
    marked.collect()
}

/// The workflow commands for a failure, and for the problems of a file at their lines.
pub fn annotations(failure: &Failure) -> Vec<WorkflowCommand> {
    if !is_on_actions(&environment) {
        return Vec::new();
    }
    let Some(problems) = failure.error.downcast_ref::<Problems>() else {
        let reason = failure.reason();
        return vec![WorkflowCommand::remark(Level::Error, "perfgate", &reason)];
    };
    let file = in_repository(&problems.file);
    let shown = problems.problems.iter().take(MOST - 2).map(|problem| {
        let line = u32::try_from(problem.line).unwrap_or(u32::MAX);
        let hint = problem.hint.as_ref().map(|hint| format!("\n{hint}"));
        let message = format!("{}{}", problem.message, hint.unwrap_or_default());
        WorkflowCommand::annotation(Level::Error, &file, line, problem.code.name(), &message)
    });
    let mut commands: Vec<WorkflowCommand> = shown.collect();
    if problems.problems.len() > commands.len() {
        let more = problems.problems.len() - commands.len();
        let message = format!("`{file}` has {more} more problems");
        commands.push(WorkflowCommand::remark(Level::Error, "perfgate", &message));
    }
    commands
}
