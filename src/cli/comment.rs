//! `perfgate comment`.

use std::path::PathBuf;

use clap::Args;

use super::compare::OutputArgs;
use super::publish::PublishArgs;

const EXAMPLES: &str = "\
Examples:
  perfgate comment perfgate-out/comparison.json
      in a step of GitHub Actions: comment, status, exit code as the comparison says
  perfgate comment perfgate-out/comparison.json --markdown comment.md
      after somebody set the label `perf-regression-accepted`: nothing is measured again
  perfgate comment --artifact artifact.zip
      in a `workflow_run`, after the run of a fork: the comment only, marked as not verified

The environment that GitHub Actions gives says where: GITHUB_TOKEN, GITHUB_REPOSITORY, GITHUB_EVENT_NAME, GITHUB_EVENT_PATH, \
GITHUB_SHA, GITHUB_RUN_ID, GITHUB_API_URL. Without a token nothing is published.

Exit codes: as the comparison, accepted or not; 0 after `--artifact`; 2 where the file or the artifact is refused; 6 with \
`--require-publish` where something was not published.";

/// Options of `perfgate comment`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CommentArgs {
    /// A comparison file, as `gate` or `compare --format json` wrote it
    #[arg(required_unless_present = "artifact")]
    pub comparison: Option<PathBuf>,
    /// The artifact of a fork's run, a ZIP archive with comparison.json in it; treated as hostile
    #[arg(long, value_name = "FILE", conflicts_with = "comparison")]
    pub artifact: Option<PathBuf>,
    /// Write the comparison, accepted or not, to this file; it must not be the one that is read
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Files to write.
    #[command(flatten)]
    pub output: OutputArgs,
    /// GitHub.
    #[command(flatten)]
    pub publish: PublishArgs,
}
