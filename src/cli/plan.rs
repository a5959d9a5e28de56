//! `perfgate plan`.

use clap::Args;

use super::TextOrJson;
use super::bench::RunArgs;
use super::compare::PolicyArgs;
use super::gate::AcceptedArgs;

const EXAMPLES: &str = "\
Examples:
  perfgate plan                                   for the gate of perfgate.yaml, with every baseline that it has
  perfgate plan --baseline baselines/demo/nvidia-l4.json
  perfgate plan --base-image ghcr.io/me/vllm:main
      with the base version at hand, as `gate --base-image`
  perfgate plan --threshold 8% --format json

plan starts no server. It simulates gates with the noise that the ledger has, by the rule that `gate` uses, and multiplies their \
server starts by what a start cost in the last 10 accepted sessions. Without the base version at hand a gate measures only the \
candidate.

Exit codes: 0 printed, 2 a file cannot be read, 4 no baseline, 6 a bucket cannot be reached.";

/// Options of `perfgate plan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// The accepted runs.
    #[command(flatten)]
    pub accepted: AcceptedArgs,
    /// Container image of the base version; same as server.base in the file
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,
    /// Gates to simulate for each change [default: 200, fewer with more than 8 rules × scenarios]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub gates: Option<u32>,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}
