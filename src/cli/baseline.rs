//! `perfgate baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::compare::PolicyArgs;
use crate::baseline::Location;

/// Options of `perfgate baseline`.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BaselineCommand,
}

/// What can be done with baselines.
#[derive(Debug, Subcommand)]
pub enum BaselineCommand {
    /// Accept a run: it becomes the baseline and a line of the ledger
    Update(UpdateArgs),
    /// What one baseline says
    Show(ShowArgs),
    /// All baselines, with their age
    List(ListArgs),
    /// The accepted runs over time: values, segments, steps; exports for dashboards
    History(HistoryArgs),
    /// Whether all files are whole and fit together, and how to mend them
    Verify(VerifyArgs),
}

/// What a location may be.
pub(super) const LOCATION_HELP: &str = "Folder or bucket of all baselines: a path, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, \
    az://CONTAINER/PREFIX, file:///PATH";

/// Where baselines stand.
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// Where they stand.
    #[arg(long, value_name = "LOCATION", default_value = "baselines", help = LOCATION_HELP)]
    pub baselines: Location,
}

/// Which of them.
#[derive(Debug, Args)]
pub struct WhichArgs {
    /// Name of the gate; not needed where there is only one
    pub name: Option<String>,
    /// Its hardware, as `baseline list` calls it; not needed where there is only one
    #[arg(long, value_name = "HARDWARE")]
    pub hardware: Option<String>,
    /// Where they stand.
    #[command(flatten)]
    pub storage: StorageArgs,
}

const UPDATE_EXAMPLES: &str = "\
Examples:
  perfgate baseline update perfgate-out/result.json
  perfgate baseline update result.json --because \"the new sampler costs 4 % and was accepted in #123\"
  perfgate baseline update result.json --release v1.4.0
      the release stays as a fixed anchor, so that a slow decline is seen
  perfgate baseline update perfgate-out/result.json --comparison perfgate-out/comparison.json
      a regression that a maintainer accepted in the pull request, with who and why
  perfgate baseline update result.json --baselines s3://perf-team/baselines
      in a bucket that a fleet shares; credentials as the cloud's own tools take them: AWS_ACCESS_KEY_ID and
      AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY

It refuses a run that is void, too small, not of the main branch, worse than the baseline, far from the sessions of its own
ledger, measured before the baseline, or whose ledger is gone, and says all of it at once. With --because it is accepted all
the same; the reason and what spoke against it stay in the ledger. --comparison overrules no more than what regressed there;
the rest still needs --because.

Exit codes: 0 accepted or there already, 1 refused, 2 a file cannot be read, 6 a file or an object cannot be written.";

/// Options of `perfgate baseline update`.
#[derive(Debug, Args)]
#[command(after_help = UPDATE_EXAMPLES)]
pub struct UpdateArgs {
    /// The run, as `bench` or `gate` wrote it
    pub result: PathBuf,
    /// Accept it although something speaks against it, for this reason
    #[arg(long, value_name = "TEXT")]
    pub because: Option<String>,
    /// A comparison of this run in which a maintainer accepted the regression: its reason counts for what regressed there
    #[arg(long, value_name = "FILE")]
    pub comparison: Option<PathBuf>,
    /// It is this release, which stays as a second, fixed anchor
    #[arg(long, value_name = "TAG")]
    pub release: Option<String>,
    /// Name of the gate, where the result does not say it
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The main branch; as git knows it where not given
    #[arg(long, value_name = "NAME")]
    pub branch: Option<String>,
    /// Say what would be done and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Where they stand.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Options of `perfgate baseline show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Which.
    #[command(flatten)]
    pub which: WhichArgs,
}

/// Options of `perfgate baseline list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where they stand.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// A table for people
    #[default]
    Text,
    /// A list of objects
    Json,
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  perfgate baseline history
  perfgate baseline history llama --hardware nvidia-l4 --metric tpot.p95 --metric throughput
  perfgate baseline history llama --format csv > history.csv
  perfgate baseline history llama --format prometheus > /var/lib/node_exporter/perfgate.prom
  bencher run --adapter json --file <(perfgate baseline history llama --format bencher)

Steps are those that were accepted, and those that E-divisive finds (Matteson and James 2014; 1 % of series without a step
seem to have one).";

/// Options of `perfgate baseline history`.
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub struct HistoryArgs {
    /// Which.
    #[command(flatten)]
    pub which: WhichArgs,
    /// Only this metric; may be given more than once. Those of the policy's rules and those that every report shows
    #[arg(long = "metric", value_name = "ID")]
    pub metrics: Vec<String>,
    /// Only this scenario
    #[arg(long, value_name = "NAME")]
    pub scenario: Option<String>,
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = HistoryFormat::Text)]
    pub format: HistoryFormat,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// How a history is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// Lines of characters for people
    #[default]
    Text,
    /// All series with their steps
    Json,
    /// A line per value
    Csv,
    /// A JSON object per value and line
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
    /// Where they stand.
    #[command(flatten)]
    pub storage: StorageArgs,
}
