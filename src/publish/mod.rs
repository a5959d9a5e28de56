//! Publishes a verdict on GitHub with minimal permissions.
//!
//! [`event`] reads the event of a step, [`client`] calls the API, and each other module publishes one thing.
//! Text from persons, forks and GitHub is data, never instructions.

pub mod acceptance;
pub mod actions;
mod answer;
pub mod artifact;
pub mod change;
pub mod check_run;
pub mod client;
pub mod comment;
mod cut;
pub mod event;
mod history;
pub mod payload;
pub mod pull_request;
pub mod pulls;
pub mod sha;
pub mod status;

pub use answer::Refusal;
