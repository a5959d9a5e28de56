//! Options of everything that tells GitHub.

use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

/// What is published, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "GitHub (where GITHUB_TOKEN and an event are there)")]
pub struct PublishArgs {
    /// The comment on the pull request: `auto` and `always` write it or edit it, `always` also fails where that cannot be;
    /// `on-change` writes none where nothing is wrong and none is there
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = CommentWhen::Auto)]
    pub comment: CommentWhen,
    /// The account whose comments are perfgate's own; the owner of the token where not given
    #[arg(long, value_name = "LOGIN")]
    pub comment_author: Option<String>,
    /// The status on the head commit, the check to make required; a success only where every gate of that commit passes
    /// (each has a status NAME/GATE → BASE of its own). Empty for none
    #[arg(long, value_name = "NAME", default_value = "perfgate")]
    pub status_context: String,
    /// Also write a check run
    #[arg(long)]
    pub check_run: bool,
    /// End with 6 where something cannot be published; the verdict is written all the same
    #[arg(long)]
    pub require_publish: bool,
    /// The label by which a maintainer accepts a regression, with a reason in the pull request; empty for none
    #[arg(long, value_name = "NAME", default_value = "perf-regression-accepted")]
    pub accept_label: String,
    /// Where the report can be read; the run's page where not given
    #[arg(long, value_name = "URL")]
    pub report_url: Option<String>,
    /// The pull request, where the event does not name it
    #[arg(long, value_name = "N")]
    pub pull_request: Option<u64>,
    /// How long all of publishing may take; a longer wait that GitHub asks for is reported and not waited for
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = super::sweep::duration)]
    pub publish_timeout: Duration,
    /// Milliseconds that a second of waiting for GitHub lasts; for tests.
    #[arg(
        long,
        hide = true,
        env = "PERFGATE_GITHUB_SECOND_MS",
        default_value_t = 1000
    )]
    pub github_second_ms: u64,
    /// Milliseconds after which a request to GitHub is given up; for tests.
    #[arg(
        long,
        hide = true,
        env = "PERFGATE_GITHUB_TIMEOUT_MS",
        default_value_t = 30_000
    )]
    pub github_timeout_ms: u64,
}

/// Nothing but these options.
#[derive(Parser)]
struct Alone {
    #[command(flatten)]
    publish: PublishArgs,
}

impl PublishArgs {
    /// The defaults; `None` where a variable of the environment has an invalid value.
    pub fn usual() -> Option<Self> {
        let alone = Alone::try_parse_from(["perfgate"]).ok();
        alone.map(|alone| alone.publish)
    }
}

/// When to comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CommentWhen {
    /// Where a token and a pull request are there
    #[default]
    Auto,
    /// The same, and it is a failure where they are not
    Always,
    /// As `auto`, but none is created where nothing is wrong
    OnChange,
    /// Never
    Never,
}
