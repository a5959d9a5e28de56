//! The three files of one gate on one hardware.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bucket::{Bucket, BucketError};
use super::folder::PATIENCE;
use super::{ledger_path, path, release_path};
use crate::files::{self, FileError};
use crate::record::{self, RecordError, Run, is_same_run};

/// Why baselines could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A bucket could not be read or changed.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A file is no result, or a line of a ledger is none.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run could not be written as JSON.
    #[error("the run cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The ledger has the session, or may have it, and what comes after it did not happen.
    #[error("the promotion is not finished: {source}")]
    Unfinished {
        /// What went wrong.
        source: Box<Self>,
    },
    /// Somebody else changes the same files and does not come to an end.
    #[error("another program has held the lock on `{}` for {} s", .folder.display(), PATIENCE.as_secs())]
    Locked {
        /// The folder that is locked.
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
    /// All accepted runs, one a line, oldest first.
    Ledger,
    /// The last release: an anchor that stays while the baseline moves.
    Release,
}

/// Where the accepted runs of one gate on one hardware stand.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) within: Within,
    /// The baseline's name below it.
    baseline: PathBuf,
}

/// What they stand in.
#[derive(Clone, Debug)]
pub(super) enum Within {
    Folder(PathBuf),
    Bucket(Arc<Bucket>),
}

/// The value.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The baseline.
    pub baseline: Option<Run>,
    /// The sessions of the ledger, oldest first.
    pub ledger: Vec<Run>,
    /// The last release.
    pub release: Option<Run>,
}

impl Standing {
    /// The accepted runs, oldest first. A baseline that was accepted before there was a ledger is a history of one.
    pub fn sessions(&self) -> &[Run] {
        match &self.baseline {
            Some(baseline) if self.ledger.is_empty() => std::slice::from_ref(baseline),
            Some(_) | None => &self.ledger,
        }
    }

    /// The run that was accepted last. Between the two writes of a promotion, or after one that was interrupted, that is a
    /// session which is not the baseline yet.
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
    /// The files of that gate on that hardware in a folder.
    pub fn of(folder: &Path, name: &str, hardware: &str) -> Self {
        Self::within(Within::Folder(folder.to_owned()), name, hardware)
    }

    pub(super) fn within(within: Within, name: &str, hardware: &str) -> Self {
        Self {
            within,
            baseline: path(Path::new(""), name, hardware),
        }
    }

    /// The name below what they stand in.
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

    /// The file, where they stand in a folder.
    pub fn file(&self, part: Part) -> Option<PathBuf> {
        match &self.within {
            Within::Folder(folder) => Some(folder.join(self.name(part))),
            Within::Bucket(_) => None,
        }
    }

    /// How it is called in what people read.
    pub fn shown(&self, part: Part) -> String {
        match &self.within {
            Within::Folder(folder) => folder.join(self.name(part)).display().to_string(),
            Within::Bucket(bucket) => format!("{}/{}", bucket.address(), self.object(part)),
        }
    }

    /// What stands there, byte for byte; `None` where nothing does.
    pub fn bytes(&self, part: Part) -> Result<Option<Vec<u8>>, BaselineError> {
        match &self.within {
            Within::Folder(folder) => {
                let path = folder.join(self.name(part));
                Ok(files::read_if_there(&path)?)
            }
            Within::Bucket(bucket) => Ok(bucket.read(&self.object(part))?),
        }
    }

    /// The run that stands there.
    pub fn run(&self, part: Part) -> Result<Option<Run>, BaselineError> {
        self.bytes(part)?
            .map(|bytes| self.as_run(part, bytes))
            .transpose()
    }

    pub(super) fn as_run(&self, part: Part, bytes: Vec<u8>) -> Result<Run, BaselineError> {
        Ok(record::read(&self.shown(part), bytes)?)
    }

    pub(super) fn as_ledger(&self, bytes: Vec<u8>) -> Result<Vec<Run>, BaselineError> {
        Ok(record::read_ledger(&self.shown(Part::Ledger), bytes)?)
    }

    /// Everything that stands there; a broken file or line is an error that names it.
    pub fn read(&self) -> Result<Standing, BaselineError> {
        let ledger = self.bytes(Part::Ledger)?;
        let ledger = ledger.map(|bytes| self.as_ledger(bytes)).transpose()?;
        Ok(Standing {
            baseline: self.run(Part::Baseline)?,
            ledger: ledger.unwrap_or_default(),
            release: self.run(Part::Release)?,
        })
    }
}
