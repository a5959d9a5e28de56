//! The accepted runs of a gate: its baseline and its ledger.

use std::path::{Path, PathBuf};

use super::Failure;
use super::base_ref::{AtRef, BaseRef};
use super::deciding::Stored;
use super::failing::record_failure;
use crate::baseline;
use crate::cli::gate::GateArgs;
use crate::config::{Plan, safe_name};
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::rule::FirstRun;
use crate::record::{self, Run};
use crate::render::inert;

/// Where to find them.
pub(super) struct Accepted<'a> {
    args: &'a GateArgs,
    /// Name of the gate.
    name: &'a str,
    /// The commit from which they are read; the files of the work tree without one.
    base_ref: Option<&'a BaseRef>,
    /// Whether there is another way to decide.
    base_at_hand: bool,
    /// What `--baseline` names.
    given: Option<Stored>,
    /// What happens where there are none.
    first_run: FirstRun,
}

impl<'a> Accepted<'a> {
    /// Reads what was named, so that a broken file is said before anything is measured.
    pub(super) fn of(
        args: &'a GateArgs,
        plan: &'a Plan,
        base_ref: Option<&'a BaseRef>,
        first_run: FirstRun,
    ) -> Result<Self, Failure> {
        let mut accepted = Self {
            args,
            name: &plan.name,
            base_ref,
            base_at_hand: plan.base.is_some(),
            given: None,
            first_run,
        };
        match (&args.baseline, &args.ledger) {
            (Some(path), _) => accepted.given = Some(accepted.load(path)?),
            (None, Some(ledger)) => {
                accepted.ledger(ledger)?;
            }
            (None, None) => {}
        }
        Ok(accepted)
    }

    /// Whether there may be a baseline; only a machine that was measured has a name.
    pub(super) fn may_exist(&self) -> bool {
        self.given.is_some() || !self.base_at_hand || !self.hardware_with_baseline().is_empty()
    }

    fn hardware_with_baseline(&self) -> Vec<String> {
        let folder = &self.args.baselines;
        match self.base_ref {
            None => baseline::hardware_with_baseline(folder, self.name),
            Some(base_ref) => {
                baseline::hardware_of_files(base_ref.names(&folder.join(safe_name(self.name))))
            }
        }
    }

