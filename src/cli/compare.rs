//! `perfgate compare` and `perfgate report`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::baseline::Location;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  perfgate compare --baseline main.json --candidate result.json
  perfgate compare --baseline main_baseline.json --new result.json --threshold 0.05
  perfgate compare --baseline a.json --candidate b.json --format json > comparison.json
  perfgate compare --baseline a.json --candidate b.json --html report.html --markdown comment.md
  perfgate compare --baseline a.json --candidate b.json --ledger baselines/demo/nvidia-l4.ledger.jsonl
  perfgate compare --baselines s3://perf-team/baselines --candidate result.json
  perfgate compare --ab-baseline main.json --ab-candidate pull.json
      alternating repeats alone

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
    /// Find the accepted run, its ledger and the last release here, by the candidate's name and hardware: in a folder, or
    /// in a bucket, as for `perfgate baseline`
    #[arg(
        long,
        value_name = "LOCATION",
        requires = "candidate",
        conflicts_with_all = ["ledger", "release"]
    )]
    pub baselines: Option<Location>,
    /// The run under judgement
    #[arg(
        long,
        short,
        visible_alias = "new",
        value_name = "FILE",
        requires = "accepted"
    )]
    pub candidate: Option<PathBuf>,
    /// Accepted runs, one result per line, from which the noise is learnt
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// The last release, kept as a fixed anchor: what is slower than it beyond a limit is a warning
    #[arg(long, value_name = "FILE", requires = "baseline")]
    pub release: Option<PathBuf>,
    /// The baseline's half of repeats taken alternately on one machine
    #[arg(long, value_name = "FILE", requires = "ab_candidate")]
    pub ab_baseline: Option<PathBuf>,
    /// The candidate's half: repeat i of both belong together
    #[arg(long, value_name = "FILE", requires = "ab_baseline")]
    pub ab_candidate: Option<PathBuf>,
    /// Read baseline, ledger, release and thresholds from this commit of git, as for `perfgate gate`
    #[arg(long, value_name = "REF")]
    pub baseline_ref: Option<String>,
    /// The policy.
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// The author's word.
    #[command(flatten)]
    pub author: AuthorArgs,
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Other files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The policy.
#[derive(Clone, Debug, Default, Args)]
pub struct PolicyArgs {
    /// The policy; thresholds.yaml where there is one, else four standard rules
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// Set the relative limit of every rule: 0.05 or 5%
    #[arg(long, value_name = "SHARE", value_parser = threshold)]
    pub threshold: Option<f64>,
}

/// The author's word.
#[derive(Debug, Default, Args)]
pub struct AuthorArgs {
    /// What the author says of a growth that a `report` rule asks about: text or Markdown, at least 20 characters. In a
    /// step of GitHub Actions it may also stand under the heading "perfgate analysis" in the pull request's text
    #[arg(long, value_name = "FILE")]
    pub analysis: Option<PathBuf>,
    /// What the author says of a regression that a rule with `explain: true` asks about; it changes no verdict. In a step
    /// of GitHub Actions it may also stand under the heading "perfgate explanation" in the pull request's text
    #[arg(long, value_name = "FILE")]
    pub explanation: Option<PathBuf>,
}

/// Files to write beside stdout.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Files")]
pub struct OutputArgs {
    /// Write the HTML report here
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the Markdown report here
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write a test report (JUnit XML) here: a test suite per scenario, a test case per rule
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
    /// A comparison file, as `compare --format json` or `gate` wrote it
    pub comparison: PathBuf,
    /// Add the author's analysis of a growth that a `report` rule asks about; with it, the rule does not block any more
    #[arg(long, value_name = "FILE")]
    pub analysis: Option<PathBuf>,
    /// Add what the author says of a regression that a rule with `explain: true` asks about; it changes no verdict
    #[arg(long, value_name = "FILE")]
    pub explanation: Option<PathBuf>,
    /// What goes to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Files to write.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Text,
    /// `perfgate.comparison/1`
    Json,
    /// As for a pull request
    Markdown,
}

/// `0.05` as published recipes write it, or `5%`.
fn threshold(text: &str) -> Result<f64, String> {
    let ratio = match text.parse::<f64>() {
        Ok(ratio) => ratio,
        Err(_not_a_plain_number) => config::parse_percentage(text)?,
    };
    if ratio.is_finite() && ratio > 0.0 && ratio < 1.0 {
        Ok(ratio)
    } else {
        Err("a share above 0 and below 1, as in 0.05 or 5%".to_owned())
    }
}
