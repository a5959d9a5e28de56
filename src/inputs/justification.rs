//! Texts of the author: the analysis for a `report` rule and the explanation for `explain: true`, from files or from the
//! pull request's text.

use std::path::Path;

use crate::cli::compare::AuthorArgs;
use crate::environment::Environment;
use crate::event::{Events, InputEvent};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::publish::payload::Event;
use crate::publish::pull_request;
use crate::report::comparison::Analysis;
use crate::trial::Author;
use crate::{files, limits};

/// Minimum length of a text in characters.
const MIN_LENGTH: usize = 20;

/// Adds missing texts from the text of a pull request.
fn or_in(given: Author, text: &str, events: &Events) -> Author {
    let found = |kind| in_text(text, kind, events);
    Author {
        analysis: given.analysis.or_else(|| found(&ANALYSIS)),
        explanation: given.explanation.or_else(|| found(&EXPLANATION)),
    }
}

/// One of the two kinds of text.
struct TextKind {
    /// Its name in messages and headings.
    name: &'static str,
    /// What to write.
    content: &'static str,
}

const ANALYSIS: TextKind = TextKind {
    name: "analysis",
    content: "describe what grew, why, and why it is worth it",
};

const EXPLANATION: TextKind = TextKind {
    name: "explanation",
    content: "describe what became slower, why, and why that is acceptable",
};

/// The texts of the files. Empty, too short and too long texts are refused.
pub(crate) fn from_files(
    analysis: Option<&Path>,
    explanation: Option<&Path>,
) -> Result<Author, Failure> {
    let read = |path: Option<&Path>, kind| path.map(|path| from_file(path, kind)).transpose();
    Ok(Author {
        analysis: read(analysis, &ANALYSIS)?,
        explanation: read(explanation, &EXPLANATION)?,
    })
}

fn from_file(path: &Path, kind: &TextKind) -> Result<Analysis, Failure> {
    let text = files::read_text_within(path, limits::ANALYSIS)
        .map_err(|error| Failure::new(ExitStatus::Usage, error).hint(kind.content))?;
    let source = path.display().to_string();
    let refuse = |what: &str| {
        let message = format!("`{source}` is not a valid {}: it has {what}", kind.name);
        Failure::usage(message).hint(kind.content)
    };
    if is_too_short(&text) {
        return Err(refuse("fewer than 20 characters"));
    }
    let text = text.trim().to_owned();
    Ok(Analysis { source, text })
}

/// The texts of the given files, else the sections `perfgate analysis` and `perfgate explanation` of the pull request of this
/// GitHub Actions step: from its current text in `today` if known, because a re-run has the event of the first
/// run.
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
        return Ok(or_in(given, &text, events));
    }
    let Some(event) = environment("GITHUB_EVENT_PATH") else {
        return Ok(given);
    };
    // An invalid event gives no text; the rules then apply as without a text.
    let text = match Event::read(Path::new(&event)) {
        Ok(event) => pull_request::text_of_event(event).unwrap_or_default(),
        Err(error) => {
            events.emit(InputEvent::PullRequestTextUnknown {
                reason: error.to_string(),
            });
            return Ok(given);
        }
    };
    Ok(or_in(given, &text, events))
}

fn in_text(text: &str, kind: &TextKind, events: &Events) -> Option<Analysis> {
    let text = pull_request::section(text, &format!("perfgate {}", kind.name))?;
    if is_too_short(&text) || text.len() as u64 > limits::ANALYSIS.bytes {
        events.emit(InputEvent::SectionIgnored { section: kind.name });
        return None;
    }
    Some(Analysis {
        source: "pull request".to_owned(),
        text,
    })
}

fn is_too_short(text: &str) -> bool {
    text.trim().chars().count() < MIN_LENGTH
}
