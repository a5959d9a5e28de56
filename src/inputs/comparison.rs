//! A comparison file that an earlier command wrote.

use std::path::Path;

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::policy::parse_comparison;
use crate::report::comparison::Comparison;
use crate::{files, limits};

/// A comparison file of this version.
pub(crate) fn read_comparison(path: &Path) -> Result<Comparison, Failure> {
    let with_hint = |failure: Failure| {
        failure.hint("use the comparison.json of `perfgate gate` or the output of `perfgate compare --format json`")
    };
    let usage = |message: String| with_hint(Failure::usage(message));
    let unreadable = |error| with_hint(Failure::new(ExitStatus::Usage, error));
    let bytes = files::read_within(path, limits::COMPARISON).map_err(unreadable)?;
    let path = path.display();
    parse_comparison(&bytes).map_err(|error| usage(format!("`{path}` {error}")))
}
