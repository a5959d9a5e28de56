//! The command line: clap structs only.

pub mod baseline;
pub mod bench;
pub mod bisect;
pub mod comment;
pub mod compare;
pub mod doctor;
pub mod gate;
pub mod init;
pub mod mlperf;
pub mod plan;
pub mod publish;
pub mod selftest;
pub mod simulate;
pub mod sweep;
mod values;

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Parser, Subcommand, ValueEnum};

use crate::terminal::Color;

/// Starts a fresh vLLM, loads it, compares with a baseline, and blocks a merge that makes serving slower.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Log more on stderr; twice for everything
    #[arg(long, short, global = true, help_heading = "Global", action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Use of colour: `auto` uses it on a terminal unless TERM=dumb; `NO_COLOR` and `CLICOLOR_FORCE` override `auto`
    #[arg(long, global = true, help_heading = "Global", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether `git bisect run` reads the exit code.
    pub fn judges_a_commit(&self) -> bool {
        matches!(&self.command, Command::Bisect(args) if args.command.is_none())
    }
}

impl ValueEnum for Color {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Always, Self::Never]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("On a terminal"),
            Self::Always => PossibleValue::new("always").help("Always"),
            Self::Never => PossibleValue::new("never").help("Never"),
        })
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the first files of a repository: configuration, policy, workflow
    Init(init::InitArgs),
    /// Run the whole gate: launch, load, compare with the baseline, report, exit code
    Gate(Box<gate::GateArgs>),
    /// Print the expected price of a gate in server starts and GPU-hours, before it runs
    Plan(Box<plan::PlanArgs>),
    /// Launch and measure, and write a result file
    Bench(bench::BenchArgs),
    /// Measure throughput and latency over the load: the knee, and the highest load within the SLO
    Sweep(sweep::SweepArgs),
    /// Run an LLM scenario by the rules of MLPerf Inference: VALID or INVALID; not an official result
    Mlperf(mlperf::MlperfArgs),
    /// Compare two result files
    Compare(compare::CompareArgs),
    /// Render reports again from a comparison file
    Report(compare::ReportArgs),
    /// Manage the accepted runs: update, show, list, history, verify
    Baseline(baseline::BaselineArgs),
    /// Publish a comparison on GitHub: comment, status, acceptance; without a measurement
    Comment(comment::CommentArgs),
    /// Find the commit that made serving slower, with `git bisect run`
    Bisect(Box<bisect::BisectArgs>),
    /// Gate a server against itself and against a slower one: the error rates, and the sources of noise
    Selftest(selftest::SelftestArgs),
    /// Check this machine and the load that it can generate
    Doctor(doctor::DoctorArgs),
    /// Run an embedded vLLM-compatible server without a GPU, for trials, tests and planning
    Simulate(simulate::SimulateArgs),
    /// End the server of a killed perfgate; perfgate starts this command itself
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Print the JSON Schemas of all files
    Schema(SchemaArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Options of the guard.
#[derive(Debug, clap::Args)]
pub struct GuardArgs {
    /// The perfgate process that it guards; visible in process lists
    #[arg(long, value_name = "PID")]
    pub of: u32,
}

/// Options of `perfgate schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Write all schemas into this folder instead of one to stdout
    #[arg(long, value_name = "FOLDER", conflicts_with = "file")]
    pub output: Option<PathBuf>,
    /// File whose schema to print
    #[arg(value_enum, required_unless_present = "output")]
    pub file: Option<SchemaFile>,
}

/// Output format of a command on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Files with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaFile {
    /// `perfgate.result/1`
    Result,
    /// `perfgate.comparison/1`
    Comparison,
    /// `perfgate.sweep/1`
    Sweep,
    /// `perfgate.mlperf/1`
    Mlperf,
    /// `perfgate.bisect/1`
    Bisect,
    /// `perfgate.yaml`
    Perfgate,
    /// `thresholds.yaml`
    Thresholds,
}

/// Examples with the list of exit codes below them.
fn with_exit_codes<T: Copy>(examples: &str, all: &[(T, &str)], code: fn(T) -> u8) -> String {
    let line = |(status, meaning): &(T, &str)| format!("  {:>3}  {meaning}\n", code(*status));
    format!("{examples}{}", all.iter().map(line).collect::<String>())
}
