//! The accepted runs of a gate: its baseline and its ledger.

use std::path::{Path, PathBuf};

use super::base_ref::{AtRef, BaseRef};
use super::storage;
use crate::baseline::{self, Location, Part, Place, Storage};
use crate::cli::gate::AcceptedArgs;
use crate::config::{Plan, safe_name};
use crate::environment::Environment;
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::{CHECK_PATH, unreadable};
use crate::files;
use crate::policy::rule::FirstRun;
use crate::record::{self, Run};
use crate::text::sanitize;
use crate::trial::StoredBaseline;

/// Why a file that only the change has is not used.
const ONLY_IN_CHANGE: &str = "only the change has this file; it takes effect after the merge, because a change cannot set the limits it is judged by";

/// Where to find the accepted runs.
pub(crate) struct Accepted<'a> {
    args: &'a AcceptedArgs,
    /// The result that the gate writes.
    result: PathBuf,
    storage: Storage,
    /// Name of the gate.
    name: &'a str,
    /// The commit from which they are read; `None` reads the work tree.
    base_ref: Option<&'a BaseRef>,
    /// Whether the gate can decide without a baseline.
    base_at_hand: bool,
    /// The value of `--baseline`.
    given: Option<StoredBaseline>,
    /// What happens without accepted runs.
    first_run: FirstRun,
}

impl<'a> Accepted<'a> {
    /// Reads the given files, so that a broken file is reported before any measurement.
    pub(crate) fn of(
        args: &'a AcceptedArgs,
        result: PathBuf,
        plan: &'a Plan,
        base_ref: Option<&'a BaseRef>,
        first_run: FirstRun,
        environment: &Environment,
        events: &Events,
    ) -> Result<Self, Failure> {
        let mut accepted = Self {
            args,
            result,
            storage: storage::open(&args.storage.baselines, environment, events)?,
            name: &plan.name,
            base_ref,
            base_at_hand: plan.base.is_some(),
            given: None,
            first_run,
        };
        let files = accepted.files();
        if let Some(path) = &args.baseline {
            let found = files.stored_if_there(path, args.ledger.as_deref())?;
            accepted.given = Some(found.ok_or_else(|| files.none_there(path))?);
        } else {
            if let Some(ledger) = &args.ledger {
                files.ledger(ledger)?;
            }
            accepted.read_ahead(events)?;
        }
        Ok(accepted)
    }

    /// Reads all files of this gate in a bucket: errors appear before any measurement, and the gate judges by the state at
    /// its start.
    fn read_ahead(&self, events: &Events) -> Result<(), Failure> {
        if let Location::Folder(_) = &self.args.storage.baselines {
            return Ok(());
        }
        for hardware in self.storage.hardware(self.name)? {
            self.storage.place(self.name, &hardware).read()?;
        }
        storage::warn_of_copies(&self.args.storage.baselines, &self.storage, events);
        Ok(())
    }

    /// A warning of the comparison if local copies replaced the bucket.
    pub(crate) fn of_copies(&self) -> Option<String> {
        storage::of_copies(&self.args.storage.baselines, &self.storage)
    }

    fn hardware_with_baseline(&self) -> Result<Vec<String>, Failure> {
        match (&self.args.storage.baselines, self.base_ref) {
            (Location::Folder(folder), Some(base_ref)) => {
                let names = base_ref.names(&folder.join(safe_name(self.name)))?;
                Ok(baseline::hardware_of_files(names))
            }
            (Location::Folder(_) | Location::Bucket(_), _) => {
                Ok(self.storage.hardware(self.name)?)
            }
        }
    }

    /// The accepted runs of the measured hardware. `None` if there are none and the base version is available.
    pub(crate) fn find(&self, candidate: &Run) -> Result<Option<StoredBaseline>, Failure> {
        if let Some(given) = &self.given {
            return Ok(Some(given.clone()));
        }
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let place = self.storage.place(self.name, &hardware);
        let found = self.files().at(&place, self.args.ledger.as_deref())?;
        if found.is_some() || self.base_at_hand || self.first_run == FirstRun::Pass {
            return Ok(found);
        }
        Err(self.no_baseline(&place, &hardware, candidate))
    }

    /// The accepted runs of every hardware that has some, by its name; a given baseline has none.
    pub(crate) fn known(&self) -> Result<Vec<(Option<String>, StoredBaseline)>, Failure> {
        if let Some(given) = &self.given {
            return Ok(vec![(None, given.clone())]);
        }
        let mut known = Vec::new();
        for hardware in self.hardware_with_baseline()? {
            let place = self.storage.place(self.name, &hardware);
            let found = self.files().at(&place, self.args.ledger.as_deref())?;
            known.extend(found.map(|found| (Some(hardware), found)));
        }
        Ok(known)
    }

