//! `perfgate baseline`: accepts runs and shows accepted ones.

mod history;
mod list;
mod reason;
mod show;
mod update;
mod verify;

use crate::app::Context;
use crate::baseline::{Location, Place, Storage};
use crate::cli::baseline::{BaselineArgs, BaselineCommand, StorageArgs, WhichArgs};
use crate::config;
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::storage;

pub(super) fn run(args: &BaselineArgs, context: &Context) -> Result<ExitStatus, Failure> {
    match &args.command {
        BaselineCommand::Update(args) => update::run(args, context),
        BaselineCommand::Show(args) => show::run(args, context),
        BaselineCommand::List(args) => list::run(args, context),
        BaselineCommand::History(args) => history::run(args, context),
        BaselineCommand::Verify(args) => verify::run(args, context),
    }
}

/// One gate on one hardware.
#[derive(Clone, Debug)]
struct Chosen {
    name: String,
    hardware: String,
    place: Place,
}

/// The baselines of a location.
#[derive(Clone, Debug)]
struct Opened<'a> {
    location: &'a Location,
    storage: Storage,
    events: Events,
}

impl<'a> Opened<'a> {
    fn of(args: &'a StorageArgs, context: &Context) -> Result<Self, Failure> {
        Ok(Self {
            location: &args.baselines,
            storage: storage::open(&args.baselines, context.environment, &context.events)?,
            events: context.events.clone(),
        })
    }

    fn place(&self, name: &str, hardware: &str) -> Chosen {
        Chosen {
            place: self.storage.place(name, hardware),
            name: name.to_owned(),
            hardware: hardware.to_owned(),
        }
    }

    /// Every gate on every hardware, or those of one name.
    fn all(&self, name: Option<&str>) -> Result<Vec<Chosen>, Failure> {
        let names = match name {
            Some(name) => vec![checked(name)?.to_owned()],
            None => self.storage.gates()?,
        };
        let mut found = Vec::new();
        for name in &names {
            for hardware in self.storage.hardware(name)? {
                found.push(self.place(name, &hardware));
            }
        }
        if found.is_empty() {
            return Err(self.none_there(name));
        }
        Ok(found)
    }

    /// The selected baseline, which must be unique.
    fn chosen(&self, which: &WhichArgs) -> Result<Chosen, Failure> {
        let mut found = self.all(which.name.as_deref())?;
        if let Some(hardware) = &which.hardware {
            found.retain(|chosen| chosen.hardware == *hardware);
        }
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(self.none_there(which.name.as_deref())),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|chosen| format!("{} --hardware {}", chosen.name, chosen.hardware))
                    .collect();
                Err(Failure::usage(
                    "there are several baselines; select one with its name and `--hardware`",
                )
                .hint(format!("one of: {}", names.join(", "))))
            }
        }
    }

    fn none_there(&self, name: Option<&str>) -> Failure {
        let whose = name.map_or_else(String::new, |name| format!(" of `{name}`"));
        let message = format!("no baseline{whose} in `{}`", self.location);
        let mut failure = Failure::message(ExitStatus::NotComparable, message);
        let there = self.storage.gates().unwrap_or_default();
        if name.is_some() && !there.is_empty() {
            failure = failure.hint(format!("existing baselines: {}", there.join(", ")));
        }
        self.warn_of_copies();
        failure.hint("accept a run with `perfgate baseline update RESULT`")
    }

    /// Warns if local copies replaced a bucket.
    fn warn_of_copies(&self) {
        storage::warn_of_copies(self.location, &self.storage, &self.events);
    }
}

/// Checks a name, which becomes part of a path.
fn checked(name: &str) -> Result<&str, Failure> {
    if config::is_safe_name(name) {
        Ok(name)
    } else {
        let message = format!("`{name}` is not a valid name of a gate");
        Err(Failure::usage(message).hint(format!("write `{}`", config::safe_name(name))))
    }
}
