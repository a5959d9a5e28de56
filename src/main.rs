//! The binary: parse, log set-up, run, print one error, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use perfgate::app::{self, Failure};
use perfgate::cli::Cli;
use perfgate::exit::ExitStatus;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

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
    let level = match cli.verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // The client of buckets tells of every retry; what comes of them is said once, at the end.
    let of_buckets = if cli.verbose == 0 { Level::WARN } else { level };
    let levels = Targets::new()
        .with_default(level)
        .with_target("object_store", of_buckets);
    tracing_subscriber::fmt()
        .with_writer(|| app::LogWriter)
        .with_ansi(app::stderr_is_coloured(cli.color))
        .with_max_level(level)
        .with_target(false)
        .finish()
        .with(levels)
        .init();
    match std::panic::catch_unwind(|| app::run(cli)) {
        Ok(Ok(status)) => status.into(),
        Ok(Err(failure)) => {
            drop(print_failure(&failure));
            failure.status.into()
        }
        // The message and the place have been printed; what was started has been removed while unwinding.
        Err(_panic) => ExitStatus::Bug.into(),
    }
}

fn print_failure(failure: &Failure) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "error: {:#}", failure.error)?;
    for hint in &failure.hints {
        writeln!(stderr, "hint: {hint}")?;
    }
    if let Some(command) = app::annotation(failure) {
        writeln!(stderr, "{command}")?;
    }
    Ok(())
}