    fn files(&self) -> Files<'a> {
        Files(self.base_ref)
    }

    /// The files that affect the verdict and that a change may have edited: the given or found files, and those beside them.
    pub(crate) fn criteria_files(&self, candidate: Option<&Run>) -> Vec<PathBuf> {
        let path = match (&self.args.baseline, candidate) {
            (Some(path), _) => path.clone(),
            (None, Some(candidate)) => {
                let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
                let place = self.storage.place(self.name, &hardware);
                match place.file(Part::Baseline) {
                    Some(path) => path,
                    None => return self.args.ledger.iter().cloned().collect(),
                }
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

    fn no_baseline(&self, place: &Place, hardware: &str, candidate: &Run) -> Failure {
        let file = place.file(Part::Baseline);
        let called = file.as_deref().map_or_else(
            || place.shown(Part::Baseline),
            |path| self.files().called(path),
        );
        let message = format!(
            "no baseline of `{}` for `{hardware}`: `{called}` does not exist",
            self.name
        );
        let quoted = sanitize::shell(&self.result.display().to_string());
        let mut failure = Failure::message(ExitStatus::NotComparable, message);
        if self.base_ref.is_some() && file.is_some_and(|path| path.is_file()) {
            failure = failure.hint(ONLY_IN_CHANGE);
        } else {
            failure = failure.hint(format!(
                "to accept this run: perfgate baseline update {quoted} --name {} --baselines {} --because \"the first baseline\"",
                self.name,
                sanitize::shell(&self.args.storage.baselines.to_string())
            ));
        }
        let others = self.hardware_with_baseline().unwrap_or_default();
        if !others.is_empty() {
            failure = failure.hint(format!(
                "there are baselines for other hardware: {}",
                others.join(", ")
            ));
        }
        if let Some(nearest) = self.same_workload(candidate) {
            failure = failure.hint(format!(
                "`{nearest}` has the same workload and hardware; use `--baseline {nearest}` to compare with it"
            ));
        }
        failure.hint(
            "`first_run: pass` in thresholds.yaml passes a gate without a baseline, with a note",
        )
    }

    /// A baseline of another gate with the same workload.
    fn same_workload(&self, candidate: &Run) -> Option<String> {
        let digest = candidate.file.workload.as_ref()?.digest.as_ref()?;
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let names = self.storage.gates().unwrap_or_default();
        let places = names.iter().map(|name| self.storage.place(name, &hardware));
        let mut fitting = places.filter(|place| {
            let run = place.run(Part::Baseline).ok().flatten();
            run.and_then(|run| run.file.workload?.digest).as_ref() == Some(digest)
        });
        fitting.next().map(|place| place.shown(Part::Baseline))
    }
}

/// Accepted runs in files, at the base commit, or in the work tree without one.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a>(pub(crate) Option<&'a BaseRef>);

impl Files<'_> {
    fn bytes(self, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(base_ref) = self.0 {
            match base_ref.read(path)? {
                AtRef::There(bytes) => return Ok(Some(bytes)),
                AtRef::Absent => return Ok(None),
                // The change cannot edit this file.
                AtRef::Outside => {}
            }
        }
        files::read_if_there(path).map_err(unreadable)
    }

    /// Name of a file in errors and reports.
    pub(crate) fn called(self, path: &Path) -> String {
        match self.0 {
            Some(base_ref) if base_ref.has(path) => {
                format!("{} of {}", path.display(), base_ref.name)
            }
            Some(_) | None => path.display().to_string(),
        }
    }

    fn none_there(self, path: &Path) -> Failure {
        let message = format!(
            "cannot read `{}`: the file does not exist",
            self.called(path)
        );
        let failure = Failure::usage(message);
        if self.0.is_some() && path.is_file() {
            failure.hint(ONLY_IN_CHANGE)
        } else {
            failure.hint(CHECK_PATH)
        }
    }

    fn run(self, path: &Path) -> Result<Option<Run>, Failure> {
        let bytes = self.bytes(path)?;
        let read = bytes.map(|bytes| record::read(&self.called(path), bytes));
        Ok(read.transpose()?)
    }

    fn ledger(self, path: &Path) -> Result<Option<Vec<Run>>, Failure> {
        let bytes = self.bytes(path)?;
        let read = bytes.map(|bytes| record::read_ledger(&self.called(path), bytes));
        Ok(read.transpose()?)
    }

    /// The run of a given file.
    pub(crate) fn run_given(self, path: &Path) -> Result<Run, Failure> {
        self.run(path)?.ok_or_else(|| self.none_there(path))
    }

    /// The ledger of a given file.
    pub(crate) fn ledger_given(self, path: &Path) -> Result<Vec<Run>, Failure> {
        self.ledger(path)?.ok_or_else(|| self.none_there(path))
    }

    /// The accepted runs at a place; those in a bucket cannot be edited by a change of the repository. `None` if there is only
    /// a ledger.
    pub(crate) fn at(
        self,
        place: &Place,
        ledger: Option<&Path>,
    ) -> Result<Option<StoredBaseline>, Failure> {
        if let Some(path) = place.file(Part::Baseline) {
            return self.stored_if_there(&path, ledger);
        }
        let found = place.read()?;
        let Some(run) = found.baseline else {
            return Ok(None);
        };
        let shown = (!found.ledger.is_empty()).then(|| place.shown(Part::Ledger));
        let (ledger, ledger_path) = match ledger {
            Some(path) => (self.ledger_given(path)?, Some(self.called(path))),
            None => (found.ledger, shown),
        };
        Ok(Some(StoredBaseline {
            run,
            path: place.shown(Part::Baseline),
            ledger_path,
            ledger,
            release: found.release,
        }))
    }

    /// The baseline of a file, with its ledger and the release beside it.
    fn stored_if_there(
        self,
        path: &Path,
        ledger: Option<&Path>,
    ) -> Result<Option<StoredBaseline>, Failure> {
        let Some(run) = self.run(path)? else {
            return Ok(None);
        };
        let ledger_path = ledger.map_or_else(|| baseline::ledger_path(path), Path::to_owned);
        let runs = match ledger {
            Some(ledger) => Some(self.ledger_given(ledger)?),
            None => self.ledger(&ledger_path)?,
        };
        Ok(Some(StoredBaseline {
            run,
            path: self.called(path),
            ledger_path: runs.is_some().then(|| self.called(&ledger_path)),
            ledger: runs.unwrap_or_default(),
            release: self.run(&baseline::release_path(path))?,
        }))
    }
}
