//! The command that builds a version before it is started.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::group::Group;
use super::guard::Guard;
use super::log::quoted_from;
use super::process::OF_THE_JOB;
use crate::environment::GIT_LOCATION_VARIABLES;
use crate::files;

/// A compiler that is told to end has nothing to finish.
const END_GRACE: Duration = Duration::from_secs(5);

/// Last lines of its output that an error shows.
const LINES_SHOWN: usize = 15;

/// What to run, and where.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The command, for the shell.
    pub command: &'a str,
    /// Its working folder.
    pub folder: &'a Path,
    /// Variables that it finds beside perfgate's own.
    pub variables: &'a [(&'static str, String)],
    /// Where its output goes.
    pub log: &'a Path,
    /// Perfgate's own program, for the guard.
    pub own_program: &'a Path,
}

/// Why there is no build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The command failed.
    #[error("the build ended {exit}{}", quoted_from("build", lines))]
    Failed {
        /// How it ended.
        exit: Exit,
        /// Its last lines.
        lines: Vec<String>,
    },
    /// It could not be run, or its output not be kept.
    #[error("cannot run the build, or keep its output in `{}`: {source}", log.display())]
    Environment {
        /// Where its output was to go.
        log: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Told to stop; nothing of it runs any more.
    #[error("interrupted while building")]
    Cancelled,
}

/// Runs the command to its end. Whatever happens, nothing of it is left running.
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
    for variable in GIT_LOCATION_VARIABLES.iter().chain(&OF_THE_JOB) {
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
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
        .ok_or_else(|| environment(io::ErrorKind::NotFound.into()))?;
    // Dropped, it ends what the command left running, too.
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
        exit: exit_of(ended),
        lines: last_lines(build.log),
    })
}

fn exit_of(ended: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    Exit {
        code: ended.code().map(i64::from),
        signal: ended.signal(),
        out_of_memory: false,
    }
}

fn last_lines(log: &Path) -> Vec<String> {
    let bytes = files::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
