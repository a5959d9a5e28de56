//! The author's analysis of a growth that a `report` rule asks about: from a file, or from the pull request's text.

use std::path::Path;

use super::progress::note;
use super::{Context, Failure};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::Analysis;
use crate::publish::pull_request;

/// Fewer characters explain nothing.
const SHORTEST: usize = 20;

/// Longer ones are no analysis that a person reads within a report.
const LONGEST: usize = 64 << 10;

/// The analysis in that file. One that is empty, too short or too long is refused: it would let a regression through.
pub(super) fn from_file(path: Option<&Path>) -> Result<Option<Analysis>, Failure> {
    let Some(path) = path else {
        return Ok(None);
    };
    let text = files::read_text(path).map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let source = path.display().to_string();
    let refuse = |what: &str| {
        Failure::message(ExitStatus::Usage, format!("`{source}` is {what}"))
            .hint("write in it what grew, why, and why that is worth it")
    };
    if is_too_short(&text) {
        return Err(refuse("no analysis: it has fewer than 20 characters"));
    }
    if text.len() > LONGEST {
        return Err(refuse("no analysis: it has more than 64 KiB"));
    }
    let text = text.trim().to_owned();
    Ok(Some(Analysis { source, text }))
}

/// The analysis in that file, else the one under the heading `perfgate analysis` of the pull request for which this step of
/// GitHub Actions runs.
pub(super) fn find(path: Option<&Path>, context: &Context) -> Result<Option<Analysis>, Failure> {
    if let Some(analysis) = from_file(path)? {
        return Ok(Some(analysis));
    }
    let Some(event) = (context.environment)("GITHUB_EVENT_PATH") else {
        return Ok(None);
    };
    // Whatever is wrong with the event, there is no analysis, and the rule does what it does without one.
    let text = match pull_request::text_of_event(Path::new(&event)) {
        Ok(text) => text,
        Err(error) => {
            note(&format!(
                "warning: the pull request's text is not known: {error}"
            ));
            return Ok(None);
        }
    };
    let section = text.as_deref().and_then(pull_request::analysis_section);
    let Some(text) = section else {
        return Ok(None);
    };
    if is_too_short(&text) || text.len() > LONGEST {
        note(
            "warning: what stands under `perfgate analysis` in the pull request's text has fewer than 20 characters or more than 64 KiB, and does not count",
        );
        return Ok(None);
    }
    Ok(Some(Analysis {
        source: "pull request".to_owned(),
        text,
    }))
}

fn is_too_short(text: &str) -> bool {
    text.trim().chars().count() < SHORTEST
}
