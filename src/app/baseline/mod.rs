//! `perfgate baseline`: accepting runs, and looking at what was accepted.

mod history;
mod list;
mod show;
mod update;
mod verify;

use std::path::Path;

use super::failing::record_failure;
use super::{Context, Failure};
use crate::baseline::{self, BaselineError, Place};
use crate::cli::baseline::{BaselineArgs, BaselineCommand, WhichArgs};
use crate::config;
use crate::exit::ExitStatus;

pub(super) fn run(args: &BaselineArgs, context: &Context) -> Result<ExitStatus, Failure> {
    match &args.command {
        BaselineCommand::Update(args) => update::run(args),
        BaselineCommand::Show(args) => show::run(args),
        BaselineCommand::List(args) => list::run(args),
        BaselineCommand::History(args) => history::run(args, context),
        BaselineCommand::Verify(args) => verify::run(args),
    }
}

/// One gate on one hardware.
#[derive(Clone, Debug)]
struct Chosen {
    name: String,
    hardware: String,
    place: Place,
}

impl Chosen {
    fn of(folder: &Path, name: &str, hardware: &str) -> Self {
        Self {
            place: Place::of(folder, name, hardware),
            name: name.to_owned(),
            hardware: hardware.to_owned(),
        }
    }
}

/// Every gate on every hardware, or those of one name.
fn all(folder: &Path, name: Option<&str>) -> Result<Vec<Chosen>, Failure> {
    let names = match name {
        Some(name) => vec![checked(name)?.to_owned()],
        None => baseline::gates(folder),
    };
    let mut found = Vec::new();
    for name in &names {
        for hardware in baseline::hardware_with_baseline(folder, name) {
            found.push(Chosen::of(folder, name, &hardware));
        }
    }
    if found.is_empty() {
        return Err(none_there(folder, name));
    }
    Ok(found)
}

/// The only one that is meant.
fn chosen(which: &WhichArgs) -> Result<Chosen, Failure> {
    let folder = &which.folder.baselines;
    let mut found = all(folder, which.name.as_deref())?;
    if let Some(hardware) = &which.hardware {
        found.retain(|chosen| chosen.hardware == *hardware);
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(none_there(folder, which.name.as_deref())),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|chosen| format!("{} --hardware {}", chosen.name, chosen.hardware))
                .collect();
            Err(
                Failure::message(ExitStatus::Usage, "there are several baselines; say which")
                    .hint(format!("one of: {}", names.join(", "))),
            )
        }
    }
}

/// A name becomes part of a path.
fn checked(name: &str) -> Result<&str, Failure> {
    if config::is_safe_name(name) {
        Ok(name)
    } else {
        let message = format!("no gate can be called `{name}`");
        Err(Failure::message(ExitStatus::Usage, message)
            .hint(format!("write `{}`", config::safe_name(name))))
    }
}

fn none_there(folder: &Path, name: Option<&str>) -> Failure {
    let whose = name.map_or_else(String::new, |name| format!(" of `{name}`"));
    let message = format!("there is no baseline{whose} in `{}`", folder.display());
    let mut failure = Failure::message(ExitStatus::NotComparable, message);
    let there = baseline::gates(folder);
    if name.is_some() && !there.is_empty() {
        failure = failure.hint(format!("there are baselines of: {}", there.join(", ")));
    }
    failure.hint("accept a run with `perfgate baseline update RESULT`")
}

fn failure(error: BaselineError) -> Failure {
    match error {
        BaselineError::Record(error) => record_failure(&error).hint(
            "`perfgate baseline verify` says what is wrong with all files, and how to mend them",
        ),
        BaselineError::File(_) | BaselineError::Lock { .. } => {
            Failure::new(ExitStatus::SurroundingsFailed, error)
                .hint("nothing was changed; make room there or let this user write there")
        }
        BaselineError::Locked { .. } => Failure::new(ExitStatus::SurroundingsFailed, error)
            .hint("nothing was changed; see who holds it with `fuser` or `lslocks`"),
        BaselineError::Json(_) => Failure::new(ExitStatus::Bug, error),
    }
}
