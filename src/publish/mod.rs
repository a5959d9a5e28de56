//! Handing a verdict to GitHub.

pub mod actions;
