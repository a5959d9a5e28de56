//! `perfgate gate`.

use std::path::PathBuf;

use clap::Args;

use super::baseline::StorageArgs;
use super::bench::RunArgs;
use super::compare::{AuthorArgs, PolicyArgs};
use super::publish::PublishArgs;
use super::with_exit_codes;
use crate::config::parse_budget;
use crate::exit::ExitStatus;
use crate::report::price::Budget;

/// The accepted runs of a gate.
#[derive(Debug, Args)]
pub struct AcceptedArgs {
    /// The accepted run [default: baselines/NAME/HARDWARE.json]
    #[arg(long, short, value_name = "FILE", conflicts_with = "baselines")]
    pub baseline: Option<PathBuf>,
    /// Location of the baselines.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Ledger of accepted runs, one result per line [default: beside the baseline]
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

/// Options of `perfgate gate`.
#[derive(Debug, Args)]
#[command(after_help = with_exit_codes(EXAMPLES, &ExitStatus::ALL, ExitStatus::code))]
pub struct GateArgs {
    /// The accepted runs.
    #[command(flatten)]
    pub accepted: AcceptedArgs,
    /// A branch or a full commit name: perfgate.yaml (except server and framework), thresholds, baseline and ledger are
    /// read at the merge base with that branch, or at that commit, so that a change cannot change the limits that it is
    /// judged by. In a pull or merge request the CI service provides it. "" reads the files of the work tree
    #[arg(long, value_name = "REF")]
    pub baseline_ref: Option<String>,
    /// Container image of the base version, measured alternately with the candidate; same as server.base in the file
    #[arg(long, value_name = "IMAGE")]
    pub base_image: Option<String>,
    /// The most that this run may cost: 0.5gpu-h, 30gpu-min, or server time as in 20m [default: noise.budget of
    /// thresholds.yaml]. perfgate stops before a measurement that would exceed it; an undecided gate then exits with 3
    #[arg(long, value_name = "BUDGET", value_parser = parse_budget)]
    pub budget: Option<Budget>,
    /// Folder of the evidence of every commit, which re-runs extend [default: OUTPUT/evidence]
    #[arg(long, value_name = "FOLDER")]
    pub evidence: Option<PathBuf>,
    /// Folder for result.json, comparison.json, report.html, comment.md, junit.xml and server logs
    #[arg(long, short, value_name = "FOLDER", default_value = "perfgate-out")]
    pub output: PathBuf,
    /// Write the test report (JUnit XML) also to this file; OUTPUT/junit.xml is always written
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Text of the author.
    #[command(flatten)]
    pub author: AuthorArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
    /// GitHub.
    #[command(flatten)]
    pub publish: PublishArgs,
}

const EXAMPLES: &str = "\
Examples:
  perfgate gate                                         as configured in perfgate.yaml and thresholds.yaml
  perfgate gate --config perf/llama.yaml --thresholds perf/thresholds.yaml --output out
  perfgate gate --baseline main.json --image ghcr.io/me/vllm:pr-7 --gpus all
  perfgate gate --image ghcr.io/me/vllm:pr-7 --base-image ghcr.io/me/vllm:main
  perfgate gate --baselines s3://perf-team/baselines    the baseline of a fleet (docs/reference/baselines.md)

With the base version (--base-image, server.base) gate starts the candidate once, then both versions in alternating pairs on \
this machine, and stops as soon as the pairs and the stored baseline decide, after 12 pairs at most (noise.max_pairs). Without \
it, gate compares 3 (repeat), 5, 7 and 10 (noise.max_repeats) repeats of the candidate with the stored baseline. Running it \
again on the same commit adds to the evidence and never replaces it.

In a step of GitHub Actions the verdict also goes to the step summary and to the outputs `verdict`, `exit-code`, \
`headline`, `report-path`, `comparison-path` and `comment-url`. With GITHUB_TOKEN in the step's environment it becomes a \
comment on the pull request and a status on its head commit (docs/reference/github.md).

Exit codes:
";
