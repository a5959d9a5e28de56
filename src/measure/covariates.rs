//! Reasons, found beside the results and before they are looked at, why a repeat does not count or wants a word.

/// What was found. The first reason to void wins; every warning is kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    void: Option<String>,
    warnings: Vec<String>,
}

impl Reasons {
    /// The repeat does not count.
    pub fn void(&mut self, reason: impl Into<String>) {
        self.void.get_or_insert_with(|| reason.into());
    }

    /// It counts, and its reader should know.
    pub fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Takes what another look found.
    pub fn take(&mut self, other: Self) {
        if let Some(reason) = other.void {
            self.void(reason);
        }
        for warning in other.warnings {
            self.warn(warning);
        }
    }

    /// Why the repeat does not count, where it does not.
    pub fn void_reason(&self) -> Option<&str> {
        self.void.as_deref()
    }

    /// What its reader should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_to_void_wins_and_a_warning_is_said_once() {
        let mut reasons = Reasons::default();
        reasons.void("first");
        reasons.warn("a");
        let mut other = Reasons::default();
        other.void("second");
        other.warn("a");
        other.warn("b");
        reasons.take(other);
        assert_eq!(reasons.void_reason(), Some("first"));
        assert_eq!(reasons.warnings(), ["a", "b"]);
    }
}
