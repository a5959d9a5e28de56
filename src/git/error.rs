//! Errors of git.

use std::io;
use std::path::PathBuf;

use crate::files::FileError;

/// An error of git.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// git is not installed.
    #[error("git is not installed, or not on the PATH")]
    NotInstalled,
    /// The work tree belongs to another user.
    #[error("git refuses this work tree, because it belongs to another user: {0}")]
    Ownership(String),
    /// The working folder is not in a repository.
    #[error("this is not a git repository")]
    NoRepository,
    /// git failed.
    #[error("git failed: {0}")]
    Failed(String),
    /// A search outside of a work tree.
    #[error("this is not a git work tree")]
    NoWorkTree,
    /// A search below the top of a work tree.
    #[error("this is not the top of the work tree")]
    NotTheTop(PathBuf),
    /// This clone does not have the commit.
    #[error("this clone does not have the commit `{revision}`")]
    UnknownCommit {
        /// The revision as given.
        revision: String,
        /// Whether the clone is shallow, so that the missing history may contain it.
        is_shallow: bool,
    },
    /// The repository is new.
    #[error("the repository has no commit yet")]
    NoCommit,
    /// The program cannot be started.
    #[error("cannot run git")]
    Run(#[source] io::Error),
    /// A command failed.
    #[error("`git {command}` failed: {stderr}")]
    Command {
        /// Its arguments.
        command: String,
        /// Its error output.
        stderr: String,
    },
    /// The submodules of a commit cannot be fetched.
    #[error("`git {command}` failed: {stderr}")]
    Submodules {
        /// The arguments of the command.
        command: String,
        /// Its error output.
        stderr: String,
        /// Whether another commit may work: the remotes lack a submodule commit of this one.
        is_of_commit: bool,
    },
    /// The object at a path of a commit cannot be read, with the reason.
    #[error("{0}")]
    Object(String),
    /// perfgate's own work tree cannot be created or marked.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The hint for a shallow clone.
pub(crate) const UNSHALLOW: &str =
    "this clone is shallow: fetch the rest of the history with `git fetch --unshallow`";

impl GitError {
    /// Classifies git's stderr.
    pub(super) fn of(stderr: &str) -> Self {
        let stderr = stderr.trim();
        if stderr.contains("dubious ownership") || stderr.contains("unsafe repository") {
            let first = stderr.lines().next().unwrap_or_default();
            Self::Ownership(first.trim_start_matches("fatal: ").to_owned())
        } else if stderr.contains("not a git repository") {
            Self::NoRepository
        } else {
            Self::Failed(stderr.to_owned())
        }
    }

    /// Whether git works but lacks the requested object.
    pub(crate) fn is_missing_object(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Whether the command line is wrong, not the repository.
    pub(crate) fn is_usage_error(&self) -> bool {
        matches!(
            self,
            Self::NoWorkTree | Self::NotTheTop(_) | Self::NoCommit | Self::UnknownCommit { .. }
        )
    }

    /// Whether the problem may be specific to this commit.
    pub(crate) fn is_of_commit(&self) -> bool {
        matches!(
            self,
            Self::Submodules {
                is_of_commit: true,
                ..
            }
        )
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotInstalled => "install git on this machine",
            Self::Ownership(_) => {
                "trust it: run `git config --global --add safe.directory \"$PWD\"` as the user who runs perfgate"
            }
            Self::NoRepository => {
                "run perfgate in a clone: actions/checkout does not create one without git"
            }
            Self::NoWorkTree => "run it in the repository to search",
            Self::NotTheTop(top) => return Some(format!("change to `{}` first", top.display())),
            Self::UnknownCommit {
                is_shallow: true, ..
            } => UNSHALLOW,
            Self::UnknownCommit { .. } => {
                "check its spelling, or fetch it: git fetch --tags origin"
            }
            Self::Submodules {
                is_of_commit: true, ..
            } => "the remote no longer has the submodule commit that this commit requires",
            Self::Submodules { .. } => {
                "cannot fetch the submodules of this commit; make `git submodule update --init --recursive` work in a fresh work tree (access, `protocol.file.allow`), or skip this commit with `git bisect skip`"
            }
            Self::File(_) => "free disk space, or fix the permissions",
            Self::NoCommit
            | Self::Failed(_)
            | Self::Run(_)
            | Self::Command { .. }
            | Self::Object(_) => return None,
        };
        Some(hint.to_owned())
    }
}
