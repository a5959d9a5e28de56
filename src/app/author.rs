//! The author's word: the analysis that a `report` rule asks about and the explanation that `explain: true` asks for, from
//! files or from the pull request's text.

use std::path::Path;

use super::progress::note;
use super::{Context, Failure};
use crate::cli::compare::AuthorArgs;
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Analysis;
use crate::publish::pull_request;

/// Fewer characters explain nothing.
const SHORTEST: usize = 20;

/// Longer ones are nothing that a person reads within a report.
const LONGEST: usize = 64 << 10;

/// What the author says.
#[derive(Clone, Debug)]
pub(super) struct Author {
    /// Of a growth that a `report` rule asks about.
    pub(super) analysis: Option<Analysis>,
    /// Of a regression that a rule with `explain` asks about.
    pub(super) explanation: Option<Analysis>,
}

impl Author {
    /// One who says nothing.
    pub(super) const SILENT: Self = Self {
        analysis: None,
        explanation: None,
    };
}

/// One of the two things that are asked for.
struct Asked {
    /// As it is called in messages and headings.
    name: &'static str,
    /// What is to be written.
    content: &'static str,
    /// Its section of a pull request's text.
    section: fn(&str) -> Option<String>,
}

const ANALYSIS: Asked = Asked {
    name: "analysis",
    content: "write in it what grew, why, and why that is worth it",
    section: pull_request::analysis_section,
};

const EXPLANATION: Asked = Asked {
    name: "explanation",
    content: "write in it what became slower, why, and why that is right",
    section: pull_request::explanation_section,
};

/// What stands in those files. One that is empty, too short or too long is refused: it would explain nothing.
pub(super) fn from_files(
    analysis: Option<&Path>,
    explanation: Option<&Path>,
) -> Result<Author, Failure> {
    let read = |path: Option<&Path>, asked| path.map(|path| from_file(path, asked)).transpose();
    Ok(Author {
        analysis: read(analysis, &ANALYSIS)?,
        explanation: read(explanation, &EXPLANATION)?,
    })
}

fn from_file(path: &Path, asked: &Asked) -> Result<Analysis, Failure> {
    let text = files::read_text(path).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let source = path.display().to_string();
    let refuse = |what: &str| {
        let message = format!("`{source}` is no {}: it has {what}", asked.name);
        Failure::message(ExitStatus::Usage, message).hint(asked.content)
    };
    if is_too_short(&text) {
        return Err(refuse("fewer than 20 characters"));
    }
    if text.len() > LONGEST {
        return Err(refuse("more than 64 KiB"));
    }
    let text = text.trim().to_owned();
    Ok(Analysis { source, text })
}

/// What stands in the files that are named, else under the headings `perfgate analysis` and `perfgate explanation` of the
/// pull request for which this step of GitHub Actions runs.
pub(super) fn find(args: &AuthorArgs, context: &Context) -> Result<Author, Failure> {
    let given = from_files(args.analysis.as_deref(), args.explanation.as_deref())?;
    let Some(event) = (context.environment)("GITHUB_EVENT_PATH") else {
        return Ok(given);
    };
    if given.analysis.is_some() && given.explanation.is_some() {
        return Ok(given);
    }
    // Whatever is wrong with the event, nothing is said there, and every rule does what it does without.
    let text = match pull_request::text_of_event(Path::new(&event)) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            note(&format!(
                "warning: the pull request's text is not known: {error}"
            ));
            return Ok(given);
        }
    };
    Ok(Author {
        analysis: given.analysis.or_else(|| in_text(&text, &ANALYSIS)),
        explanation: given.explanation.or_else(|| in_text(&text, &EXPLANATION)),
    })
}

fn in_text(text: &str, asked: &Asked) -> Option<Analysis> {
    let text = (asked.section)(text)?;
    if is_too_short(&text) || text.len() > LONGEST {
        note(&format!(
            "warning: what stands under `perfgate {}` in the pull request's text has fewer than 20 characters or more than 64 KiB, and does not count",
            asked.name
        ));
        return None;
    }
    Some(Analysis {
        source: "pull request".to_owned(),
        text,
    })
}

fn is_too_short(text: &str) -> bool {
    text.trim().chars().count() < SHORTEST
}
