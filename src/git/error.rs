//! Why git could not answer or act.

use std::io;
use std::path::PathBuf;

use crate::files::FileError;

/// What went wrong in the repository.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// git is not installed.
    #[error("git is not installed, or not on the PATH")]
    NotInstalled,
    /// The work tree belongs to another user.
    #[error("git refuses this work tree, because it belongs to another user: {0}")]
    Ownership(String),
    /// The working folder belongs to no repository.
    #[error("this is not a git repository")]
    NoRepository,
    /// The question has no answer here, or git could not do its work.
    #[error("git failed: {0}")]
    Failed(String),
    /// A search was asked for outside of a work tree.
    #[error("this is not a git work tree")]
    NoWorkTree,
    /// A search was asked for below the top of a work tree.
    #[error("this is not the top of the work tree")]
    NotTheTop(PathBuf),
    /// This clone does not have the commit.
    #[error("git knows no commit `{revision}` here")]
    UnknownCommit {
        /// As it was named.
        revision: String,
        /// Whether the clone is shallow, so that the rest of the history may have it.
        is_shallow: bool,
    },
    /// The program could not be started.
    #[error("cannot run git")]
    Run(#[source] io::Error),
    /// A command failed.
    #[error("`git {command}` failed: {said}")]
    Command {
        /// Its arguments.
        command: String,
        /// What git wrote to stderr.
        said: String,
    },
    /// The submodules of a commit cannot be fetched.
    #[error("`git {command}` failed: {said}")]
    Submodules {
        /// The arguments of the command.
        command: String,
        /// What git wrote to stderr.
        said: String,
        /// Whether another commit may do: this one names what its remotes do not have.
        is_of_commit: bool,
    },
    /// What a commit has at a path cannot be read; why.
    #[error("{0}")]
    Object(String),
    /// A work tree of perfgate's own cannot be made or marked.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder cannot be removed.
    #[error("cannot remove `{}`", .path.display())]
    Remove {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The hint for a shallow clone.
pub(crate) const UNSHALLOW: &str =
    "this clone is shallow: fetch the rest of the history with `git fetch --unshallow`";

impl GitError {
    /// By what git wrote to stderr.
    pub(super) fn of(said: &str) -> Self {
        let said = said.trim();
        if said.contains("dubious ownership") || said.contains("unsafe repository") {
            let first = said.lines().next().unwrap_or_default();
            Self::Ownership(first.trim_start_matches("fatal: ").to_owned())
        } else if said.contains("not a git repository") {
            Self::NoRepository
        } else {
            Self::Failed(said.to_owned())
        }
    }

    /// Whether git works here, and does not have what it was asked for.
    pub(crate) fn is_of_question(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Whether the command line is wrong, not the repository.
    pub(crate) fn is_of_usage(&self) -> bool {
        matches!(
            self,
            Self::NoWorkTree | Self::NotTheTop(_) | Self::UnknownCommit { .. }
        )
    }

    /// Whether another commit may not have this problem.
    pub(crate) fn is_of_commit(&self) -> bool {
        matches!(
            self,
            Self::Submodules {
                is_of_commit: true,
                ..
            }
        )
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotInstalled => "install git where perfgate runs",
            Self::Ownership(_) => {
                "trust it: `git config --global --add safe.directory \"$PWD\"`, as the user who runs perfgate"
            }
            Self::NoRepository => {
                "run perfgate in a clone: actions/checkout does not make one where git is not installed"
            }
            Self::NoWorkTree => "run it within the repository whose history is to be searched",
            Self::NotTheTop(top) => return Some(format!("change to `{}` first", top.display())),
            Self::UnknownCommit {
                is_shallow: true, ..
            } => UNSHALLOW,
            Self::UnknownCommit { .. } => {
                "check its spelling, or fetch it: git fetch --tags origin"
            }
            Self::Submodules {
                is_of_commit: true, ..
            } => "the remote no longer has the commit of a submodule that this commit names",
            Self::Submodules { .. } => {
                "the submodules of this commit cannot be fetched; what they need (access, `protocol.file.allow`) must hold for `git submodule update --init --recursive` in a fresh work tree; `git bisect skip` leaves this commit out"
            }
            Self::File(_) => "make room there, or let this user write there",
            Self::Failed(_)
            | Self::Run(_)
            | Self::Command { .. }
            | Self::Object(_)
            | Self::Remove { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
