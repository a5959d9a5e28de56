//! Options of commands that publish on GitHub.

use std::time::Duration;

use clap::{Args, FromArgMatches as _, ValueEnum};

/// What to publish, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "GitHub (with GITHUB_TOKEN and an event)")]
pub struct PublishArgs {
    /// When to comment on the pull request: `auto` and `always` create or edit the comment, `always` fails if that is
    /// impossible; `on-change` creates no comment if nothing is wrong
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CommentWhen::Auto)]
    pub comment: CommentWhen,
    /// The account of perfgate's comments [default: the owner of the token]
    #[arg(long, value_name = "LOGIN")]
    pub comment_author: Option<String>,
    /// The status on the head commit, to make a required check; success only if every gate of that commit passes (each
    /// also has its own status NAME/GATE → BASE). Empty for no status
    #[arg(long, value_name = "NAME", default_value = "perfgate")]
    pub status_context: String,
    /// Also write a check run
    #[arg(long)]
    pub check_run: bool,
    /// Exit with 6 if publishing fails; the verdict is still written
    #[arg(long)]
    pub require_publish: bool,
    /// The label with which a maintainer accepts a regression, with a reason in the pull request; empty for no label
    #[arg(long, value_name = "NAME", default_value = "perf-regression-accepted")]
    pub accept_label: String,
    /// Address of the report [default: the page of the run]
    #[arg(long, value_name = "URL")]
    pub report_url: Option<String>,
    /// The pull request, if the event does not contain it
    #[arg(long, value_name = "N", value_parser = pull_request)]
    pub pull_request: Option<u64>,
    /// Time limit of publishing; if GitHub requests a longer wait, perfgate reports it and does not wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::config::parse_duration)]
    pub publish_timeout: Duration,
    /// Real milliseconds per second of waiting for GitHub; for tests.
    #[arg(
        long,
        hide = true,
        env = "PERFGATE_GITHUB_SECOND_MS",
        default_value_t = 1000
    )]
    pub github_second_ms: u64,
    /// Time limit of a request to GitHub in milliseconds; for tests.
    #[arg(
        long,
        hide = true,
        env = "PERFGATE_GITHUB_TIMEOUT_MS",
        default_value_t = 30_000
    )]
    pub github_timeout_ms: u64,
}

impl PublishArgs {
    /// The defaults; `None` if an environment variable has an invalid value.
    pub fn defaults() -> Option<Self> {
        let command = Self::augment_args(clap::Command::new("perfgate"));
        let matches = command.try_get_matches_from(["perfgate"]).ok()?;
        Self::from_arg_matches(&matches).ok()
    }
}

/// The number of a pull request.
fn pull_request(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_not_a_number| "write the number of the pull request, as in 7".to_owned())
}

/// When to comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CommentWhen {
    /// With a token and a pull request
    #[default]
    Auto,
    /// Always; without a token and a pull request publishing fails
    Always,
    /// As `auto`, but creates no comment if nothing is wrong
    OnChange,
    /// Never
    Never,
}
