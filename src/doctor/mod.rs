//! What this machine can do: each check finds one thing and names the command that fixes it.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod engine;
pub(crate) mod gpu;
pub(crate) mod host;
pub(crate) mod needs;
pub(crate) mod plan;