    /// Those of the machine that was measured. `None` where there are none and the base version is at hand.
    pub(super) fn find(&self, candidate: &Run) -> Result<Option<Stored>, Failure> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        let folder = &self.args.baselines;
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let path = baseline::path(folder, self.name, &hardware);
        if self.is_there(&path)? {
            return self.load(&path).map(Some);
        }
        if self.base_at_hand || self.first_run == FirstRun::Pass {
            return Ok(None);
        }
        Err(self.no_baseline(&path, &hardware, candidate))
    }

    /// The files that decide, where a change may have edited them: those that were given or found, and those beside them.
    pub(super) fn bar(&self, candidate: Option<&Run>) -> Vec<PathBuf> {
        let path = match (&self.args.baseline, candidate) {
            (Some(path), _) => path.clone(),
            (None, Some(candidate)) => {
                let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
                baseline::path(&self.args.baselines, self.name, &hardware)
            }
            (None, None) => return Vec::new(),
        };
        let ledger = self.args.ledger.clone();
        vec![
            ledger.unwrap_or_else(|| baseline::ledger_path(&path)),
            baseline::release_path(&path),
            path,
        ]
    }

    /// The bytes of a file at the commit that decides, or of the work tree where none does.
    fn bytes(&self, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(base_ref) = self.base_ref {
            match base_ref.read(path)? {
                AtRef::There(bytes) => return Ok(Some(bytes)),
                AtRef::Absent => return Ok(None),
                // Nothing that the change can edit.
                AtRef::Outside => {}
            }
        }
        if !path.is_file() {
            return Ok(None);
        }
        files::read(path)
            .map(Some)
            .map_err(|error| Failure::new(ExitStatus::Usage, error))
    }

    fn is_there(&self, path: &Path) -> Result<bool, Failure> {
        Ok(self.bytes(path)?.is_some())
    }

    /// How a file is called in errors and reports.
    fn called(&self, path: &Path) -> String {
        let is_outside = |base_ref: &BaseRef| matches!(base_ref.read(path), Ok(AtRef::Outside));
        match self.base_ref {
            Some(base_ref) if !is_outside(base_ref) => {
                format!("{} of {}", path.display(), base_ref.name())
            }
            Some(_) | None => path.display().to_string(),
        }
    }

    fn run(&self, path: &Path) -> Result<Option<Run>, Failure> {
        let bytes = self.bytes(path)?;
        let read = bytes.map(|bytes| record::read(path, &self.called(path), bytes));
        read.transpose().map_err(|error| record_failure(&error))
    }

    fn ledger(&self, path: &Path) -> Result<Option<Vec<Run>>, Failure> {
        let bytes = self.bytes(path)?;
        let read = bytes.map(|bytes| record::read_ledger(path, &self.called(path), bytes));
        read.transpose().map_err(|error| record_failure(&error))
    }

    fn load(&self, path: &Path) -> Result<Stored, Failure> {
        let Some(run) = self.run(path)? else {
            let message = format!("cannot read `{}`: there is no such file", self.called(path));
            return Err(Failure::message(ExitStatus::Usage, message));
        };
        let beside = baseline::ledger_path(path);
        let ledger_path = self.args.ledger.clone().unwrap_or(beside);
        let ledger = self.ledger(&ledger_path)?;
        if ledger.is_none() && self.args.ledger.is_some() {
            let message = format!(
                "cannot read `{}`: there is no such file",
                self.called(&ledger_path)
            );
            return Err(Failure::message(ExitStatus::Usage, message));
        }
        Ok(Stored {
            run,
            path: self.called(path),
            ledger_path: ledger.is_some().then(|| self.called(&ledger_path)),
            ledger: ledger.unwrap_or_default(),
            release: self.run(&baseline::release_path(path))?,
        })
    }

    fn no_baseline(&self, path: &Path, hardware: &str, candidate: &Run) -> Failure {
        let message = format!(
            "there is no baseline of `{}` for `{hardware}`: `{}` does not exist",
            self.name,
            self.called(path)
        );
        let result = self.args.output.join("result.json");
        let quoted = inert::shell(&result.display().to_string());
        let mut failure = Failure::message(ExitStatus::NotComparable, message);
        if self.base_ref.is_some() && path.is_file() {
            failure = failure.hint(
                "the change itself brings one, and no change is judged by a bar that it sets: it counts once it is merged",
            );
        } else {
            failure = failure.hint(format!(
                "to accept this run: perfgate baseline update {quoted} --name {} --baselines {} --because \"the first baseline\"",
                self.name,
                inert::shell(&self.args.baselines.display().to_string())
            ));
        }
        let others = self.hardware_with_baseline();
        if !others.is_empty() {
            failure = failure.hint(format!(
                "there are baselines for other hardware: {}",
                others.join(", ")
            ));
        }
        if let Some(nearest) = self.same_workload(candidate) {
            failure = failure.hint(format!(
                "`{nearest}` was measured with this very workload on this hardware; `--baseline {nearest}` compares with it"
            ));
        }
        failure.hint(
            "`first_run: pass` in thresholds.yaml lets a gate without a baseline pass, and says so",
        )
    }

    /// A baseline of another gate that this run could be compared with.
    fn same_workload(&self, candidate: &Run) -> Option<String> {
        let digest = candidate.file.workload.as_ref()?.digest.as_ref()?;
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let folder = &self.args.baselines;
        let paths = baseline::gates(folder)
            .into_iter()
            .map(|name| baseline::path(folder, &name, &hardware));
        let mut fitting = paths.filter(|path| {
            let run = record::load(path);
            run.is_ok_and(|run| {
                run.file
                    .workload
                    .is_some_and(|workload| workload.digest.as_ref() == Some(digest))
            })
        });
        fitting.next().map(|path| path.display().to_string())
    }
}
