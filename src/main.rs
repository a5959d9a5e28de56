//! The binary: parse, log set-up, run, print one error, exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use perfgate::app::{self, Failure};
use perfgate::cli::Cli;
use perfgate::exit::ExitStatus;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; anything else is a usage error, whatever number clap has for it.
            let status = if error.use_stderr() {
                ExitStatus::Usage
            } else {
                ExitStatus::Pass
            };
            drop(error.print());
            return status.into();
        }
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match app::run(cli) {
        Ok(status) => status.into(),
        Err(failure) => {
            drop(print_failure(&failure));
            failure.status.into()
        }
    }
}

fn print_failure(failure: &Failure) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "error: {:#}", failure.error)?;
    for hint in &failure.hints {
        writeln!(stderr, "hint: {hint}")?;
    }
    Ok(())
}
