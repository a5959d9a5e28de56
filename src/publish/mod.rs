//! Handing a verdict to GitHub.

pub mod actions;
pub mod base;
pub mod pull_request;
