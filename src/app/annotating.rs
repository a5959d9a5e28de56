//! On GitHub Actions, the lines of `thresholds.yaml` and `perfgate.yaml` that a verdict or a problem is about.

use std::path::Path;

use super::progress::note;
use super::{Context, Failure, environment};
use crate::config::Problems;
use crate::policy::Effect;
use crate::policy::comparison::Comparison;
use crate::policy::rule::Place;
use crate::publish::actions::{self, Level};
use crate::publish::check_run::Mark;
use crate::render::inert;
use crate::render::view::{Row, View};

/// Annotations of one level that Actions shows of a step.
const MOST: usize = 10;

/// Where a file is in the repository, as far as that is known.
fn in_repository(file: &str) -> String {
    let below_the_workspace = || {
        let workspace = environment("GITHUB_WORKSPACE")?;
        let absolute = std::path::absolute(file).ok()?;
        let inside = absolute.strip_prefix(Path::new(&workspace)).ok()?;
        Some(inside.display().to_string())
    };
    inert::line(&below_the_workspace().unwrap_or_else(|| file.to_owned()))
}

fn is_on_actions(environment: &dyn Fn(&str) -> Option<String>) -> bool {
    environment("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Marks the rules that did not hold, or are not known to.
pub(super) fn mark_rules(comparison: &Comparison, context: &Context) {
    if !is_on_actions(context.environment) {
        return;
    }
    let view = View::of(comparison);
    if !view.mismatches.is_empty() {
        let message = inert::line(&view.headline);
        let title = format!("perfgate: {}", view.title());
        note(&actions::remark(Level::Error, &title, &message));
        return;
    }
    let rows: Vec<(&Row, Option<&Place>)> = view
        .rows
        .iter()
        .zip(&comparison.judgements)
        .map(|(row, judgement)| (row, judgement.rule.place.as_ref()))
        .collect();
    for (level, effects) in [
        (Level::Error, &[Effect::Stops][..]),
        (Level::Warning, &[Effect::Warns, Effect::Open][..]),
    ] {
        let marked: Vec<&(&Row, Option<&Place>)> = rows
            .iter()
            .filter(|(row, _)| effects.contains(&row.effect))
            .collect();
        // The exit code makes Actions show an error of its own, and one line says how many are left out.
        for (row, place) in marked.iter().take(MOST - 2) {
            let title = inert::line(&format!(
                "perfgate: {}: {}",
                row.title(view.several_scenarios),
                row.sign.word
            ));
            let message = inert::line(&row.reason);
            note(&match place {
                Some(place) => actions::annotation(
                    level,
                    &in_repository(&place.file),
                    place.line,
                    &title,
                    &message,
                ),
                None => actions::remark(level, &title, &message),
            });
        }
        if let Some(more) = marked.get(MOST - 2..).filter(|more| !more.is_empty()) {
            let message = format!("{} more rules are in the report", more.len());
            note(&actions::remark(level, "perfgate", &message));
        }
    }
}

/// The same as marks of a check run, which takes as many as there are.
pub(super) fn marks(comparison: &Comparison) -> Vec<Mark> {
    let view = View::of(comparison);
    let rows = view.rows.iter().zip(&comparison.judgements);
    let marked = rows.filter_map(|(row, judgement)| {
        let place = judgement.rule.place.as_ref()?;
        let blocks = match row.effect {
            Effect::Stops => true,
            Effect::Warns | Effect::Open => false,
            Effect::Holds => return None,
        };
        Some(Mark {
            path: in_repository(&place.file),
            line: place.line,
            blocks,
            message: inert::line(&format!(
                "{}: {}: {}",
                row.title(view.several_scenarios),
                row.sign.word,
                row.reason
            )),
        })
    });
    marked.collect()
}

/// The workflow commands that show a failure beside the run, and the problems of a file at their lines.
pub fn annotation(failure: &Failure) -> Option<String> {
    if !is_on_actions(&environment) {
        return None;
    }
    let Some(problems) = failure.error.downcast_ref::<Problems>() else {
        let reason = failure.reason();
        return Some(actions::remark(Level::Error, "perfgate", &reason));
    };
    let file = in_repository(&problems.file);
    let shown = problems.problems.iter().take(MOST - 2).map(|problem| {
        let line = u32::try_from(problem.line).unwrap_or(u32::MAX);
        let hint = problem.hint.as_ref().map(|hint| format!("\n{hint}"));
        let message = format!("{}{}", problem.message, hint.unwrap_or_default());
        actions::annotation(Level::Error, &file, line, problem.code.name(), &message)
    });
    let mut lines: Vec<String> = shown.collect();
    if problems.problems.len() > lines.len() {
        let more = problems.problems.len() - lines.len();
        let message = format!("`{file}` has {more} more problems");
        lines.push(actions::remark(Level::Error, "perfgate", &message));
    }
    Some(lines.join("\n"))
}
