//! `perfgate guard`: started by perfgate itself.

use clap::Args;

/// Options of the guard.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// The perfgate process that it guards; visible in process lists
    #[arg(long, value_name = "PID")]
    pub of: u32,
}
