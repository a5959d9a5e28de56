//! The repository of git: work tree, commits and references, checkouts of perfgate's own, submodules.

pub(crate) mod checkout;
mod error;
pub(crate) mod search;
pub(crate) mod submodules;
pub(crate) mod work_tree;

pub(crate) use error::{GitError, UNSHALLOW};
