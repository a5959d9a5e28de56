//! Errors of adapters as failures with exit codes: one place for the mapping.

use super::Failure;
use crate::exit::ExitStatus;
use crate::launch::{Fault, LaunchError};
use crate::load::LoadError;
use crate::record::RecordError;

/// Of starting or stopping a server.
pub(super) fn launch_failure(error: &LaunchError) -> Failure {
    let status = match error.fault() {
        Fault::Target => ExitStatus::TargetFailed,
        Fault::Surroundings => ExitStatus::SurroundingsFailed,
        Fault::Configuration => ExitStatus::Usage,
        Fault::Interrupted => ExitStatus::Interrupted,
    };
    let hints = error.hints();
    Failure {
        hints,
        is_of_version: error.is_of_this_version(),
        ..Failure::message(status, in_words(error))
    }
}

/// Of driving the load.
pub(super) fn load_failure(error: &LoadError) -> Failure {
    let status = match error {
        LoadError::Cancelled => ExitStatus::Interrupted,
        LoadError::ApiKey => ExitStatus::Usage,
        LoadError::Address { .. } => ExitStatus::TargetFailed,
        LoadError::TooManyStreams { .. } | LoadError::System(_) => ExitStatus::SurroundingsFailed,
        LoadError::Body(_) | LoadError::Broken(_) => ExitStatus::Bug,
    };
    Failure::message(status, in_words(error))
}

/// Of writing a result or a report.
pub(super) fn cannot_keep(error: impl std::error::Error) -> Failure {
    Failure::message(ExitStatus::SurroundingsFailed, in_words(&error))
        .hint("make room there or let this user write there, or give another place with `--output`")
}

/// Of reading a result file.
pub(super) fn record_failure(error: &RecordError) -> Failure {
    Failure::message(ExitStatus::Usage, in_words(error))
}

/// The error and its causes that its own text does not already say.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
