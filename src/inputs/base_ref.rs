//! Files at the base commit, so that a change cannot change the limits it is judged by.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::base_commit;
use super::links;
use crate::environment::Environment;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::files;
use crate::git::GitError;
use crate::git::work_tree::{self, Entry, Object};
use crate::policy::{Base, JudgedBy};
use crate::publish::change::Change;

/// The commit from which limits and question are read.
#[derive(Clone, Debug)]
pub(crate) struct BaseRef {
    /// Its full object name.
    pub(crate) commit: String,
    /// Its name in messages.
    pub(crate) name: String,
    /// The top of the work tree, with links resolved.
    top: PathBuf,
    /// The working folder.
    here: PathBuf,
}

/// Source of a data file of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DataFile {
    /// In the work tree.
    Here,
    /// From these bytes.
    Copied(Vec<u8>),
    /// Missing: the commit has no such file, and the change's own does not count.
    Absent,
}

/// A file at that commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AtRef {
    /// Its bytes.
    There(Vec<u8>),
    /// The commit has no such file.
    Absent,
    /// The file does not belong to the change: it is outside of the repository, or the job created it.
    Outside,
}

/// The files that judge this run.
#[derive(Clone, Debug)]
pub(crate) enum JudgingFiles {
    /// The files of the work tree: the job does not judge a change.
    Here,
    /// The files of the work tree in spite of a change, because of `--baseline-ref`.
    ChangeItself,
    /// The files of the merge base, or of the commit of `--baseline-ref`.
    Base(BaseRef),
}

impl JudgingFiles {
    /// From `--baseline-ref`; without it, from the pull request on which the verdict is published, and from the CI service's
    /// variables.
    pub(crate) fn find(
        given: Option<&str>,
        published: Option<Change>,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        match given {
            Some("") => Ok(match base_commit::change_here(published, environment) {
                Ok(None) => Self::Here,
                Ok(Some(_)) | Err(_) => Self::ChangeItself,
            }),
            Some(name) => {
                let commit = base_commit::of_flag(name)?;
                if is_own(&commit, published, environment) {
                    return Ok(Self::ChangeItself);
                }
                BaseRef::at(commit, name.to_owned(), environment).map(Self::Base)
            }
            None => match base_commit::change_here(published, environment)? {
                Some(change) => {
                    let commit = base_commit::of_change(&change)?;
                    let short: String = commit.chars().take(10).collect();
                    let name = format!("the base branch ({short})");
                    BaseRef::at(commit, name, environment).map(Self::Base)
                }
                None => Ok(Self::Here),
            },
        }
    }

    /// The judging files, and which of them the change edits.
    pub(crate) fn judged_by(
        &self,
        criteria: &[PathBuf],
        edits: &[String],
        is_first: bool,
    ) -> Result<JudgedBy, Failure> {
        Ok(match self {
            Self::Here => JudgedBy::WorkTree,
            Self::ChangeItself => JudgedBy::OwnFiles,
            Self::Base(base_ref) => JudgedBy::Base(Base {
                name: base_ref.name.clone(),
                commit: base_ref.commit.clone(),
                touched: base_ref.touched(criteria.iter().map(PathBuf::as_path))?,
                edits: edits.to_vec(),
                is_first,
            }),
        })
    }

    /// The commit, if there is one.
    pub(crate) fn base(&self) -> Option<&BaseRef> {
        match self {
            Self::Base(base) => Some(base),
            Self::Here | Self::ChangeItself => None,
        }
    }
}

/// Whether `--baseline-ref` names the change's own commit, as `HEAD` does, which is equal to "". A branch without own
/// commits is its merge base.
fn is_own(commit: &str, published: Option<Change>, environment: &Environment) -> bool {
    let is_of_change = |change: Change| {
        let base = base_commit::of_change(&change);
        base.is_ok_and(|base| base != commit)
    };
    work_tree::commit_of("HEAD").is_ok_and(|head| head == commit)
        && base_commit::change_here(published, environment)
            .is_ok_and(|change| change.is_some_and(is_of_change))
}

