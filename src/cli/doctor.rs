//! `perfgate doctor`.

use std::path::PathBuf;

use clap::Args;

use super::TextOrJson;

const EXAMPLES: &str = "\
Examples:
  perfgate doctor                   checks this machine for ./perfgate.yaml
  perfgate doctor --quick           skips the measurement of the load generator (some seconds)
  perfgate doctor --format json     for a program
  perfgate doctor && perfgate gate  runs the gate only if the machine is ready

Every problem comes with a fix. WARN: results are noisier. FAIL: the plan cannot run. doctor measures the load generator on an \
otherwise idle machine; a run measures the same figures, and a repeat in which the load generator was the bottleneck \
is void.

Exit codes: 0 this machine can measure (warnings included), 2 perfgate.yaml is invalid, 6 this machine cannot measure.";

/// Options of `perfgate doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// The plan to check [default: perfgate.yaml if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Do not measure the load generator
    #[arg(long)]
    pub quick: bool,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}
