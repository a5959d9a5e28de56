//! One file per command: the only place that knows everybody.

mod accepted;
mod annotating;
mod arm;
mod author;
mod base_commit;
mod base_ref;
mod baseline;
mod bench;
mod bisect;
mod build;
mod comment;
mod compare;
mod course;
mod dataset;
mod deciding;
mod doctor;
mod evidence;
mod expectations;
mod extras;
mod failing;
mod failure;
mod feasible;
mod gate;
mod gpus;
mod here;
mod init;
mod interrupt;
mod links;
mod lock;
mod measuring;
mod memory;
mod mlperf;
mod outputs;
mod pass;
mod plan;
mod progress;
mod publishing;
mod question;
mod schema;
mod screen;
mod selftest;
mod selftest_report;
mod sent;
mod simulate;
mod slower;
mod source;
mod spending;
mod step;
mod stopping;
mod storage;
mod sweep;
mod sweeping;
mod visible;
mod warm_up;

use std::process::ExitCode;

use clap::CommandFactory as _;

pub use annotating::annotations;
pub use extras::hide_headers;
pub use failure::Failure;
use interrupt::Interrupt;
pub use screen::{stderr_is_coloured, stdout_is_coloured};

use crate::cli::{Cli, Command};
use crate::exit::ExitStatus;
use crate::render::terminal::Screen;
use crate::secret;
use crate::terminal::{self, Output};

/// What every command may need to know.
pub(crate) struct Context {
    /// Where what goes to stdout is shown.
    pub(crate) screen: Screen,
    /// Perfgate's own environment, looked up by name.
    pub(crate) environment: &'static (dyn Fn(&str) -> Option<String> + Sync),
}

impl Context {
    /// How text that may be coloured goes to stdout.
    fn output(&self) -> Output {
        if self.screen.color {
            Output::Coloured
        } else {
            Output::Text
        }
    }
}

/// The variable with the key for the server under test.
const API_KEY: &str = "PERFGATE_API_KEY";

/// The only place that reads the environment: whoever needs a variable is handed this.
fn environment(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the place where a reader looks for it"
    )]
    std::env::var(name).ok()
}

/// All of it that is text: what a server that is started here inherits.
fn whole_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The key for the server under test. A secret that is read from a file often ends with a line end, which no header can carry.
fn api_key(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let key = environment(API_KEY)?.trim().to_owned();
    (!key.is_empty()).then_some(key)
}

/// Before anything is started: a key that no header can carry is refused.
fn check_api_key() -> Result<(), Failure> {
    match api_key(&environment) {
        Some(key) if !key.chars().all(|c| matches!(c, ' '..='~')) => {
            let message = format!(
                "the API key in `{API_KEY}` has characters that an HTTP header cannot carry"
            );
            Err(Failure::message(ExitStatus::Usage, message).hint(
                "use ASCII letters, digits and signs, without a line break, and set it again",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Variables with the name of a secret are masked: a server that inherits them may print them.
fn register_secrets() {
    for (name, value) in whole_environment() {
        if secret::is_telling(&name) && value.len() >= secret::LONG {
            secret::register(&value);
        }
    }
    if let Some(key) = api_key(&environment) {
        secret::register(&key);
    }
}

/// Runs one command.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let context = Context {
        screen: screen::of_stdout(cli.color),
        environment: &environment,
    };
    register_secrets();
    let status = match cli.command {
        // Git reads its codes in its own way.
        Command::Bisect(args) => return bisect::run(&args, &context).map(ExitCode::from),
        Command::Init(args) => init::run(&args, &context),
        Command::Gate(args) => gate::run(&args, &context),
        Command::Bench(args) => bench::run(&args, &context),
        Command::Sweep(args) => sweep::run(&args, &context),
        Command::Mlperf(args) => mlperf::run(&args, &context),
        Command::Compare(args) => compare::run(&args, &context),
        Command::Report(args) => compare::report(&args, &context),
        Command::Baseline(args) => baseline::run(&args, &context),
        Command::Comment(args) => comment::run(&args, &context),
        Command::Selftest(args) => selftest::run(&args, &context),
        Command::Doctor(args) => doctor::run(&args, &context),
        Command::Simulate(args) => simulate::run(&args),
        Command::Guard(_) => {
            crate::launch::guard::keep_watch();
            Ok(ExitStatus::Pass)
        }
        Command::Schema(args) => schema::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "perfgate", &mut script);
            print(Output::Text, &String::from_utf8_lossy(&script))?;
            Ok(ExitStatus::Pass)
        }
    };
    status.map(ExitCode::from)
}

/// Data to stdout.
fn print(output: Output, text: &str) -> Result<(), Failure> {
    terminal::print(output, text).or_else(|error| {
        // A reader that has seen enough (`| head`) is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Ok(())
        } else {
            Err(output_failure(error))
        }
    })
}

fn output_failure(error: std::io::Error) -> Failure {
    Failure::new(
        ExitStatus::SurroundingsFailed,
        anyhow::Error::new(error).context("cannot write to stdout"),
    )
}

/// The async runtime. Two workers are enough for what is measured here, and leave the machine to the server beside it.
/// `on_thread_start` runs in each of them.
fn runtime(on_thread_start: fn()) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(on_thread_start)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))
}
