//! `perfgate baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::TextOrJson;
use super::compare::PolicyArgs;
use super::values::location;
use crate::baseline::Location;

/// Options of `perfgate baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// Actions on baselines.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Accept a run: make it the baseline and add it to the ledger
    Update(UpdateArgs),
    /// Show one baseline
    Show(WhichArgs),
    /// List all baselines with their age
    List(ListArgs),
    /// Show the accepted runs over time: values, segments, steps; exports for dashboards
    History(HistoryArgs),
    /// Check that all files are complete and consistent, and propose fixes
    Verify(VerifyArgs),
}

/// Help text for a location.
const LOCATION_HELP: &str = "Folder or bucket of all baselines: a path, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, \
    az://CONTAINER/PREFIX, file:///PATH";

/// Location of the baselines.
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// Location of the baselines.
    #[arg(long, value_name = "LOCATION", default_value = "baselines", value_parser = location, help = LOCATION_HELP)]
    pub baselines: Location,
}

/// Selects a baseline.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// Name of the gate; optional if there is only one
    pub name: Option<String>,
    /// Hardware name from `baseline list`; optional if there is only one
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Location of the baselines.
    #[command(flatten)]
    pub storage: StorageArgs,
}

const UPDATE_EXAMPLES: &str = "\
Examples:
  perfgate baseline update perfgate-out/result.json
  perfgate baseline update result.json --because \"the new sampler costs 4 %, accepted in #123\"
  perfgate baseline update result.json --release v1.4.0
      keeps the release as a fixed anchor, which detects slow declines
  perfgate baseline update perfgate-out/result.json --comparison perfgate-out/comparison.json
      with the reason of a maintainer who accepted the regression in the pull request
  perfgate baseline update result.json --baselines s3://perf-team/baselines
      in a shared bucket

Credentials of a bucket come from the variables of the cloud's own tools: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.

It refuses a run that is void, too small, not of the main branch, worse than the baseline, far from the other sessions of its \
ledger, measured before the baseline, or without its ledger, and reports all objections at once. --because accepts the run \
with a reason; the ledger keeps the reason and the objections. --comparison overrules only the regressions in that comparison; \
other objections still need --because.

Exit codes: 0 accepted now or earlier, 1 refused, 2 a file cannot be read, 6 a file or an object cannot be written.";

/// Options of `perfgate baseline update`.
#[derive(Debug, Args)]
#[command(after_help = UPDATE_EXAMPLES)]
pub struct UpdateArgs {
    /// Result file of the run, from `bench` or `gate`
    pub result: PathBuf,
    /// Accept the run in spite of objections, with this reason of at least 10 characters
    #[arg(long, value_name = "TEXT")]
    pub because: Option<String>,
    /// Comparison of this run with a maintainer's acceptance; its reason covers the regressions in that comparison
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// Name of the release, which becomes a second, fixed anchor
    #[arg(long, value_name = "TAG")]
    pub release: Option<String>,
    /// Name of the gate, if the result does not contain it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The main branch [default: from git]
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Show the changes without making them
    #[arg(long)]
    pub dry_run: bool,
    /// Location of the baselines.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Options of `perfgate baseline list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Location of the baselines.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  perfgate baseline history
  perfgate baseline history llama --hardware nvidia-l4 --metric tpot.p95 --metric throughput
  perfgate baseline history llama --format csv > history.csv
  perfgate baseline history llama --format prometheus > /var/lib/node_exporter/perfgate.prom
  bencher run --adapter json --file <(perfgate baseline history llama --format bencher)

Steps are accepted changes, and those that E-divisive detects (Matteson and James 2014; with 1 % false detections in series \
without a step).";

/// Options of `perfgate baseline history`.
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub struct HistoryArgs {
    /// Selects a baseline.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Only this metric; repeatable [default: metrics of the policy's rules and of every report]
    #[arg(long = "metric", value_name = "ID")]
    pub metrics: Vec<String>,
    /// Only this scenario
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = HistoryFormat::Text)]
    pub format: HistoryFormat,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Output format of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// Text charts
    #[default]
    Text,
    /// All series with their steps
    Json,
    /// One line per value
    Csv,
    /// One JSON object per value and line
    Jsonl,
    /// The last session in Prometheus' text format
    Prometheus,
    /// The last session in Bencher Metric Format
    Bencher,
    /// The last session for github-action-benchmark's tool `customSmallerIsBetter`
    GithubSmallerIsBetter,
    /// The last session for github-action-benchmark's tool `customBiggerIsBetter`
    GithubBiggerIsBetter,
}

/// Options of `perfgate baseline verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only this gate
    pub name: Option<String>,
    /// Location of the baselines.
    #[command(flatten)]
    pub storage: StorageArgs,
}
