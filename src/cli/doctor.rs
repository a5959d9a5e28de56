//! `perfgate doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  perfgate doctor                   can this machine measure what ./perfgate.yaml asks for?
  perfgate doctor --quick           without measuring the load generator, which takes some seconds
  perfgate doctor --format json     for a program
  perfgate doctor && perfgate gate  spend no GPU minute where it cannot work

Every line that is not as it should be comes with what mends it. WARN makes results noisier; FAIL makes what was asked for \
impossible. The load generator is measured on an otherwise idle machine; during a run the same figures are taken, and a \
repeat in which it was the bottleneck is void.

Exit codes: 0 this machine can measure (warnings included), 2 the plan cannot be read, 6 it cannot.";

/// Options of `perfgate doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// The plan whose needs are looked at; perfgate.yaml where there is one
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not measure the load generator
    #[arg(long)]
    pub quick: bool,
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
    /// Every check and figure
    Json,
}
