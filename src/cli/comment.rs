//! `perfgate comment`.

use std::path::PathBuf;

use clap::Args;

use super::compare::OutputArgs;
use super::publish::PublishArgs;

const EXAMPLES: &str = "\
Examples:
  perfgate comment perfgate-out/comparison.json
      in a step of GitHub Actions: comment, status, and the exit code of the comparison
  perfgate comment perfgate-out/comparison.json --markdown comment.md
      after a maintainer sets the label `perf-regression-accepted`: without a new measurement
  perfgate comment --artifact artifact.zip
      in a `workflow_run`, after the run of a fork: only the comment, marked as not verified

The destination comes from the environment of GitHub Actions: GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_EVENT_NAME, GITHUB_EVENT_PATH, \
GITHUB_SHA, GITHUB_RUN_ID, GITHUB_API_URL. Without a token nothing is published.

Exit codes: that of the comparison after any acceptance; 0 after `--artifact`; 2 if the file or the artifact is refused; 6 with \
`--require-publish` if publishing fails.";

/// Options of `perfgate comment`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CommentArgs {
    /// Comparison file from `gate` or `compare --format json`
    #[arg(required_unless_present = "artifact")]
    pub comparison: Option<PathBuf>,
    /// Artifact of a fork's run, a ZIP archive with comparison.json; treated as untrusted
    #[arg(long, value_name = "FILE", conflicts_with = "comparison")]
    pub artifact: Option<PathBuf>,
    /// Write the comparison with any acceptance to this file; it must differ from the input file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Files to write.
    #[command(flatten)]
    pub output: OutputArgs,
    /// GitHub.
    #[command(flatten)]
    pub publish: PublishArgs,
}
