//! The binary: parse, log set-up, run, print one error, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use perfgate::app;
use perfgate::cli::Cli;
use perfgate::exit::{BisectStatus, ExitStatus};
use perfgate::failure::Failure;
use perfgate::terminal::{self, Color, LogWriter, Output};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    terminal::guard_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are not errors.
        Err(answer) if !answer.use_stderr() => {
            print_usage(&answer);
            return ExitStatus::Pass.into();
        }
        // Everything else is a usage error, independent of clap's code. A misspelt flag must not mark a commit as bad.
        Err(error) => {
            app::hide_headers(std::env::args_os().map(|argument| argument.display().to_string()));
            print_usage(&error);
            return failed(ExitStatus::Usage, is_bisect_command());
        }
    };
    let in_search = cli.judges_a_commit();
    set_up_logs(&cli);
    match std::panic::catch_unwind(|| app::run(cli)) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            print_failure(&failure);
            failed(failure.status, in_search)
        }
        // Message and place are printed, and unwinding removed what perfgate started.
        Err(_panic) => failed(ExitStatus::Bug, in_search),
    }
}

/// The exit code of a failure; a search reads its own codes.
fn failed(status: ExitStatus, in_search: bool) -> ExitCode {
    if in_search {
        BisectStatus::of_failure(status).into()
    } else {
        status.into()
    }
}

/// Whether the first argument that is not an option is `bisect`.
fn is_bisect_command() -> bool {
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

/// `-v` logs perfgate's steps; `-vv` also those of its libraries.
fn set_up_logs(cli: &Cli) {
    let (own, libraries) = match cli.verbose {
        0 => (Level::INFO, Level::WARN),
        1 => (Level::DEBUG, Level::WARN),
        2 => (Level::TRACE, Level::DEBUG),
        _ => (Level::TRACE, Level::TRACE),
    };
    let levels = Targets::new()
        .with_default(libraries)
        .with_target("perfgate", own);
    tracing_subscriber::fmt()
        .with_writer(|| LogWriter)
        .with_ansi(app::stderr_is_coloured(cli.color))
        .with_max_level(Level::TRACE)
        .with_target(cli.verbose > 1)
        .finish()
        .with(levels)
        .init();
}

/// Prints help and version to stdout, wrong arguments to stderr. A failure to print is ignored.
fn print_usage(error: &clap::Error) {
    let text = error.render();
    let text = |is_coloured: bool| {
        if is_coloured {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    };
    if error.use_stderr() {
        terminal::coloured_note(text(app::stderr_is_coloured(Color::Auto)).trim_end());
    } else {
        let text = text(app::stdout_is_coloured(Color::Auto));
        let _written = terminal::print(Output::Coloured, &text);
    }
}

fn print_failure(failure: &Failure) {
    terminal::note(&format!("error: {}", failure.reason()));
    for hint in &failure.hints {
        terminal::note(&format!("hint: {hint}"));
    }
    for command in app::annotations(failure) {
        terminal::command(&command);
    }
}
