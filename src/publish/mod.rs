//! Handing a verdict to GitHub.

pub mod actions;
pub mod pull_request;
