//! What happens while arguments and files are resolved.

/// An event of `inputs/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputEvent {}
