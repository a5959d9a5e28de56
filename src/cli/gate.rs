//! `perfgate gate`.

use std::path::PathBuf;

use clap::Args;

use super::baseline::LOCATION_HELP;
use super::bench::RunArgs;
use super::compare::{AuthorArgs, PolicyArgs};
use super::publish::PublishArgs;
use crate::baseline::Location;
use crate::exit::ExitStatus;

/// Options of `perfgate gate`.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct GateArgs {
    /// The accepted run; baselines/NAME/HARDWARE.json where not given
    #[arg(long, short, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Where they stand.
    #[arg(
        long,
        value_name = "LOCATION",
        default_value = "baselines",
        help = LOCATION_HELP,
        conflicts_with = "baseline"
    )]
    pub baselines: Location,
    /// Accepted runs, one result per line; beside the baseline where not given
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// A branch or a full commit name: perfgate.yaml (except server and framework), thresholds, baseline and ledger are
    /// read where the change branched off from that branch, or at that commit, so that a change cannot move the limits
    /// that it is judged by. In a pull or merge request the CI service provides it. "" reads the files of the work tree
    #[arg(long, value_name = "REF")]
    pub baseline_ref: Option<String>,
    /// The container's image of the base version, measured alternately with the candidate where the stored baseline
    /// does not decide; as server.base in the file
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,
    /// Folder of the evidence of every commit, which re-runs add to; OUTPUT/evidence where not given
    #[arg(long, value_name = "FOLDER")]
    pub evidence: Option<PathBuf>,
    /// Folder for result.json, comparison.json, report.html, comment.md, junit.xml and server logs
    #[arg(long, short, value_name = "FOLDER", default_value = "perfgate-out")]
    pub output: PathBuf,
    /// Write the test report (JUnit XML) here too; OUTPUT/junit.xml has it always
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// The author's word.
    #[command(flatten)]
    pub author: AuthorArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
    /// GitHub.
    #[command(flatten)]
    pub publish: PublishArgs,
}

fn after_help() -> String {
    let mut text = "\
Examples:
  perfgate gate                                         as perfgate.yaml and thresholds.yaml say
  perfgate gate --config perf/llama.yaml --thresholds perf/thresholds.yaml --output out
  perfgate gate --baseline main.json --image ghcr.io/me/vllm:pr-7 --gpus all
  perfgate gate --image ghcr.io/me/vllm:pr-7 --base-image ghcr.io/me/vllm:main
  perfgate gate --baselines s3://perf-team/baselines    the baseline of a fleet (docs/reference/baselines.md)

It starts with `repeat` repeats of the candidate against the stored baseline and stops as soon as that decides. Without the \
base version at hand it goes on to 5, 7 and 10 repeats (noise.max_repeats); with it, it measures both alternately on this \
machine, in 3, 6 and 12 pairs. Running it again on the same commit adds to the evidence and never replaces it.

In a step of GitHub Actions the verdict also goes to the step summary and to the outputs `verdict`, `exit-code`, \
`headline`, `report-path`, `comparison-path` and `comment-url`. With GITHUB_TOKEN in the step's environment it becomes a \
comment on the pull request and a status on its head commit (docs/reference/github.md).

Exit codes:
"
    .to_owned();
    for status in ExitStatus::ALL {
        use std::fmt::Write as _;
        let _ = writeln!(text, "  {:>3}  {}", status.code(), status.meaning());
    }
    text
}
