//! The author's word: the analysis that a `report` rule asks about and the explanation that `explain: true` asks for, from
//! files or from the pull request's text.

use std::path::Path;

use crate::cli::compare::AuthorArgs;
use crate::environment::Environment;
use crate::event::{Events, InputEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::policy::{with_analysis, with_explanation};
use crate::publish::pull_request;
use crate::report::comparison::{Analysis, Comparison};
use crate::{files, limits, trial};

/// Fewer characters explain nothing.
const SHORTEST: usize = 20;

/// What the author says.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    /// Of a growth that a `report` rule asks about.
    pub(crate) analysis: Option<Analysis>,
    /// Of a regression that a rule with `explain` asks about.
    pub(crate) explanation: Option<Analysis>,
}

impl Author {
    /// Both texts, as a trial takes them.
    pub(crate) fn texts(&self) -> trial::Author<'_> {
        trial::Author {
            analysis: self.analysis.as_ref(),
            explanation: self.explanation.as_ref(),
        }
    }

    /// A comparison that was made before, with the author's current texts.
    pub(crate) fn said_of(&self, mut comparison: Comparison) -> Comparison {
        if let Some(analysis) = &self.analysis {
            comparison = with_analysis(comparison, analysis.clone());
        }
        if let Some(explanation) = &self.explanation {
            comparison = with_explanation(comparison, explanation.clone());
        }
        comparison
    }

    /// What is missing, from the text of a pull request.
    fn or_in(self, text: &str, events: &Events) -> Self {
        Self {
            analysis: self.analysis.or_else(|| in_text(text, &ANALYSIS, events)),
            explanation: self
                .explanation
                .or_else(|| in_text(text, &EXPLANATION, events)),
        }
    }
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
pub(crate) fn from_files(
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
    let text = files::read_text_within(path, limits::ANALYSIS)
        .map_err(|error| Failure::new(ExitStatus::Usage, error).hint(asked.content))?;
    let source = path.display().to_string();
    let refuse = |what: &str| {
        let message = format!("`{source}` is no {}: it has {what}", asked.name);
        Failure::message(ExitStatus::Usage, message).hint(asked.content)
    };
    if is_too_short(&text) {
        return Err(refuse("fewer than 20 characters"));
    }
    let text = text.trim().to_owned();
    Ok(Analysis { source, text })
}

/// What stands in the files that are named, else under the headings `perfgate analysis` and `perfgate explanation` of the
/// pull request for which this step of GitHub Actions runs: in its text as it is now, where `today` tells it, since a re-run has
/// the event of the first run.
pub(crate) fn find(
    args: &AuthorArgs,
    today: impl FnOnce() -> Option<String>,
    environment: &Environment,
    events: &Events,
) -> Result<Author, Failure> {
    let given = from_files(args.analysis.as_deref(), args.explanation.as_deref())?;
    if given.analysis.is_some() && given.explanation.is_some() {
        return Ok(given);
    }
    if let Some(text) = today() {
        return Ok(given.or_in(&text, events));
    }
    let Some(event) = environment("GITHUB_EVENT_PATH") else {
        return Ok(given);
    };
    // Whatever is wrong with the event, nothing is said there, and every rule does what it does without.
    let text = match pull_request::text_of_event(Path::new(&event)) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            events.emit(InputEvent::PullRequestTextUnknown {
                reason: error.to_string(),
            });
            return Ok(given);
        }
    };
    Ok(given.or_in(&text, events))
}

fn in_text(text: &str, asked: &Asked, events: &Events) -> Option<Analysis> {
    let text = (asked.section)(text)?;
    if is_too_short(&text) || text.len() as u64 > limits::ANALYSIS.bytes {
        events.emit(InputEvent::SectionIgnored {
            section: asked.name,
        });
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
