//! `perfgate selftest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::bench::RunArgs;
use super::compare::PolicyArgs;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  perfgate selftest --simulator noise=2% --model demo
      20 gates of the same server, 20 of one 8 % slower
  perfgate selftest --gates 10
      the server of perfgate.yaml; slower by scaling what was measured
  perfgate selftest --slower-args=\"--max-num-seqs 2\"
      slower by arguments of its own
  perfgate selftest --gates 10 --slow-gates 0 --without-base
      false alarms alone, against the stored baseline alone

Every gate is a whole one: fresh servers, looks, alternating pairs. The candidate of an innocent gate is accepted: it is the \
next one's baseline and a line of its ledger.

Exit codes: 0 as good as promised, 1 more false alarms or fewer detections than chance explains, others as `gate`.";

/// Options of `perfgate selftest`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SelftestArgs {
    /// Gates of the server against itself
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub gates: u32,
    /// Gates of the server against a slower one; as many as --gates where not given
    #[arg(long, value_name = "COUNT")]
    pub slow_gates: Option<u32>,
    /// How much slower: the simulator is made so, what another server measured is scaled
    #[arg(long, value_name = "SHARE", default_value = "8%", value_parser = config::parse_percentage)]
    pub slowdown: f64,
    /// Arguments for the engine that make it slower, instead of --slowdown
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub slower_args: Option<String>,
    /// As if the base version were not at hand: no alternating pairs
    #[arg(long)]
    pub without_base: bool,
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = SelftestFormat::Text)]
    pub format: SelftestFormat,
    /// Folder for selftest.json and everything that the gates measured
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

/// What goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SelftestFormat {
    /// A table for people
    #[default]
    Text,
    /// What selftest.json has
    Json,
}
