//! Why a command failed.

pub(crate) mod of_adapters;

use crate::exit::ExitStatus;

/// An error with its exit code and hints.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub status: ExitStatus,
    /// What went wrong.
    pub error: anyhow::Error,
    /// What to do.
    pub hints: Vec<String>,
    /// Whether it concerns the base version of alternating pairs and not the candidate.
    pub is_of_base: bool,
    /// Whether another version of the server might start.
    pub is_of_version: bool,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self {
            status,
            error: error.into(),
            hints: Vec::new(),
            is_of_base: false,
            is_of_version: false,
        }
    }

    /// A failure from a message.
    pub fn message(status: ExitStatus, message: impl Into<String>) -> Self {
        Self::new(status, anyhow::anyhow!(message.into()))
    }

    /// A failure because of invalid flags or files.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::message(ExitStatus::Usage, message)
    }

    /// The error with all its causes, each once: many errors contain their cause in their own message.
    pub fn reason(&self) -> String {
        let mut reason = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if reason.is_empty() {
                reason = cause;
            } else if !reason.contains(&cause) {
                reason = format!("{reason}: {cause}");
            }
        }
        reason
    }

    /// Marks it as a failure of the base version.
    #[must_use]
    pub fn of_base(mut self) -> Self {
        self.is_of_base = true;
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_in_the_error_itself_is_not_repeated() {
        let missing = crate::files::read(std::path::Path::new("/nowhere")).unwrap_err();
        let mut failure = Failure::new(ExitStatus::Usage, missing);
        failure.error = failure.error.context("the file of rules");
        assert_eq!(
            failure.reason(),
            "the file of rules: cannot read `/nowhere`: No such file or directory (os error 2)"
        );
    }
}
