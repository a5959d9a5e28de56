//! What happens in the repository of git.

/// An event of `git/`; each carries the data to word it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitEvent {}
