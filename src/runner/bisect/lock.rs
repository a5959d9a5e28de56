//! A lock for one search at a time per work tree, because searches share their trees.

use std::fs::{File, TryLockError};

use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::git::search::Repository;

/// The lock on perfgate's search files, released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    // The system releases the lock when the file is closed, also if the program is killed.
    _folder: File,
}

impl Lock {
    /// Takes the lock, or reports its holder. Other work trees of the repository have their own folder, trees and lock.
    pub(crate) fn take(repository: &Repository) -> Result<Self, Failure> {
        let held_by = repository.state.join("held-by");
        loop {
            files::create_folder(&repository.state).map_err(cannot_keep)?;
            let folder = File::open(&repository.state).map_err(surroundings)?;
            match folder.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let id = std::fs::read_to_string(&held_by).unwrap_or_default();
                    return Err(is_held(id.trim()));
                }
                Err(TryLockError::Error(error)) => return Err(surroundings(error)),
            }
            // `clean` removes the locked folder, so a lock on the old file is not valid.
            if !is_still_there(&folder, repository) {
                continue;
            }
            let id = std::process::id().to_string();
            files::write_atomically(&held_by, id.as_bytes()).map_err(cannot_keep)?;
            return Ok(Self { _folder: folder });
        }
    }
}

fn is_still_there(folder: &File, repository: &Repository) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |one: &std::fs::Metadata, other: &std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    let there = std::fs::metadata(&repository.state);
    folder
        .metadata()
        .is_ok_and(|own| there.is_ok_and(|there| same(&own, &there)))
}

fn is_held(id: &str) -> Failure {
    let by = if id.is_empty() {
        String::new()
    } else {
        format!(" (process {id})")
    };
    let message = format!("another perfgate bisect is running in this work tree{by}");
    Failure::message(ExitStatus::EnvironmentFailed, message)
        .hint("wait for its end or interrupt it; a second search at the same time needs its own clone or work tree (`git worktree add`)")
}

fn surroundings(error: std::io::Error) -> Failure {
    let error = anyhow::Error::new(error).context("cannot lock the files of searches");
    Failure::new(ExitStatus::EnvironmentFailed, error)
}
