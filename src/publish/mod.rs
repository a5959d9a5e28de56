//! Handing a verdict to GitHub, by its rules and with as few rights as can be.
//!
//! [`event`] says what a step is about, [`client`] talks to the API, and the others each know one thing that is published.
//! Whatever a person, a fork or GitHub wrote is data.

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
mod payload;
pub mod pull_request;
pub mod pulls;
pub mod sha;
pub mod status;

pub use answer::Refusal;
