//! `perfgate simulate`.

use clap::Args;

/// Options of the embedded server.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Port on the loopback address; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
}
