//! `perfgate compare` and `perfgate report`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::values::{location, threshold};
use crate::baseline::Location;

const EXAMPLES: &str = "\
Examples:
  perfgate compare --baseline main.json --candidate result.json
  perfgate compare --baseline main_baseline.json --new result.json --threshold 0.05
  perfgate compare --baseline a.json --candidate b.json --format json > comparison.json
  perfgate compare --baseline a.json --candidate b.json --html report.html --markdown comment.md
  perfgate compare --baseline a.json --candidate b.json --ledger baselines/demo/nvidia-l4.ledger.jsonl
  perfgate compare --baselines s3://perf-team/baselines --candidate result.json
  perfgate compare --ab-baseline main.json --ab-candidate pull.json
      alternating repeats only

Exit codes: 0 pass, 1 blocked, 2 a file cannot be read, 3 inconclusive and not allowed to pass, 4 not comparable.";

/// Options of `perfgate compare`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("accepted").args(["baseline", "baselines"]))]
pub struct CompareArgs {
    /// The accepted run
    #[arg(
        long,
        short,
        value_name = "FILE",
        requires = "candidate",
        required_unless_present_any = ["ab_baseline", "baselines"]
    )]
    pub baseline: Option<PathBuf>,
    /// Folder or bucket with the accepted run, its ledger and the last release, selected by the candidate's name and
    /// hardware, as for `perfgate baseline`
    #[arg(
        long,
        value_name = "LOCATION",
        value_parser = location,
        requires = "candidate",
        conflicts_with_all = ["ledger", "release"]
    )]
    pub baselines: Option<Location>,
    /// The candidate
    #[arg(
        long,
        short,
        visible_alias = "new",
        value_name = "FILE",
        requires = "accepted"
    )]
    pub candidate: Option<PathBuf>,
    /// Ledger of accepted runs, one result per line, to estimate the noise
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// The last release, a fixed anchor: a regression against it beyond a limit adds a warning
    #[arg(long, value_name = "FILE", requires = "baseline")]
    pub release: Option<PathBuf>,
    /// The baseline's repeats of alternating pairs on one machine
    #[arg(long, value_name = "FILE", requires = "ab_candidate")]
    pub ab_baseline: Option<PathBuf>,
    /// The candidate's repeats: repeat i of both files form a pair
    #[arg(long, value_name = "FILE", requires = "ab_baseline")]
    pub ab_candidate: Option<PathBuf>,
    /// Read baseline, ledger, release and thresholds from this git commit, as for `perfgate gate`
    #[arg(long, value_name = "REF")]
    pub baseline_ref: Option<String>,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Text of the author.
    #[command(flatten)]
    pub author: AuthorArgs,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Other files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The policy.
#[derive(Clone, Debug, Default, Args)]
pub struct PolicyArgs {
    /// Policy file [default: thresholds.yaml if it exists, else four standard rules]
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Set the relative limit of every rule: 0.05 or 5%
    #[arg(long, value_name = "SHARE", value_parser = threshold)]
    pub threshold: Option<f64>,
}

/// Text of the author.
#[derive(Debug, Default, Args)]
pub struct AuthorArgs {
    /// The author's analysis of a growth under a `report` rule: text or Markdown, at least 20 characters. In GitHub
    /// Actions it can also be under the heading "perfgate analysis" in the pull request's text
    #[arg(long, value_name = "FILE")]
    pub analysis: Option<PathBuf>,
    /// The author's explanation of a regression under a rule with `explain: true`; it changes no verdict. In GitHub
    /// Actions it can also be under the heading "perfgate explanation" in the pull request's text
    #[arg(long, value_name = "FILE")]
    pub explanation: Option<PathBuf>,
}

/// Files to write in addition to stdout.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct OutputArgs {
    /// Write the HTML report to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the Markdown report to this file
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write a test report (JUnit XML) to this file: a test suite per scenario, a test case per rule
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  perfgate report perfgate-out/comparison.json
  perfgate report perfgate-out/comparison.json --html report.html
  perfgate report comparison.json --analysis why.md --format json > accepted.json
      a growth explained afterwards: nothing is measured again";

/// Options of `perfgate report`.
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    /// Comparison file from `compare --format json` or `gate`
    pub comparison: PathBuf,
    /// Add the author's analysis of a growth under a `report` rule; the rule then no longer blocks
    #[arg(long, value_name = "FILE")]
    pub analysis: Option<PathBuf>,
    /// Add the author's explanation of a regression under a rule with `explain: true`; it changes no verdict
    #[arg(long, value_name = "FILE")]
    pub explanation: Option<PathBuf>,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Output format on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table
    #[default]
    Text,
    /// `perfgate.comparison/1`
    Json,
    /// Markdown, as in a pull request comment
    Markdown,
}
