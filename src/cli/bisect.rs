//! `perfgate bisect`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::bench::RunArgs;
use super::compare::PolicyArgs;
use crate::exit::BisectStatus;

/// Options of `perfgate bisect`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = after_help())]
pub struct BisectArgs {
    /// What to do instead of judging a commit.
    #[command(subcommand)]
    pub command: Option<BisectCommand>,
    /// How commits are judged.
    #[command(flatten)]
    pub options: BisectOptions,
}

/// What there is beside judging a commit.
#[derive(Debug, Subcommand)]
pub enum BisectCommand {
    /// Check both ends, prepare git's search, and print the command that runs it
    Start(Box<StartArgs>),
    /// Remove the work trees and everything that was measured; of images that builds made, it says how to remove them
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
    /// Follow only the first parent of merges: the answer is a merged change as a whole
    #[arg(long)]
    pub first_parent: bool,
    /// How commits are judged.
    #[command(flatten)]
    pub options: BisectOptions,
}

/// How commits are judged.
#[derive(Debug, Default, Args)]
pub struct BisectOptions {
    /// Builds a commit, in a work tree of perfgate's own; for the shell. `{commit}` is its hash, `{image}` the tag
    /// perfgate-bisect:HASH, which is then the image that is started
    #[arg(long, value_name = "COMMAND")]
    pub build: Option<String>,
    /// What was measured of the good end before: commits are measured alone and compared with it
    #[arg(long, value_name = "FILE", conflicts_with = "good_image")]
    pub good_result: Option<PathBuf>,
    /// Accepted runs, one result per line, from which the noise of --good-result is learnt
    #[arg(long, value_name = "FILE", requires = "good_result")]
    pub ledger: Option<PathBuf>,
    /// The image of the good end, measured alternately with every commit; built from the good commit where not given
    #[arg(long, value_name = "IMAGE")]
    pub good_image: Option<String>,
    /// What a commit is whose target does not start
    #[arg(long, value_enum, default_value_t = StartupFailure::Skip)]
    pub startup_failure: StartupFailure,
    /// Most alternating pairs of one commit and the good end
    #[arg(long, value_name = "COUNT", default_value_t = 24, value_parser = clap::value_parser!(u32).range(3..=200))]
    pub max_pairs: u32,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What a commit is whose target does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StartupFailure {
    /// Nothing is known of it, and another one is tried
    #[default]
    Skip,
    /// Bad: the search is for what broke the start, and the bad end need not start
    Bad,
}

const START_EXAMPLES: &str = "\
Examples:
  perfgate bisect start v1.4 main --build 'docker build -t {image} .'
      containers: the image of each commit is built, the rest is as its perfgate.yaml says
  perfgate bisect start HEAD~40 HEAD --build 'pip install -q -e .' --config ../perfgate.yaml
      the server of a file outside of the repository, started in each commit's tree
  perfgate bisect start v1.4 main --image 'ghcr.io/me/vllm:{commit}'
      images that CI has built already

The working tree is not touched: commits are checked out and built in work trees within .git/perfgate-bisect, and git's \
search is begun with --no-checkout. `git bisect reset` ends it.";

fn after_help() -> String {
    let mut text = "\
Examples:
  perfgate bisect start v1.4 main --build 'docker build -t {image} .'
      checks both ends, prepares, and prints: git bisect run perfgate bisect
  git bisect run perfgate bisect
      with the options that `start` was given; what is given here is laid over them
  git bisect start main v1.4 && git bisect run perfgate bisect --build 'make server'
      the same without `start`: both ends are checked before the first commit
  git bisect run perfgate bisect --build 'make server' --good-result good.json --ledger runs.jsonl
      against what was measured of the good end before

Each commit is measured alternately with the good end on this machine until it is clear at a level of 0.1 %, in at most \
--max-pairs pairs. At the end the commit found and its parent are measured against each other once more. Load and rules are \
those of the bad end, the server is each commit's own (docs/reference/bisect.md).

Exit codes, as git bisect run reads them:
"
    .to_owned();
    for status in BisectStatus::ALL {
        use std::fmt::Write as _;
        let _ = writeln!(text, "  {:>3}  {}", status.code(), status.meaning());
    }
    text
}
