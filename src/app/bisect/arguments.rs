//! The command line of `bisect start`, stored for the predicate, and the predicate's own options.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::bisect::{BisectCommand, BisectOptions};
use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// The arguments after `bisect` on this command line.
pub(crate) fn own() -> Vec<OsString> {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "bisect");
    arguments.next();
    arguments.collect()
}

/// The same as text, for storage.
pub(crate) fn own_text() -> Result<Vec<String>, Failure> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|argument| {
            let message = format!(
                "`{}` is not valid UTF-8, so it cannot be stored for the search",
                argument.display()
            );
            Failure::usage(message).hint("rename the file")
        })
    };
    own().into_iter().map(text).collect()
}

/// The options of `bisect start`, overridden by the current ones.
pub(crate) fn laid_over(started: &[String], given: &[OsString]) -> Result<BisectOptions, Failure> {
    let unusable = |why: String| {
        let message = if given.is_empty() {
            format!("cannot read the stored options of `bisect start`: {why}")
        } else {
            format!("these options conflict with those of `bisect start`: {why}")
        };
        Failure::usage(message)
            .hint("run `git bisect reset`, then `perfgate bisect start` with the wanted options")
    };
    let bare = started.iter().position(|argument| argument == "--");
    // Arguments after `--` are not options.
    let (before, behind) = started.split_at(bare.unwrap_or(started.len()));
    let words = ["perfgate", "bisect"]
        .into_iter()
        .map(OsStr::new)
        .chain(before.iter().map(OsStr::new))
        .chain(given.iter().map(OsString::as_os_str))
        .chain(behind.iter().map(OsStr::new));
    let cli = Cli::command()
        .args_override_self(true)
        .try_get_matches_from(words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| unusable(first_lines(&error)))?;
    let Command::Bisect(args) = cli.command else {
        return Err(unusable("they belong to another command".to_owned()));
    };
    match args.command {
        Some(BisectCommand::Start(start)) => Ok(start.options),
        Some(BisectCommand::Clean) | None => Err(unusable("they do not start a search".to_owned())),
    }
}

/// clap's message without the usage.
fn first_lines(error: &clap::Error) -> String {
    let text = error.to_string();
    let said = text.split("\n\n").next().unwrap_or_default();
    said.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitStatus;

    fn over(given: &[&str]) -> Result<BisectOptions, Failure> {
        let started = [
            "start",
            "--build",
            "make",
            "--max-pairs",
            "9",
            "--",
            "A",
            "B",
        ];
        let given: Vec<OsString> = given.iter().map(OsString::from).collect();
        laid_over(&started.map(str::to_owned), &given)
    }

    #[test]
    fn current_options_override_those_of_start_and_the_rest_stays() {
        let options = over(&["--max-pairs", "30", "--model", "m"]).unwrap();
        assert_eq!(options.build.as_deref(), Some("make"));
        assert_eq!(options.max_pairs, 30);
        assert_eq!(options.run.model.as_deref(), Some("m"));
        assert_eq!(over(&[]).unwrap().max_pairs, 9);
        let twice = over(&["--header", "A: b", "--header", "C: d"]).unwrap();
        assert_eq!(twice.run.load.header, ["A: b", "C: d"]);
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        let started = ["start", "A", "B", "--good-image", "i"].map(str::to_owned);
        let given = ["--good-result", "r.json"].map(OsString::from);
        let failure = laid_over(&started, &given).unwrap_err();
        assert_eq!(failure.status, ExitStatus::Usage);
        let message = failure.error.to_string();
        assert!(
            message.starts_with(
                "these options conflict with those of `bisect start`: the argument '--good-"
            ),
            "{message}"
        );
    }
}
