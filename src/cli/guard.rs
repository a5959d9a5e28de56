//! `perfgate guard`: started by perfgate itself.

use clap::Args;

/// Options of the guard.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Process that it stands beside, for whoever looks at a list of processes
    #[arg(long, value_name = "PID")]
    pub of: u32,
}
