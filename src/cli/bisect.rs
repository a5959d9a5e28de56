//! `perfgate bisect`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::bench::RunArgs;
use super::compare::PolicyArgs;
use super::with_exit_codes;
use crate::exit::BisectStatus;

/// Options of `perfgate bisect`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = with_exit_codes(EXAMPLES, &BisectStatus::ALL, BisectStatus::code))]
pub struct BisectArgs {
    /// Action other than judging a commit.
    #[command(subcommand)]
    pub command: Option<BisectCommand>,
    /// How commits are judged.
    #[command(flatten)]
    pub options: BisectOptions,
}

/// Actions other than judging a commit.
#[derive(Debug, Subcommand)]
pub enum BisectCommand {
    /// Check both ends, prepare git's search, and print the command that runs it
    Start(Box<StartArgs>),
    /// Remove the work trees and all measurements, and print how to remove the built images
    Clean,
}

/// Options of `perfgate bisect start`.
#[derive(Debug, Args)]
#[command(after_help = START_EXAMPLES)]
pub struct StartArgs {
    /// A commit that is still fast
    pub good: String,
    /// A later commit that is slower
    pub bad: String,
    /// Follow only the first parent of merges, to find a merged change as a whole
    #[arg(long)]
    pub first_parent: bool,
    /// How commits are judged.
    #[command(flatten)]
    pub options: BisectOptions,
}

/// How commits are judged.
#[derive(Debug, Default, Args)]
pub struct BisectOptions {
    /// Shell command that builds a commit, in perfgate's own work tree. `{commit}` is its hash, `{image}` the tag
    /// perfgate-bisect:HASH of the image that perfgate then starts
    #[arg(long, value_name = "COMMAND")]
    pub build: Option<String>,
    /// Result file of the good end: each commit is measured alone and compared with it
    #[arg(long, value_name = "FILE", conflicts_with = "good_image")]
    pub good_result: Option<PathBuf>,
    /// Ledger of accepted runs, one result per line, to estimate the noise of --good-result
    #[arg(long, value_name = "FILE", requires = "good_result")]
    pub ledger: Option<PathBuf>,
    /// Image of the good end, measured alternately with every commit [default: built from the good commit]
    #[arg(long, value_name = "IMAGE")]
    pub good_image: Option<String>,
    /// Result for a commit whose target does not start
    #[arg(long, value_enum, default_value_t = StartupFailure::Skip)]
    pub startup_failure: StartupFailure,
    /// Maximum alternating pairs of one commit and the good end
    #[arg(long, value_name = "COUNT", default_value_t = 24, value_parser = clap::value_parser!(u32).range(3..=200))]
    pub max_pairs: u32,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

impl BisectOptions {
    /// The files that configure the load and the rules, where they are named.
    pub(crate) fn files_of_criteria(&self) -> [Option<&Path>; 2] {
        [
            self.run.config.as_deref(),
            self.policy.thresholds.as_deref(),
        ]
    }

    /// Whether a commit is bad whose target does not start.
    pub(crate) fn is_startup_searched(&self) -> bool {
        self.startup_failure == StartupFailure::Bad
    }
}

/// Result for a commit whose target does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StartupFailure {
    /// Unknown: git tries another commit
    #[default]
    Skip,
    /// Bad: the search looks for the commit that broke the start, and the bad end may fail to start
    Bad,
}

const START_EXAMPLES: &str = "\
Examples:
  perfgate bisect start v1.4 main --build 'docker build -t {image} .'
      containers: builds the image of each commit and uses the commit's perfgate.yaml
  perfgate bisect start HEAD~40 HEAD --build 'pip install -q -e .' --config ../perfgate.yaml
      starts the server of a file outside the repository in each commit's tree
  perfgate bisect start v1.4 main --image 'ghcr.io/me/vllm:{commit}'
      uses images that CI built

Your working tree does not change: perfgate checks out and builds commits in work trees below .git/perfgate-bisect, and \
starts git's search with --no-checkout. `git bisect reset` ends the search.";

const EXAMPLES: &str = "\
Examples:
  perfgate bisect start v1.4 main --build 'docker build -t {image} .'
      checks both ends, prepares, and prints: git bisect run perfgate bisect
  git bisect run perfgate bisect
      with the options of `start`; options here override them
  git bisect start main v1.4 && git bisect run perfgate bisect --build 'make server'
      the same without `start`: both ends are checked before the first commit
  git bisect run perfgate bisect --build 'make server' --good-result good.json --ledger runs.jsonl
      compares with an earlier result of the good end

perfgate measures each commit alternately with the good end on this machine, until the answer is wrong with a probability of \
at most 0.1 %, in at most --max-pairs pairs. At the end it measures the found commit against its parent again. Load and rules are those of the bad \
end; the server is that of each commit (docs/reference/bisect.md).

Exit codes, as git bisect run reads them:
";
