//! The three files of one gate on one hardware, and how they are changed together.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::{ledger_path, path, release_path};
use crate::files::{self, FileError};
use crate::record::format::ResultFile;
use crate::record::{self, RecordError, Run};

/// A promotion takes milliseconds; whoever holds the lock longer is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries to get the lock.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Why baselines could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is no result, or a line of a ledger is none.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run could not be written as JSON.
    #[error("the run cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
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

/// Where the accepted runs of one gate on one hardware stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run that candidates are compared with.
    pub baseline: PathBuf,
    /// All accepted runs, one a line, oldest first.
    pub ledger: PathBuf,
    /// The last release: an anchor that stays while the baseline moves.
    pub release: PathBuf,
}

/// The right to change the files of one folder, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    // The system gives the lock back when the file is closed, also where the program is killed.
    _folder: File,
}

/// What stands there.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The baseline.
    pub baseline: Option<Run>,
    /// The sessions of the ledger, oldest first.
    pub ledger: Vec<Run>,
    /// The last release.
    pub release: Option<Run>,
}

impl Place {
    /// The files of that gate on that hardware.
    pub fn of(folder: &Path, name: &str, hardware: &str) -> Self {
        Self::at(path(folder, name, hardware))
    }

    /// The files beside that baseline.
    pub fn at(baseline: PathBuf) -> Self {
        Self {
            ledger: ledger_path(&baseline),
            release: release_path(&baseline),
            baseline,
        }
    }

    fn folder(&self) -> &Path {
        self.baseline.parent().unwrap_or_else(|| Path::new("."))
    }

    /// Waits for the right to change these files. Missing folders are made.
    pub fn lock(&self) -> Result<Lock, BaselineError> {
        let folder = self.folder();
        files::create_folder(folder)?;
        let failed = |source: std::io::Error| BaselineError::Lock {
            folder: folder.to_owned(),
            source,
        };
        let file = File::open(folder).map_err(failed)?;
        let began = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _folder: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
            if began.elapsed() > PATIENCE {
                return Err(BaselineError::Locked {
                    folder: folder.to_owned(),
                });
            }
            std::thread::sleep(TRY_AGAIN);
        }
    }

    /// Everything that stands there; a broken file or line is an error that names it.
    pub fn read(&self) -> Result<Standing, BaselineError> {
        let run = |path: &Path| path.is_file().then(|| record::load(path)).transpose();
        let ledger = self
            .ledger
            .is_file()
            .then(|| record::load_ledger(&self.ledger))
            .transpose()?;
        Ok(Standing {
            baseline: run(&self.baseline)?,
            ledger: ledger.unwrap_or_default(),
            release: run(&self.release)?,
        })
    }

    /// Adds a session to the ledger. The old ledger stands until the new one is whole.
    pub fn append(&self, session: &ResultFile, _lock: &Lock) -> Result<(), BaselineError> {
        let mut text = if self.ledger.is_file() {
            files::read(&self.ledger)?
        } else {
            Vec::new()
        };
        if text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        text.extend_from_slice(record::line(session)?.as_bytes());
        Ok(files::write_atomically(&self.ledger, &text)?)
    }

    /// Makes a run the baseline.
    pub fn set_baseline(&self, run: &ResultFile, _lock: &Lock) -> Result<(), BaselineError> {
        Ok(files::write_atomically(
            &self.baseline,
            record::readable(run)?.as_bytes(),
        )?)
    }

    /// Makes a run the last release.
    pub fn set_release(&self, run: &ResultFile, _lock: &Lock) -> Result<(), BaselineError> {
        Ok(files::write_atomically(
            &self.release,
            record::readable(run)?.as_bytes(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::{Repeat, SCHEMA, Scenario};

    fn session(qps: f64) -> ResultFile {
        let repeat = Repeat {
            metrics: [("qps".to_owned(), Some(qps))].into(),
            ..Repeat::default()
        };
        ResultFile {
            schema: SCHEMA.to_owned(),
            scenarios: vec![Scenario {
                name: "c".to_owned(),
                repeats: vec![repeat],
                ..Scenario::default()
            }],
            ..ResultFile::default()
        }
    }

    #[test]
    fn sessions_are_added_and_a_missing_end_of_line_joins_no_two() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        let lock = place.lock().unwrap();
        place.append(&session(1.0), &lock).unwrap();
        let text = files::read_text(&place.ledger).unwrap();
        files::write_atomically(&place.ledger, text.trim_end().as_bytes()).unwrap();
        place.append(&session(2.0), &lock).unwrap();
        place.set_baseline(&session(2.0), &lock).unwrap();
        let standing = place.read().unwrap();
        assert_eq!(standing.ledger.len(), 2);
        assert_eq!(standing.baseline.unwrap().file, session(2.0));
        assert!(standing.release.is_none());
    }

    #[test]
    fn two_who_add_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::of(folder.path(), "llama", "nvidia-l4");
        std::thread::scope(|scope| {
            for writer in 0..4_u32 {
                let place = &place;
                scope.spawn(move || {
                    for round in 0..25_u32 {
                        let lock = place.lock().unwrap();
                        let qps = f64::from(writer * 100 + round) + 1.0;
                        place.append(&session(qps), &lock).unwrap();
                    }
                });
            }
        });
        assert_eq!(place.read().unwrap().ledger.len(), 100);
    }
}
