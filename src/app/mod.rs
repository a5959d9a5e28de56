//! One file per command; the only module that uses all others.

mod baseline;
mod bench;
mod bisect;
mod comment;
mod compare;
mod doctor;
mod gate;
mod init;
mod mlperf;
mod output;
mod plan;
mod publishing;
mod schema;
mod selftest;
mod simulate;
mod sweep;

use std::process::ExitCode;

use clap::CommandFactory as _;

pub use publishing::annotations::annotations;

pub use crate::failure::Failure;
pub use crate::inputs::extras::hide_headers;

use crate::app::output::print;
use crate::cli::{Cli, Command};
use crate::clock;
use crate::environment::{Environment, environment, register_secrets};
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::interrupt::Interrupt;
use crate::runner::{CommandContext, runtime};
use crate::terminal::screen;
use crate::terminal::{Color, Output};
use crate::text::screen::Screen;

/// The context of every command.
pub(crate) struct Context {
    /// The screen of stdout.
    pub(crate) screen: Screen,
    /// The receiver of events.
    pub(crate) events: Events,
    /// perfgate's environment, looked up by name.
    pub(crate) environment: &'static Environment,
}

impl Context {
    /// The output mode for text that may be coloured.
    fn output(&self) -> Output {
        if self.screen.color {
            Output::Coloured
        } else {
            Output::Text
        }
    }

    /// Runs a measurement in a runtime that watches signals.
    fn block_on<T>(
        &self,
        measure: impl AsyncFnOnce(CommandContext<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        runtime(|| {})?.block_on(async {
            let command = CommandContext {
                began: clock::unix_time(),
                environment: self.environment,
                events: &self.events,
                interrupt: &Interrupt::listen()?,
            };
            measure(command).await
        })
    }
}

/// Whether to colour what goes to stdout.
pub fn stdout_is_coloured(color: Color) -> bool {
    screen::stdout_is_coloured(color, &environment)
}

/// Whether to colour what goes to stderr.
pub fn stderr_is_coloured(color: Color) -> bool {
    screen::stderr_is_coloured(color, &environment)
}

/// Runs one command.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let context = Context {
        screen: screen::of_stdout(cli.color, &environment),
        events: crate::terminal::progress::on_stderr(&environment),
        environment: &environment,
    };
    register_secrets();
    let status = match cli.command {
        // git bisect has its own exit codes.
        Command::Bisect(args) => return bisect::run(&args, &context).map(ExitCode::from),
        Command::Init(args) => init::run(&args, &context),
        Command::Gate(args) => gate::run(&args, &context),
        Command::Plan(args) => plan::run(&args, &context),
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
