//! Files as they stand at a commit of git: the bar that a change is judged by must not be moved by it.

use std::path::{Path, PathBuf};

use super::{Context, Failure, source};
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
    /// The top of the work tree.
    top: PathBuf,
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
            Some(name) => Self::at(name, name).map(Some),
            None => match of_event(context)? {
                Some(base) => {
                    let branched_off = source::merge_base("HEAD", &base).unwrap_or(base);
                    let short: String = branched_off.chars().take(10).collect();
                    Self::at(&branched_off, &format!("the base branch ({short})")).map(Some)
                }
                None => Ok(None),
            },
        }
    }

    fn at(revision: &str, name: &str) -> Result<Self, Failure> {
        let top = source::top_of_working_tree();
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
        })
    }

    /// How it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The path below the top of the work tree; `None` for one that lies elsewhere.
    fn relative(&self, path: &Path) -> Option<PathBuf> {
        let here = std::path::absolute(path).ok()?;
        // The folder may exist only at the commit, so it is the nearest one that is there that is made canonical.
        let there = here.ancestors().find(|folder| folder.exists())?;
        let canonical = there.canonicalize().ok()?;
        let rest = here.strip_prefix(there).ok()?;
        let top = self.top.canonicalize().ok()?;
        let below = canonical.join(rest);
        below.strip_prefix(top).ok().map(Path::to_owned)
    }

    /// A file as it stands there.
    pub(super) fn read(&self, path: &Path) -> Result<AtRef, Failure> {
        let Some(relative) = self.relative(path) else {
            return Ok(AtRef::Outside);
        };
        match source::blob(&self.top, &self.commit, &relative) {
            Ok(Some(bytes)) => Ok(AtRef::There(bytes)),
            Ok(None) => Ok(AtRef::Absent),
            Err(error) => Err(Failure::message(
                ExitStatus::SurroundingsFailed,
                format!(
                    "git cannot read `{}` at {}: {error}",
                    path.display(),
                    self.name
                ),
            )),
        }
    }

    /// The files below a folder there, by name.
    pub(super) fn names(&self, folder: &Path) -> Vec<String> {
        let relative = self.relative(folder);
        relative.map_or_else(Vec::new, |relative| {
            source::names(&self.top, &self.commit, &relative)
        })
    }

    /// Those of the files that the change edits, adds or removes, as they are called here.
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
            if now != before {
                touched.push(path.display().to_string());
            }
        }
        Ok(touched)
    }
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
