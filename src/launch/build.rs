//! Runs the command that builds a version before its server starts.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::group::{Group, pid_of};
use super::guard::Guard;
use super::log::quoted_from;
use super::process::JOB_VARIABLES;
use crate::environment::GIT_LOCATION_VARIABLES;
use crate::files;

/// Time for a build to end after SIGTERM: a compiler has no work to save.
const END_GRACE: Duration = Duration::from_secs(5);

/// Last lines of the build's output that an error shows.
const LINES_SHOWN: usize = 15;

/// What to run, and where.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The command, for the shell.
    pub command: &'a str,
    /// Its working folder.
    pub folder: &'a Path,
    /// Variables that the command gets beside perfgate's own.
    pub variables: &'a [(&'static str, String)],
    /// File for its output.
    pub log: &'a Path,
    /// perfgate's own program, for the guard process.
    pub own_program: &'a Path,
}

/// Why the build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The command failed.
    #[error("the build ended {exit}{}", quoted_from("build", lines))]
    Failed {
        /// Its exit code or signal.
        exit: Exit,
        /// Its last lines.
        lines: Vec<String>,
    },
    /// The command did not run, or its output could not be written.
    #[error("cannot run the build, or cannot write its output to `{}`: {source}", log.display())]
    Environment {
        /// File for its output.
        log: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// perfgate was interrupted; no process of the build is left.
    #[error("interrupted while building")]
    Cancelled,
}

/// Runs the command to its end. No process of it is left in any case.
pub async fn build(build: &Build<'_>, cancel: &CancellationToken) -> Result<(), BuildError> {
    let environment = |source| BuildError::Environment {
        log: build.log.to_owned(),
        source,
    };
    let output = File::create(build.log).map_err(environment)?;
    let errors = output.try_clone().map_err(environment)?;
    let mut guard = Guard::start(build.own_program).map_err(environment)?;
    let (mark, number) = guard.mark();
    let mut command = Command::new("sh");
    for variable in GIT_LOCATION_VARIABLES.iter().chain(&JOB_VARIABLES) {
        command.env_remove(variable);
    }
    command
        .args(["-c", build.command])
        .current_dir(build.folder)
        .envs(build.variables.iter().map(|(name, value)| (name, value)))
        .env(mark, number)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    let mut child = command.spawn().map_err(environment)?;
    let leader = child
        .id()
        .and_then(pid_of)
        .ok_or_else(|| environment(io::ErrorKind::NotFound.into()))?;
    // On drop it also ends processes that the command left running.
    let group = Group::led_by(leader);
    guard.watch_over(leader).map_err(environment)?;
    let ended = tokio::select! {
        ended = child.wait() => ended.map_err(environment)?,
        () = cancel.cancelled() => {
            group.end(END_GRACE, &CancellationToken::new()).await;
            let _reaped = child.wait().await;
            return Err(BuildError::Cancelled);
        }
    };
    if ended.success() {
        return Ok(());
    }
    Err(BuildError::Failed {
        exit: ended.into(),
        lines: last_lines(build.log),
    })
}

fn last_lines(log: &Path) -> Vec<String> {
    let bytes = files::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.split_off(lines.len().saturating_sub(LINES_SHOWN))
}
