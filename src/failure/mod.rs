//! Why a command could not do what it was asked to.

pub(crate) mod of_adapters;

use crate::exit::ExitStatus;

/// An error with the exit code that says whose fault it is, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub status: ExitStatus,
    /// What went wrong.
    pub error: anyhow::Error,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Whether it is about the base version of alternating pairs and not about the candidate.
    pub is_of_base: bool,
    /// Whether another version of the server might have started.
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

    /// The same from a sentence.
    pub fn message(status: ExitStatus, message: impl Into<String>) -> Self {
        Self::new(status, anyhow::anyhow!(message.into()))
    }

    /// What went wrong with all its causes, each said once: many errors name their cause in their own sentence.
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

    /// The same, about the base version.
    #[must_use]
    pub fn of_base(mut self) -> Self {
        self.is_of_base = true;
        self
    }

    /// The same with one more hint.
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
    fn a_cause_that_an_error_names_itself_is_not_said_twice() {
        let missing = crate::files::read(std::path::Path::new("/nowhere")).unwrap_err();
        let mut failure = Failure::new(ExitStatus::Usage, missing);
        failure.error = failure.error.context("the file of rules");
        assert_eq!(
            failure.reason(),
            "the file of rules: cannot read `/nowhere`: No such file or directory (os error 2)"
        );
    }
}