impl BaseRef {
    fn at(commit: String, name: String, environment: &Environment) -> Result<Self, Failure> {
        let top = work_tree::top_of_working_tree()?;
        let top = top
            .canonicalize()
            .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))?;
        Ok(Self {
            commit,
            name,
            top,
            here: working_folder(environment)?,
        })
    }

    /// The path below the top of the work tree, as given: the change can set links below the top, so they are not followed.
    /// `None` for a path elsewhere.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        let follow = |at: &Path| {
            let is_outside = !at.starts_with(&self.top);
            is_outside.then(|| at.read_link().ok()).flatten()
        };
        let end = links::walk(Path::new("/"), &self.here.join(path), follow)?;
        end.strip_prefix(&self.top).ok().map(Path::to_owned)
    }

    /// Whether a file is read from that commit and not from the work tree.
    pub(crate) fn has(&self, path: &Path) -> bool {
        !matches!(self.read(path), Ok(AtRef::Outside))
    }

    /// A file at that commit, with links followed inside it. A file that neither that commit nor HEAD has does not belong to
    /// the change: the job created it.
    pub(crate) fn read(&self, path: &Path) -> Result<AtRef, Failure> {
        let Some(relative) = self.relative(path) else {
            return Ok(AtRef::Outside);
        };
        let unreadable = |error: GitError| self.unreadable(path, error);
        let entry = work_tree::entry(&self.top, &self.commit, &relative).map_err(unreadable)?;
        match entry {
            Entry::File(object) => {
                let bytes = work_tree::blob(&object).map_err(unreadable)?;
                self.kept_elsewhere(path, bytes).map(AtRef::There)
            }
            Entry::Folder(_) | Entry::Nothing if self.is_of_the_job(path, &relative) => {
                Ok(AtRef::Outside)
            }
            Entry::Folder(_) | Entry::Nothing => Ok(AtRef::Absent),
        }
    }

    /// Whether the file exists here, while the change has neither the file nor a link on its path.
    fn is_of_the_job(&self, path: &Path, relative: &Path) -> bool {
        let at_head = work_tree::entry(&self.top, "HEAD", relative);
        let is_here = self.here.join(path).is_file();
        is_here && matches!(at_head, Ok(Entry::Nothing)) && !self.has_new_link(path)
    }

    /// The file itself if the bytes are a Git LFS pointer: the local file counts if its hash matches.
    fn kept_elsewhere(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if !files::is_lfs_pointer(&bytes) {
            return Ok(bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        let is_hash = |hash: &&str| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
        let mut hashes = text
            .lines()
            .filter_map(|line| line.strip_prefix("oid sha256:"));
        let hash = hashes.next().filter(is_hash);
        let is_it = |file: &Vec<u8>| Some(format!("{:x}", Sha256::digest(file)).as_str()) == hash;
        let kept = hash.and_then(|hash| {
            let (one, two) = (&hash[..2], &hash[2..4]);
            work_tree::own_file(&format!("lfs/objects/{one}/{two}/{hash}"))
        });
        let places = std::iter::once(self.here.join(path)).chain(kept);
        let mut files = places.filter_map(|place| files::read(&place).ok());
        files.find(is_it).ok_or_else(|| {
            self.unreadable(path, "it is a Git LFS pointer in that commit, and its content is not on this machine")
                .hint("fetch it: `git lfs fetch origin BRANCH` with the base branch, and `lfs: true` for actions/checkout")
        })
    }

    /// A data file for a run: the one of the work tree if the change does not edit it.
    pub(crate) fn data_file(&self, path: &Path) -> Result<DataFile, Failure> {
        if self.here.join(path).is_file() && !self.is_touched(path)? {
            return Ok(DataFile::Here);
        }
        Ok(match self.read(path)? {
            AtRef::There(bytes) => DataFile::Copied(bytes),
            AtRef::Outside => DataFile::Here,
            AtRef::Absent => DataFile::Absent,
        })
    }

    /// Configuration files of that commit with a line that matches the pattern: their paths from the working folder, and
    /// their texts.
    pub(crate) fn with_line(&self, form: &str) -> Result<Vec<(PathBuf, String)>, Failure> {
        let endings = ["*.yaml", "*.yml", "*.json"];
        let found = work_tree::with_line(&self.top, &self.commit, form, &endings);
        let found = found.map_err(|error| self.unreadable(Path::new("."), error))?;
        let here = self.here.strip_prefix(&self.top).unwrap_or(Path::new(""));
        let up: PathBuf = here.components().map(|_| "..").collect();
        let shown = |path: PathBuf| match path.strip_prefix(here) {
            Ok(below) => below.to_owned(),
            Err(_) => up.join(path),
        };
        let mut texts = Vec::new();
        for path in found.into_iter().map(shown) {
            if let AtRef::There(bytes) = self.read(&path)? {
                texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(texts)
    }

    fn unreadable(&self, path: &Path, error: impl std::fmt::Display) -> Failure {
        Failure::message(
            ExitStatus::EnvironmentFailed,
            format!(
                "git cannot read `{}` at {}: {error}",
                path.display(),
                self.name
            ),
        )
        .hint("select another commit with `--baseline-ref REF`, or judge by the change's own files with `--baseline-ref \"\"`")
    }

    /// The names of the files below a folder of that commit.
    pub(crate) fn names(&self, folder: &Path) -> Result<Vec<String>, Failure> {
        let Some(relative) = self.relative(folder) else {
            return Ok(Vec::new());
        };
        let entry = work_tree::entry(&self.top, &self.commit, &relative);
        let names = entry.and_then(|entry| match entry {
            Entry::Folder(object) => work_tree::names(&object),
            Entry::File(_) | Entry::Nothing => Ok(Vec::new()),
        });
        names.map_err(|error| self.unreadable(folder, error))
    }

    /// The files that the change edits, adds, removes or reaches by its own link, as named here.
    pub(crate) fn touched<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<String>, Failure> {
        let mut touched = Vec::new();
        for path in paths {
            if self.is_touched(path)? {
                touched.push(path.display().to_string());
            }
        }
        Ok(touched)
    }

    /// Compares commits, and the work tree only with its own commit, because unedited bytes may differ there.
    fn is_touched(&self, path: &Path) -> Result<bool, Failure> {
        let Some(relative) = self.relative(path) else {
            return Ok(false);
        };
        let at = |commit: &str| -> Result<Option<Object>, GitError> {
            Ok(match work_tree::entry(&self.top, commit, &relative)? {
                Entry::File(object) => Some(object),
                Entry::Folder(_) | Entry::Nothing => None,
            })
        };
        let before = at(&self.commit).map_err(|error| self.unreadable(path, error))?;
        if before.is_none() && self.is_of_the_job(path, &relative) {
            return Ok(false);
        }
        // A dangling link in the change counts as an edit.
        let same = at("HEAD").is_ok_and(|now| now == before);
        Ok(!same
            || (before.is_some() && !self.is_as_committed(&relative))
            || (self.here.join(path).exists() && self.has_new_link(path)))
    }

    /// Whether the work tree equals HEAD at the path and at the targets of its links.
    fn is_as_committed(&self, relative: &Path) -> bool {
        let end = links::walk(&self.top, relative, |at| at.read_link().ok());
        let end = end.and_then(|end| end.strip_prefix(&self.top).ok().map(Path::to_owned));
        let mut places = [Some(relative.to_owned()), end].into_iter().flatten();
        places.all(|place| work_tree::is_as_committed(&self.top, &place))
    }

    /// Whether a link on the path is not in the commit.
    fn has_new_link(&self, path: &Path) -> bool {
        let Some(relative) = self.relative(path) else {
            return false;
        };
        let mut is_new = false;
        let follow = |at: &Path| {
            let target = at.read_link().ok()?;
            let place = at.strip_prefix(&self.top).ok()?;
            let before = work_tree::link(&self.top, &self.commit, place);
            is_new |= before.as_deref() != Some(target.as_path());
            Some(target)
        };
        let end = links::walk(&self.top, &relative, follow);
        is_new || end.is_none()
    }
}

/// The working folder as named by the shell, if it is: possibly through a link of the change.
fn working_folder(environment: &Environment) -> Result<PathBuf, Failure> {
    let physical = std::env::current_dir()
        .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))?;
    let named = environment("PWD").map(PathBuf::from);
    let is_it = |named: &PathBuf| {
        named.is_absolute() && named.canonicalize().is_ok_and(|path| path == physical)
    };
    Ok(named.filter(is_it).unwrap_or(physical))
}
