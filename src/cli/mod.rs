//! The command line: clap structs only.

pub mod simulate;

use clap::{Parser, Subcommand};

/// Starts a fresh vLLM, loads it, compares with a baseline, and blocks a merge that makes serving slower.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// An embedded vLLM-compatible server without a GPU: for trying, for tests, for planning
    Simulate(simulate::SimulateArgs),
}
