//! Changing the files of a folder: under a lock, each file whole or not at all.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::BaselineError;
use crate::files;

/// A promotion takes milliseconds; whoever holds the lock longer is stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries to get the lock.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// The right to change the files of one folder, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    // The system gives the lock back when the file is closed, also where the program is killed.
    _folder: File,
}

/// Waits for the right to change the files of a folder. Missing folders are made.
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
