//! Files as they stand at a commit of git: the bar that a change is judged by must not be moved by it.

use std::path::{Path, PathBuf};

use super::source::{self, Entry};
use super::{Context, Failure, links};
use crate::exit::ExitStatus;
use crate::files;
use crate::publish::event;

/// A commit from which the bar is read.
#[derive(Clone, Debug)]
pub(super) struct BaseRef {
    /// Its full object name.
    commit: String,
    /// How it was named, for people.
    name: String,
    /// The top of the work tree, without links.
    top: PathBuf,
    /// The working folder.
    here: PathBuf,
}

/// A file at that commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AtRef {
    /// Its bytes.
    There(Vec<u8>),
    /// The commit has no such file.
    Absent,
    /// It lies outside the repository, where no change of it can touch it.
    Outside,
}

impl BaseRef {
    /// The commit of `--baseline-ref`; without it, where this step of GitHub Actions judges a pull request or a merge group,
    /// the commit from which that one branched off. `None` elsewhere.
    pub(super) fn resolve(given: Option<&str>, context: &Context) -> Result<Option<Self>, Failure> {
        match given {
            Some("") => Ok(None),
            Some(name) => Self::at(name, name, context).map(Some),
            None => match of_event(context)? {
                Some(base) => {
                    let branched_off = source::merge_base("HEAD", &base).unwrap_or(base);
                    let short: String = branched_off.chars().take(10).collect();
                    let name = format!("the base branch ({short})");
                    Self::at(&branched_off, &name, context).map(Some)
                }
                None => Ok(None),
            },
        }
    }

    fn at(revision: &str, name: &str, context: &Context) -> Result<Self, Failure> {
        let top = source::top_of_working_tree().and_then(|top| top.canonicalize().ok());
        let commit = source::commit_of(revision);
        let (Some(top), Some(commit)) = (top, commit) else {
            return Err(Failure::message(
                ExitStatus::SurroundingsFailed,
                format!("git does not know the commit of {name} here, so the baseline and the thresholds of before the change cannot be read"),
            )
            .hint("let actions/checkout fetch it with `fetch-depth: 0`, or `git fetch origin BRANCH`")
            .hint("`--baseline-ref REF` names another commit; `--baseline-ref \"\"` judges by the files of the change itself"));
        };
        Ok(Self {
            commit,
            name: name.to_owned(),
            top,
            here: working_folder(context)?,
        })
    }

    /// How it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The path below the top of the work tree, as it is named: a link below the top is the change's to set, so it is not
    /// followed here. `None` for one that lies elsewhere.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        let follow = |at: &Path| {
            let is_outside = !at.starts_with(&self.top);
            is_outside.then(|| at.read_link().ok()).flatten()
        };
        let end = links::walk(Path::new("/"), &self.here.join(path), follow)?;
        end.strip_prefix(&self.top).ok().map(Path::to_owned)
    }

    /// Whether no change of the repository can edit it.
    pub(super) fn is_outside(&self, path: &Path) -> bool {
        self.relative(path).is_none()
    }

    /// A file as it stands there. Links of that commit are followed within it.
    pub(super) fn read(&self, path: &Path) -> Result<AtRef, Failure> {
        let Some(relative) = self.relative(path) else {
            return Ok(AtRef::Outside);
        };
        let entry = source::entry(&self.top, &self.commit, &relative);
        let bytes = entry.and_then(|entry| match entry {
            Entry::File(object) => source::blob(&self.top, &object).map(AtRef::There),
            Entry::Folder(_) | Entry::Nothing => Ok(AtRef::Absent),
        });
        bytes.map_err(|error| self.unreadable(path, &error))
    }

    fn unreadable(&self, path: &Path, error: &str) -> Failure {
        Failure::message(
            ExitStatus::SurroundingsFailed,
            format!(
                "git cannot read `{}` at {}: {error}",
                path.display(),
                self.name
            ),
        )
        .hint("`--baseline-ref REF` names another commit; `--baseline-ref \"\"` judges by the files of the change itself")
    }

    /// The files below a folder there, by name.
    pub(super) fn names(&self, folder: &Path) -> Result<Vec<String>, Failure> {
        let Some(relative) = self.relative(folder) else {
            return Ok(Vec::new());
        };
        let entry = source::entry(&self.top, &self.commit, &relative);
        let names = entry.and_then(|entry| match entry {
            Entry::Folder(object) => source::names(&self.top, &object),
            Entry::File(_) | Entry::Nothing => Ok(Vec::new()),
        });
        names.map_err(|error| self.unreadable(folder, &error))
    }

    /// Those of the files that the change edits, adds, removes or reaches by a link of its own, as they are called here.
    pub(super) fn touched<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<String>, Failure> {
        let mut touched = Vec::new();
        for path in paths {
            let now = files::read(path).ok();
            let before = match self.read(path)? {
                AtRef::There(bytes) => Some(bytes),
                AtRef::Absent => None,
                AtRef::Outside => continue,
            };
            if now != before || (now.is_some() && self.has_new_link(path)) {
                touched.push(path.display().to_string());
            }
        }
        Ok(touched)
    }

    /// Whether a link leads there that is not the commit's.
    fn has_new_link(&self, path: &Path) -> bool {
        let Some(relative) = self.relative(path) else {
            return false;
        };
        let mut is_new = false;
        let follow = |at: &Path| {
            let target = at.read_link().ok()?;
            let place = at.strip_prefix(&self.top).ok()?;
            let before = source::link(&self.top, &self.commit, place);
            is_new |= before.as_deref() != Some(target.as_path());
            Some(target)
        };
        let end = links::walk(&self.top, &relative, follow);
        is_new || end.is_none()
    }
}

/// The working folder as the shell names it, where it does: by a link, if the change put one there.
fn working_folder(context: &Context) -> Result<PathBuf, Failure> {
    let physical = std::env::current_dir()
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))?;
    let named = (context.environment)("PWD").map(PathBuf::from);
    let is_it = |named: &PathBuf| {
        named.is_absolute() && named.canonicalize().is_ok_and(|path| path == physical)
    };
    Ok(named.filter(is_it).unwrap_or(physical))
}

/// The tip of the base branch in the event of this step of GitHub Actions.
fn of_event(context: &Context) -> Result<Option<String>, Failure> {
    let variable = context.environment;
    let is_actions = variable("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let Some(path) = variable("GITHUB_EVENT_PATH").filter(|_| is_actions) else {
        return Ok(None);
    };
    let unknown = |error: &dyn std::fmt::Display| {
        Failure::message(
            ExitStatus::SurroundingsFailed,
            format!("the base branch is not known: {error}"),
        )
        .hint("name it with `--baseline-ref REF`")
    };
    let json = files::read(Path::new(&path)).map_err(|error| unknown(&error))?;
    let base = event::base(&json).map_err(|error| unknown(&error))?;
    Ok(base.map(|base| base.text().to_owned()))
}
