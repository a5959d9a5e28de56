//! `perfgate mlperf`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::TextOrJson;
use super::bench::RunArgs;
use super::values::{load, precision, share};
use crate::config::parse_duration;
use crate::mlperf::{TASKS, Task};

const EXAMPLES: &str = "\
Examples:
  perfgate mlperf --scenario server --task llama3.1-8b --target-qps 4
      limits of the task, 600 s, P99
  perfgate mlperf --scenario interactive --task llama2-70b --target-qps 2 --find-peak
  perfgate mlperf --scenario offline --task llama3.1-8b --target-qps 20
      all queries at once: tokens/s
  perfgate mlperf --scenario server --task llama3.1-8b --target-qps 50 --simulator --model demo \\
      --ttft-limit 100ms --tpot-limit 10ms --min-duration 10s
      with other requirements

Not an official MLPerf result: official results come from the LoadGen, on the benchmark's data set, after review. perfgate uses \
the prompts of perfgate.yaml. MLPerf is a trademark of MLCommons.

Exit codes: 0 VALID, 1 INVALID (with every reason), others as `gate`.";

/// Options of `perfgate mlperf`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MlperfArgs {
    /// The scenario
    #[arg(long, value_enum)]
    pub scenario: ScenarioArg,
    /// The task, which sets the limits
    #[arg(long, value_parser = task())]
    pub task: &'static Task,
    /// Scheduled queries per second; with --find-peak the first rate, for offline the expected rate
    #[arg(long, value_name = "RATE", value_parser = load, required_if_eq_any([("scenario", "server"), ("scenario", "interactive")]))]
    pub target_qps: Option<f64>,
    /// Search the highest valid rate
    #[arg(long)]
    pub find_peak: bool,
    /// End the search when the lowest invalid rate exceeds the highest valid rate by at most this share
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = precision, requires = "find_peak")]
    pub precision: f64,
    /// Where to write the result
    #[arg(long, short, value_name = "FILE", default_value = "mlperf.json")]
    pub output: PathBuf,
    /// Output format on stdout
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
    /// Requirements other than the task's.
    #[command(flatten)]
    pub required: RequiredArgs,
    /// Target and load.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Requirements other than the task's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Requirements")]
pub struct RequiredArgs {
    /// Limit of the time to first token
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub ttft_limit: Option<Duration>,
    /// Limit of the time per output token
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub tpot_limit: Option<Duration>,
    /// Minimum measured time
    #[arg(long, value_name = "DURATION", default_value = "600s", value_parser = parse_duration)]
    pub min_duration: Duration,
    /// Minimum number of queries [default: as the percentile requires; for offline the task's data set]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub min_queries: Option<u64>,
    /// Share of all queries that must be within each limit, with 99 % confidence
    #[arg(long, value_name = "SHARE", default_value = "0.99", value_parser = share)]
    pub percentile: f64,
    /// Offline: maximum open requests; far more than any engine runs at once
    #[arg(long, value_name = "COUNT", default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub in_flight: u32,
}

/// The scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScenarioArg {
    /// Poisson arrivals, limits on TTFT and TPOT
    Server,
    /// As server, with stricter limits
    Interactive,
    /// All queries at once
    Offline,
}

/// A task by its name.
fn task() -> impl TypedValueParser<Value = &'static Task> {
    let names = PossibleValuesParser::new(TASKS.iter().map(|task| task.name));
    names.try_map(|name| Task::named(&name).ok_or("this task has no limits"))
}
