//! The state of a search between the steps of git bisect, and its lock: one search at a time per work tree, because searches
//! share their trees.

use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::bisect::Step;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::files;
use crate::git::search::{Repository, Search};

/// The value of `schema` of this version; state with another value is discarded.
const SCHEMA: &str = "perfgate.bisect-session/1";

/// File with the options of `bisect start`.
const STARTED: &str = "started.json";

/// Characters of a key in the name of a folder.
const KEY_LENGTH: usize = 12;

/// A step and where its evidence is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecordedStep {
    /// Below the folder of evidence.
    pub(crate) folder: String,
    pub(crate) step: Step,
}

/// One search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    schema: String,
    /// Identifies it: its ends and criteria.
    key: String,
    pub(crate) good_end: Option<RecordedStep>,
    pub(crate) bad_end: Option<RecordedStep>,
    pub(crate) steps: Vec<RecordedStep>,
}

impl Session {
    pub(crate) fn new(key: String) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            key,
            ..Self::default()
        }
    }

    /// The last search. Unreadable state is discarded: results of commits are stored separately.
    pub(crate) fn last(repository: &Repository) -> Option<Self> {
        let bytes = files::read(&path(repository)).ok()?;
        let session: Self = serde_json::from_slice(&bytes).ok()?;
        (session.schema == SCHEMA).then_some(session)
    }

    pub(crate) fn is_of(&self, key: &str) -> bool {
        self.key == key
    }

    pub(crate) fn save(&self, repository: &Repository) -> Result<(), Failure> {
        keep_json(&path(repository), self)
    }

    /// Adds a step. A commit that is asked about again keeps one step, with its original cost.
    pub(crate) fn take(&mut self, kept: RecordedStep) {
        let id = &kept.step.commit.id;
        let before = self
            .steps
            .iter()
            .position(|other| other.step.commit.id == *id)
            .map(|index| self.steps.remove(index));
        self.steps.push(match before {
            Some(before) if kept.step.reused => before,
            _ => kept,
        });
    }

    /// Both ends and all steps, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &RecordedStep> {
        self.good_end.iter().chain(&self.bad_end).chain(&self.steps)
    }
}

/// The ends of a search, if known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(crate) good: Option<String>,
    pub(crate) bad: Option<String>,
}

impl Ends {
    /// The ends at the start of a search.
    pub(crate) fn of(search: Option<&Search>) -> Self {
        search.map_or_else(Self::default, |search| Self {
            good: Some(search.first_good.clone()),
            bad: Some(search.first_bad.clone()),
        })
    }
}

/// The options of `bisect start`, for the predicate without options.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Identifies its search; other searches ignore it.
    pub(crate) ends: Ends,
    pub(crate) arguments: Vec<String>,
}

impl Started {
    pub(crate) fn last(repository: &Repository) -> Option<Self> {
        let bytes = files::read(&repository.state.join(STARTED)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn save(&self, repository: &Repository) -> Result<(), Failure> {
        keep_json(&repository.state.join(STARTED), self)
    }
}

/// Writes state as JSON.
pub(crate) fn keep_json(path: &Path, state: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(state)?;
    files::write_atomically(path, &json).map_err(cannot_keep)
}

fn path(repository: &Repository) -> PathBuf {
    repository.state.join("session.json")
}

/// A short digest of a text that may contain values of environment variables.
pub(crate) fn key(text: &str) -> String {
    let digest = format!("{:x}", Sha256::digest(text.as_bytes()));
    digest[..KEY_LENGTH].to_owned()
}

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
            let folder = File::open(&repository.state).map_err(cannot_lock)?;
            match folder.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let id = std::fs::read_to_string(&held_by).unwrap_or_default();
                    return Err(is_held(id.trim()));
                }
                Err(TryLockError::Error(error)) => return Err(cannot_lock(error)),
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
    let id = |file: Metadata| (file.dev(), file.ino());
    let there = std::fs::metadata(&repository.state).map(id);
    folder
        .metadata()
        .is_ok_and(|own| there.is_ok_and(|there| there == id(own)))
}

fn is_held(id: &str) -> Failure {
    let by = if id.is_empty() {
        String::new()
    } else {
        format!(" (process {id})")
    };
    let message = format!("another perfgate bisect is running in this work tree{by}");
    Failure::environment(message)
        .hint("wait for its end or interrupt it; a second search at the same time needs its own clone or work tree (`git worktree add`)")
}

fn cannot_lock(error: std::io::Error) -> Failure {
    Failure::system("cannot lock the files of searches", error)
}
