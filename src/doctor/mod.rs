//! Capabilities of this machine: each check reports one finding, with the command that fixes a problem.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod engine;
pub(crate) mod gpu;
pub(crate) mod host;
pub(crate) mod needs;
pub(crate) mod plan;
