//! The git repository: work tree, commits and references, perfgate's own checkouts, submodules.

pub(crate) mod checkout;
mod error;
pub(crate) mod search;
pub(crate) mod submodules;
pub(crate) mod work_tree;

pub(crate) use error::{GitError, UNSHALLOW};
