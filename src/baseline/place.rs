//! The three files of one gate on one hardware.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bucket::{Bucket, BucketError};
use super::folder::PATIENCE;
use super::{ledger_path, path, release_path};
use crate::files::{self, FileError};
use crate::record::{self, RecordError, Run, is_same_run};

/// Why baselines cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A bucket cannot be read or changed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A file or a line of a ledger is not a valid result.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run cannot be written as JSON.
    #[error("the run cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The ledger contains or may contain the session, but the later steps are missing.
    #[error("the promotion is not finished: {source}")]
    Unfinished {
        /// What went wrong.
        source: Box<Self>,
    },
    /// Another program holds the lock on the files.
    #[error("another program has held the lock on `{}` for {} s", .folder.display(), PATIENCE.as_secs())]
    Locked {
        /// The locked folder.
        folder: PathBuf,
    },
    /// The folder cannot be locked.
    #[error("cannot lock `{}`: {source}", .folder.display())]
    Lock {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// One of the three files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The run that candidates are compared with.
    Baseline,
    /// All accepted runs, one per line, oldest first.
    Ledger,
    /// The last release: a fixed anchor while the baseline moves.
    Release,
}

/// The stored accepted runs of one gate on one hardware.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) backend: Backend,
    /// The baseline's name below it.
    baseline: PathBuf,
}

/// The storage that contains them.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Folder(PathBuf),
    Bucket(Arc<Bucket>),
}

/// The value.
#[derive(Clone, Debug, Default)]
pub struct StoredRuns {
    /// The baseline.
    pub baseline: Option<Run>,
    /// The sessions of the ledger, oldest first.
    pub ledger: Vec<Run>,
    /// The last release.
    pub release: Option<Run>,
}

impl StoredRuns {
    /// The accepted runs, oldest first. A baseline without a ledger is a history of one run.
    pub fn sessions(&self) -> &[Run] {
        match &self.baseline {
            Some(baseline) if self.ledger.is_empty() => std::slice::from_ref(baseline),
            Some(_) | None => &self.ledger,
        }
    }

    /// The run that was accepted last. Between the two writes of a promotion, or after an interrupted promotion, it is a
    /// session that is not yet the baseline.
    pub fn accepted_last(&self) -> Option<&Run> {
        let last = self.ledger.last();
        match (&self.baseline, last) {
            (Some(baseline), Some(last)) if is_same_run(&baseline.file, &last.file) => {
                Some(baseline)
            }
            (baseline, None) => baseline.as_ref(),
            (_, last) => last,
        }
    }
}

impl Place {
    /// The files of a gate on some hardware in a folder.
    pub fn of(folder: &Path, name: &str, hardware: &str) -> Self {
        Self::on(Backend::Folder(folder.to_owned()), name, hardware)
    }

    pub(super) fn on(backend: Backend, name: &str, hardware: &str) -> Self {
        Self {
            backend,
            baseline: path(Path::new(""), name, hardware),
        }
    }

    /// The path inside the storage.
    fn name(&self, part: Part) -> PathBuf {
        match part {
            Part::Baseline => self.baseline.clone(),
            Part::Ledger => ledger_path(&self.baseline),
            Part::Release => release_path(&self.baseline),
        }
    }

    /// The name of the object; names of gates and hardware are plain letters.
    pub(super) fn object(&self, part: Part) -> String {
        self.name(part).display().to_string()
    }

    /// The file, if the storage is a folder.
    pub fn file(&self, part: Part) -> Option<PathBuf> {
        match &self.backend {
            Backend::Folder(folder) => Some(folder.join(self.name(part))),
            Backend::Bucket(_) => None,
        }
    }

    /// Its name in messages.
    pub fn shown(&self, part: Part) -> String {
        match &self.backend {
            Backend::Folder(folder) => folder.join(self.name(part)).display().to_string(),
            Backend::Bucket(bucket) => format!("{}/{}", bucket.address(), self.object(part)),
        }
    }

    /// The stored bytes; `None` if the file does not exist.
    pub fn bytes(&self, part: Part) -> Result<Option<Vec<u8>>, BaselineError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let path = folder.join(self.name(part));
                Ok(files::read_if_there(&path)?)
            }
            Backend::Bucket(bucket) => Ok(bucket.read(&self.object(part))?),
        }
    }

    /// The stored run.
    pub fn run(&self, part: Part) -> Result<Option<Run>, BaselineError> {
        let bytes = self.bytes(part)?;
        let run = bytes.map(|bytes| record::read(&self.shown(part), bytes));
        Ok(run.transpose()?)
    }

    /// All stored runs; a broken file or line is an error with its name.
    pub fn read(&self) -> Result<StoredRuns, BaselineError> {
        let ledger = self.bytes(Part::Ledger)?;
        self.stored_runs(
            self.bytes(Part::Baseline)?,
            ledger,
            self.bytes(Part::Release)?,
        )
    }

    /// The runs in the bytes of the three files.
    pub(super) fn stored_runs(
        &self,
        baseline: Option<Vec<u8>>,
        ledger: Option<Vec<u8>>,
        release: Option<Vec<u8>>,
    ) -> Result<StoredRuns, BaselineError> {
        let run = |part, bytes: Option<Vec<u8>>| {
            let run = bytes.map(|bytes| record::read(&self.shown(part), bytes));
            run.transpose()
        };
        let name = self.shown(Part::Ledger);
        let ledger = ledger.map(|bytes| record::read_ledger(&name, bytes));
        Ok(StoredRuns {
            ledger: ledger.transpose()?.unwrap_or_default(),
            baseline: run(Part::Baseline, baseline)?,
            release: run(Part::Release, release)?,
        })
    }
}
