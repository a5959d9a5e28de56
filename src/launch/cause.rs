//! A known cause of a failure: the texts that show it, who has to act, and what to do.

use super::fault::Fault;

/// A known cause.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) texts: &'static [&'static str],
    pub(super) fault: Fault,
    pub(super) hint: &'static str,
    /// Whether a signal that a program raises itself (SIGILL, SIGBUS) indicates this cause.
    pub(super) is_by_signal: bool,
}

impl Cause {
    pub(super) fn is_in(&self, line: &str) -> bool {
        self.texts.iter().any(|text| line.contains(text))
    }
}

pub(super) const fn cause(
    texts: &'static [&'static str],
    fault: Fault,
    hint: &'static str,
) -> Cause {
    Cause {
        texts,
        fault,
        hint,
        is_by_signal: false,
    }
}
