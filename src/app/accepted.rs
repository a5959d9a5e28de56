//! The accepted runs of a gate: its baseline and its ledger.

use std::path::{Path, PathBuf};

use super::Failure;
use super::deciding::Stored;
use super::failing::record_failure;
use crate::baseline;
use crate::cli::gate::GateArgs;
use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::record::{self, Run};
use crate::render::inert;

/// Where to find them.
pub(super) struct Accepted<'a> {
    args: &'a GateArgs,
    /// Name of the gate.
    name: &'a str,
    /// Whether there is another way to decide.
    base_at_hand: bool,
    /// What `--baseline` names.
    given: Option<Stored>,
}

impl<'a> Accepted<'a> {
    /// Reads what was named, so that a broken file is said before anything is measured.
    pub(super) fn of(args: &'a GateArgs, plan: &'a Plan) -> Result<Self, Failure> {
        let mut accepted = Self {
            args,
            name: &plan.name,
            base_at_hand: plan.base.is_some(),
            given: None,
        };
        match (&args.baseline, &args.ledger) {
            (Some(path), _) => accepted.given = Some(accepted.load(path)?),
            (None, Some(ledger)) => {
                record::load_ledger(ledger).map_err(|error| record_failure(&error))?;
            }
            (None, None) => {}
        }
        Ok(accepted)
    }

    /// Whether there may be a baseline; only a machine that was measured has a name.
    pub(super) fn may_exist(&self) -> bool {
        let of_any_machine = || baseline::hardware_with_baseline(&self.args.baselines, self.name);
        self.given.is_some() || !self.base_at_hand || !of_any_machine().is_empty()
    }

    /// Those of the machine that was measured. `None` where there are none and the base version is at hand.
    pub(super) fn find(&self, candidate: &Run) -> Result<Option<Stored>, Failure> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        let folder = &self.args.baselines;
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let path = baseline::path(folder, self.name, &hardware);
        if path.is_file() {
            return self.load(&path).map(Some);
        }
        if self.base_at_hand {
            return Ok(None);
        }
        let result = self.args.output.join("result.json");
        Err(no_baseline(folder, self.name, &hardware, &result))
    }

    fn load(&self, path: &Path) -> Result<Stored, Failure> {
        let run = record::load(path).map_err(|error| record_failure(&error))?;
        let beside = baseline::ledger_path(path);
        let ledger_path: Option<PathBuf> = match &self.args.ledger {
            Some(given) => Some(given.clone()),
            None => beside.is_file().then_some(beside),
        };
        let ledger = ledger_path.as_deref().map(record::load_ledger).transpose();
        Ok(Stored {
            run,
            path: path.to_owned(),
            ledger: ledger
                .map_err(|error| record_failure(&error))?
                .unwrap_or_default(),
            ledger_path,
        })
    }
}

fn no_baseline(folder: &Path, name: &str, hardware: &str, result: &Path) -> Failure {
    let path = baseline::path(folder, name, hardware);
    let quoted = |path: &Path| inert::shell(&path.display().to_string());
    let others = baseline::hardware_with_baseline(folder, name);
    let message = format!(
        "there is no baseline of `{name}` for `{hardware}`: `{}` does not exist",
        path.display()
    );
    let mut failure = Failure::message(ExitStatus::NotComparable, message).hint(format!(
        "to accept this run: mkdir -p {} && cp {} {}",
        quoted(path.parent().unwrap_or(folder)),
        quoted(result),
        quoted(&path)
    ));
    if !others.is_empty() {
        failure = failure.hint(format!(
            "there are baselines for other hardware: {}",
            others.join(", ")
        ));
    }
    failure
}
