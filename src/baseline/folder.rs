//! Changes to the files of a folder: under a lock, each file atomically.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::BaselineError;
use crate::files;

/// How long to wait for the lock. A promotion takes milliseconds; a longer lock is a hung program.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two attempts to get the lock.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The lock on the files of one folder, released on drop.
#[derive(Debug)]
pub(super) struct Lock {
    // The system releases the lock when the file is closed, also if the program is killed.
    _folder: File,
}

/// Waits for the lock on a folder. Creates missing folders.
pub(super) fn lock(folder: &Path) -> Result<Lock, BaselineError> {
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
