//! perfgate's own work trees: it builds and starts commits, independent of the user's tree.

use std::path::{Path, PathBuf};

use super::error::GitError;
use super::search::{Repository, git_elsewhere};
use super::submodules;
use crate::event::{Events, GitEvent};
use crate::files;

/// Names of the trees: the good end, the judged commit, and its parent in a confirmation.
const NAMES: [&str; 3] = ["good", "commit", "parent"];

/// A work tree inside perfgate's folder.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
}

impl Tree {
    pub(crate) fn named(repository: &Repository, name: &str) -> Self {
        Self {
            path: repository.state.join("trees").join(name),
        }
    }

    /// Checks out a commit with its submodules. Untracked files of earlier builds stay, so that the next build is
    /// incremental.
    pub(crate) fn check_out(&self, repository: &Repository, commit: &str) -> Result<(), GitError> {
        let is_there = self.path.join(".git").is_file()
            && git_elsewhere(&self.path, &["rev-parse", "--git-dir"]).is_ok();
        if is_there && self.is_built_from(commit) && self.head().as_deref() == Some(commit) {
            // Builds may overwrite tracked files; discard these changes.
            return Ok(());
        }
        // First: after an interruption the tree may match no commit.
        self.forget_build()?;
        if is_there {
            let checked_out = ["checkout", "--quiet", "--detach", "--force", commit, "--"];
            git_elsewhere(&self.path, &checked_out)?;
        } else {
            // Left over from an interrupted `worktree add`.
            if self.path.exists() {
                remove_folder(&self.path)?;
            }
            files::create_folder(self.path.parent().unwrap_or(&self.path))?;
            let path = self.path.display().to_string();
            repository.git(&["worktree", "prune"])?;
            let added = [
                "worktree", "add", "--quiet", "--detach", "--force", &path, commit,
            ];
            repository.git(&added)?;
        }
        if self.path.join(".gitmodules").is_file() {
            submodules::update(&self.path)?;
        }
        Ok(())
    }

    /// File with the built commit and the build command. Empty if a build began or its commit was replaced: its output is
    /// still in the tree.
    pub(crate) fn mark(&self) -> PathBuf {
        self.path.with_extension("built")
    }

    fn is_built_from(&self, commit: &str) -> bool {
        std::fs::read_to_string(self.mark()).is_ok_and(|mark| mark.lines().next() == Some(commit))
    }

    /// Marks the tree as not built.
    pub(crate) fn forget_build(&self) -> Result<(), GitError> {
        if self.mark().exists() {
            self.write_mark("")?;
        }
        Ok(())
    }

    pub(crate) fn write_mark(&self, text: &str) -> Result<(), GitError> {
        Ok(files::write_atomically(&self.mark(), text.as_bytes())?)
    }

    fn head(&self) -> Option<String> {
        git_elsewhere(&self.path, &["rev-parse", "HEAD"]).ok()
    }

    /// Removes the tree with its build output.
    pub(crate) fn remove(&self, repository: &Repository) -> Result<(), GitError> {
        if self.path.exists() {
            self.forget_build()?;
            let path = self.path.display().to_string();
            // `--force` twice: git does not remove a tree with submodules otherwise.
            let removed = ["worktree", "remove", "--force", "--force", &path];
            if repository.git(&removed).is_err() {
                remove_folder(&self.path)?;
                repository.git(&["worktree", "prune"])?;
            }
        }
        // Last, because it marks a build; it is missing if nothing was built.
        let _none_there = std::fs::remove_file(self.mark());
        Ok(())
    }
}

/// Removes the work trees with build output, which may be of another commit.
pub(crate) fn remove_built(repository: &Repository) -> Result<(), GitError> {
    for name in NAMES {
        let tree = Tree::named(repository, name);
        if tree.mark().exists() {
            tree.remove(repository)?;
        }
    }
    Ok(())
}

/// Removes all work trees of a repository's searches; a failure is reported and does not stop the others.
pub(crate) fn remove_all(repository: &Repository, events: &Events) {
    for name in NAMES {
        let tree = Tree::named(repository, name);
        if let Err(error) = tree.remove(repository) {
            events.emit(GitEvent::TreeLeft {
                path: tree.path,
                reason: error.to_string(),
            });
        }
    }
}

pub(crate) fn remove_folder(path: &Path) -> Result<(), GitError> {
    Ok(files::remove_folder(path)?)
}
