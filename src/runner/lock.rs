//! Locks against a second perfgate that would overwrite the same files.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::event::{Events, RunEvent};
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;

/// How long to wait: longer than a gate.
const PATIENCE: Duration = Duration::from_hours(4);

/// Time between two attempts.
const AGAIN: Duration = Duration::from_millis(500);

/// Time between two progress lines.
const LINE: Duration = Duration::from_mins(1);

/// The lock on the folder, released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    // The system releases the lock when the file is closed, also if the program is killed.
    _file: File,
}

impl Lock {
    /// Takes the lock; waits for another perfgate. `of` is the name of the locked object.
    pub(crate) fn take(path: &Path, of: &str, events: &Events) -> Result<Self, Failure> {
        if let Some(folder) = path.parent() {
            files::create_folder(folder).map_err(cannot_keep)?;
        }
        let failed = |error| Failure::system(format!("cannot lock {of}"), error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let began = Instant::now();
        let mut said: Option<Instant> = None;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Unsupported =>
                {
                    events.emit(RunEvent::NoLocks {
                        what: of.to_owned(),
                        error: error.to_string(),
                    });
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            if began.elapsed() >= PATIENCE {
                let by = holder(path).map_or(String::new(), |id| format!(" (process {id})"));
                let message = format!("{of} is still in use by another perfgate{by}");
                return Err(Failure::environment(message).hint(
                    "wait for its end or interrupt it, or use other folders (`--output`, `--evidence`)",
                ));
            }
            if said.is_none_or(|said| said.elapsed() >= LINE) {
                events.emit(RunEvent::WaitingForLock {
                    what: of.to_owned(),
                    holder: holder(path),
                });
                said = Some(Instant::now());
            }
            std::thread::sleep(AGAIN);
        }
        // Only for the progress line of another process: a write error does not affect the lock.
        let id = std::process::id().to_string();
        let _written = file.set_len(0).and_then(|()| file.write_all(id.as_bytes()));
        Ok(Self { _file: file })
    }
}

/// The process that holds it, if the file contains one.
fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::outputs::LOCK;

    #[test]
    fn the_second_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join(LOCK);
        let first = Lock::take(&path, "the folder", &Events::ignored()).unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        let other = path.clone();
        let second = std::thread::spawn(move || {
            Lock::take(&other, "the folder", &Events::ignored()).map(drop)
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            !second.is_finished(),
            "the second has it while the first does"
        );
        drop(first);
        second.join().unwrap().unwrap();
    }
}
