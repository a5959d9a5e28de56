//! `perfgate sweep`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::TextOrJson;
use super::bench::RunArgs;
use super::values::{load, precision, share};
use crate::config::parse_duration;

const EXAMPLES: &str = "\
Examples:
  perfgate sweep --simulator --model demo
      1, 2, 4, … in flight until throughput no longer grows
  perfgate sweep --concurrency 1:64:8
      these loads of the server of perfgate.yaml
  perfgate sweep --request-rate 1,2,5,10 --goodput ttft:500ms tpot:50ms
  perfgate sweep --find concurrency --goodput ttft:200ms tpot:50ms
      the highest load within these limits
  perfgate sweep --find request-rate --attainment 99% --precision 2% --html sweep.html
  perfgate compare --baseline main-sweep.json --candidate sweep.json
      point by point, and the capacities

The limits of --goodput, or the slo of perfgate.yaml, apply to each request: a load meets them if at least --attainment of all \
requests do, failed ones included, with 95 % confidence. An undecided load is measured again, at most --max-visits times, \
and then counts as not met. The result is a result file with one scenario per load; a search adds the scenario `sweep` with its \
capacity, on which rules such as `capacity.concurrency: {regression: 5%, action: block}` can be written.";

/// Options of `perfgate sweep`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// Where to write the result
    #[arg(long, short, value_name = "FILE", default_value = "sweep.json")]
    pub output: PathBuf,
    /// Write the HTML report to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
    /// The loads.
    #[command(flatten)]
    pub course: CourseArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The measured loads and their limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sweep")]
pub struct CourseArgs {
    /// Search the highest load within the limits instead of measuring a grid
    #[arg(long, value_enum, value_name = "LOAD")]
    pub find: Option<FindArg>,
    /// Share of all requests that must be within every limit: 0.99 or 99%
    #[arg(long, value_name = "SHARE", default_value = "95%", value_parser = share)]
    pub attainment: f64,
    /// End the search when the lowest failing load exceeds the highest passing load by at most this share
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = precision)]
    pub precision: f64,
    /// Measurements of an undecided load, before it counts as not met
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub max_visits: u32,
    /// First load of a search or of a growing grid
    #[arg(long, value_name = "LOAD", value_parser = load)]
    pub start: Option<f64>,
    /// Highest load of a search or of a growing grid [default: 1024 in flight or 10000 requests/s]
    #[arg(long, value_name = "LOAD", value_parser = load)]
    pub max_load: Option<f64>,
    /// Minimum number of requests per request in flight
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub requests_per_slot: usize,
    /// Minimum duration of an open loop: a short one does not show that the server falls behind
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    pub min_duration: Duration,
}

/// The searched kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindArg {
    /// Requests in flight
    Concurrency,
    /// Requests per second
    RequestRate,
}
