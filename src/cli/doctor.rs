//! `perfgate doctor`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  perfgate doctor                   which load this machine can drive, measured in some seconds
  perfgate doctor --format json     the same for a program

It measures on an otherwise idle machine what the load generator costs; during a run the same figures are taken, and a repeat \
in which the load generator was the bottleneck is void.";

/// Options of `perfgate doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = DoctorFormat::Text)]
    pub format: DoctorFormat,
}

/// What goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// A page for people
    #[default]
    Text,
    /// The figures
    Json,
}
