//! `perfgate gate`.

use std::path::PathBuf;

use clap::Args;

use super::bench::RunArgs;
use super::compare::PolicyArgs;
use crate::exit::ExitStatus;

/// Options of `perfgate gate`.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct GateArgs {
    /// The accepted run; baselines/NAME/HARDWARE.json where not given
    #[arg(long, short, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Folder of all baselines
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "baselines",
        conflicts_with = "baseline"
    )]
    pub baselines: PathBuf,
    /// Folder for result.json, comparison.json, report.html, comment.md and server logs
    #[arg(long, short, value_name = "FOLDER", default_value = "perfgate-out")]
    pub output: PathBuf,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

fn after_help() -> String {
    let mut text = "\
Examples:
  perfgate gate                                         as perfgate.yaml and thresholds.yaml say
  perfgate gate --config perf/llama.yaml --thresholds perf/thresholds.yaml --output out
  perfgate gate --baseline main.json --image ghcr.io/me/vllm:pr-7 --gpus all

In a step of GitHub Actions the verdict also goes to the step summary and to the outputs `verdict`, `exit-code`,
`headline`, `report-path` and `comparison-path`.

Exit codes:
"
    .to_owned();
    for status in ExitStatus::ALL {
        use std::fmt::Write as _;
        let _ = writeln!(text, "  {:>3}  {}", status.code(), status.meaning());
    }
    text
}
