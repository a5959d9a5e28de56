//! The binary: parse, log set-up, run, print one error, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use perfgate::app::{self, Failure};
use perfgate::cli::Cli;
use perfgate::exit::{BisectStatus, ExitStatus};
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
            // A flag that is misspelt must not convict a commit.
            return if error.use_stderr() && asks_for_bisect() {
                BisectStatus::of_failure(status).into()
            } else {
                status.into()
            };
        }
    };
    let in_search = cli.judges_a_commit();
    let failed = |status: ExitStatus| {
        if in_search {
            BisectStatus::of_failure(status).into()
        } else {
            status.into()
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
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            drop(print_failure(&failure));
            failed(failure.status)
        }
        // The message and the place have been printed; what was started has been removed while unwinding.
        Err(_panic) => failed(ExitStatus::Bug),
    }
}

/// Whether the first word that is no option is `bisect`.
fn asks_for_bisect() -> bool {
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        if word == "--color" {
            words.next();
        } else if !word.as_encoded_bytes().starts_with(b"-") {
            let is_predicate = |next: std::ffi::OsString| next != "start" && next != "clean";
            return word == "bisect" && words.next().is_none_or(is_predicate);
        }
    }
    false
}

fn print_failure(failure: &Failure) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "error: {}", failure.reason())?;
    for hint in &failure.hints {
        writeln!(stderr, "hint: {hint}")?;
    }
    if let Some(command) = app::annotation(failure) {
        writeln!(stderr, "{command}")?;
    }
    Ok(())
}
