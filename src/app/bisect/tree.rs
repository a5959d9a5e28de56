//! Work trees of perfgate's own: what is built and started is a commit, whatever somebody has in their tree.

use std::path::{Path, PathBuf};

use super::super::Failure;
use super::super::progress::note;
use super::repository::{Repository, git_elsewhere};
use crate::exit::ExitStatus;
use crate::files;

/// A work tree within perfgate's folder.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) path: PathBuf,
}

impl Tree {
    pub(super) fn named(repository: &Repository, name: &str) -> Self {
        Self {
            path: repository.state.join("trees").join(name),
        }
    }

    /// Brings it to a commit with its submodules. What no commit knows, as a build leaves it, stays: the next build needs
    /// only what changed.
    pub(super) fn check_out(&self, repository: &Repository, commit: &str) -> Result<(), Failure> {
        let is_there = self.path.join(".git").is_file()
            && git_elsewhere(&self.path, &["rev-parse", "--git-dir"]).is_ok();
        if is_there && self.mark().is_file() && self.head().as_deref() == Some(commit) {
            // What a build wrote over files of the commit belongs to the build.
            return Ok(());
        }
        if is_there {
            let checked_out = ["checkout", "--quiet", "--detach", "--force", commit, "--"];
            git_elsewhere(&self.path, &checked_out)?;
        } else {
            self.forget_build();
            // Left over from an add that was interrupted.
            if self.path.exists() {
                remove_folder(&self.path)?;
            }
            files::create_folder(self.parent())
                .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))?;
            let path = self.path.display().to_string();
            repository.git(&["worktree", "prune"])?;
            let added = [
                "worktree", "add", "--quiet", "--detach", "--force", &path, commit,
            ];
            repository.git(&added)?;
        }
        if self.path.join(".gitmodules").is_file() {
            let updated = [
                "submodule",
                "--quiet",
                "update",
                "--init",
                "--recursive",
                "--force",
            ];
            git_elsewhere(&self.path, &updated).map_err(|failure| {
                failure.hint("the submodules of this commit cannot be fetched; what they need (access, `protocol.file.allow`) must hold for `git submodule update --init --recursive` in a fresh work tree")
            })?;
        }
        Ok(())
    }

    /// Says which commit was built here, and by which command.
    pub(super) fn mark(&self) -> PathBuf {
        self.path.with_extension("built")
    }

    /// What is in the tree counts as not built.
    pub(super) fn forget_build(&self) {
        // It is not there where nothing was built.
        let _none_there = std::fs::remove_file(self.mark());
    }

    fn head(&self) -> Option<String> {
        git_elsewhere(&self.path, &["rev-parse", "HEAD"]).ok()
    }

    fn parent(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Removes it, with what was built in it.
    pub(super) fn remove(&self, repository: &Repository) -> Result<(), Failure> {
        self.forget_build();
        if !self.path.exists() {
            return Ok(());
        }
        let path = self.path.display().to_string();
        // Twice forced: one with submodules is not removed otherwise.
        if repository
            .git(&["worktree", "remove", "--force", "--force", &path])
            .is_err()
        {
            remove_folder(&self.path)?;
            repository.git(&["worktree", "prune"])?;
        }
        Ok(())
    }
}

/// All work trees of a repository's searches; a failure to remove one is said and stops nothing.
pub(super) fn remove_all(repository: &Repository) {
    for name in ["good", "commit", "parent"] {
        if let Err(failure) = Tree::named(repository, name).remove(repository) {
            note(&format!("warning: {:#}", failure.error));
        }
    }
}

pub(super) fn remove_folder(path: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(path).map_err(|error| {
        let error =
            anyhow::Error::new(error).context(format!("cannot remove `{}`", path.display()));
        Failure::new(ExitStatus::SurroundingsFailed, error)
    })
}
