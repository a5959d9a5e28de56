//! `perfgate selftest`.

use std::path::PathBuf;

use clap::Args;

use super::TextOrJson;
use super::bench::RunArgs;
use super::compare::PolicyArgs;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  perfgate selftest --simulator noise=2% --model demo
      20 gates of the same server, 20 gates of an 8 % slower one
  perfgate selftest --gates 10
      the server of perfgate.yaml; slower by scaling its measurements
  perfgate selftest --slower-args=\"--max-num-seqs 2\"
      slower by other arguments
  perfgate selftest --gates 10 --slow-gates 0 --without-base
      only false alarms, only against the stored baseline

Every gate is complete: fresh servers, interim looks, alternating pairs. The candidate of an equal-speed gate is accepted: it \
becomes the baseline of the next gate and a line of its ledger.

Exit codes: 0 error rates as promised, 1 significantly more false alarms or fewer detections, others as `gate`.";

/// Options of `perfgate selftest`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SelftestArgs {
    /// Gates of the server against itself
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub gates: u32,
    /// Gates of the server against a slower one [default: as --gates]
    #[arg(long, value_name = "COUNT")]
    pub slow_gates: Option<u32>,
    /// How much slower: as an option of the simulator, or by scaling the measurements of another server
    #[arg(long, value_name = "SHARE", default_value = "8%", value_parser = config::parse_percentage)]
    pub slowdown: f64,
    /// Engine arguments that make it slower, instead of --slowdown
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub slower_args: Option<String>,
    /// Without the base version, so without alternating pairs
    #[arg(long)]
    pub without_base: bool,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
    /// Folder for selftest.json and the measurements of all gates
    #[arg(
        long,
        short,
        value_name = "FOLDER",
        default_value = "perfgate-selftest"
    )]
    pub output: PathBuf,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}
