//! One file per command: the only place that knows everybody.

mod failure;
mod interrupt;
mod simulate;

pub use failure::Failure;
use interrupt::Interrupt;

use crate::cli::{Cli, Command};
use crate::exit::ExitStatus;

/// Runs one command.
pub fn run(cli: Cli) -> Result<ExitStatus, Failure> {
    match cli.command {
        Command::Simulate(args) => simulate::run(&args),
    }
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
