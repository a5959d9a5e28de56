//! Handing a verdict to GitHub.
