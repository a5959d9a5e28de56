//! What happens while something is measured.

/// An event of `runner/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq)]
pub enum RunEvent {}
