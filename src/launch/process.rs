//! A server as a command in its own process group, so that all its children can be ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fault::Exit;
use super::group::{Group, pid_of};
use super::guard::Guard;
use super::life::Life;
use super::log::{LineSplitter, ServerLog};
use super::{LaunchError, command};

/// The last lines are in the pipe when the process ends; a grandchild may hold the pipe open for ever.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Variables of a GitHub Actions job that the server under test must not get: its code may be untrusted, and what it wrote
/// into the files that the `GITHUB_…` variables name would affect later steps of the job.
/// A plan that needs one sets it in `server.process.env`.
pub(super) const JOB_VARIABLES: [&str; 11] = [
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_STATE",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
];

/// A running command.
#[derive(Debug)]
pub(super) struct Process {
    // Dropped in this order: if perfgate is killed while the group ends, the guard still runs.
    group: Group,
    _guard: Guard,
    life: Life,
    readers: Vec<JoinHandle<()>>,
}

/// A port that was free on 127.0.0.1 a moment ago.
pub(super) fn free_port() -> Result<u16, LaunchError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| LaunchError::Port {
            reason: error.to_string(),
        })
}

impl Process {
    /// Starts the command and watches it. Its output goes to `log`. `own_program` is perfgate's, for the guard.
    pub(super) fn start(
        own_program: &Path,
        command: &[String],
        environment: &BTreeMap<String, String>,
        directory: Option<&Path>,
        log: &ServerLog,
    ) -> Result<Self, LaunchError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(command::refused("the command is empty"));
        };
        let cannot_run = |reason: String| LaunchError::CommandNotFound {
            program: program.clone(),
            reason,
        };
        let mut builder = Command::new(program);
        for variable in JOB_VARIABLES {
            builder.env_remove(variable);
        }
        builder
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = directory {
            // The operating system has one error for a missing program and for a missing folder.
            if !directory.is_dir() {
                let reason = format!("the folder `{}` does not exist", directory.display());
                return Err(cannot_run(reason));
            }
            builder.current_dir(directory);
        }
        // Before the server, so that every server has a guard.
        let mut guard = Guard::start(own_program).map_err(LaunchError::OwnProgram)?;
        let (variable, value) = guard.mark();
        builder.env(variable, &value);
        let mut child = builder
            .spawn()
            .map_err(|error| cannot_run(error.to_string()))?;
        let leader = child
            .id()
            .and_then(pid_of)
            .ok_or_else(|| cannot_run("it ended at once".to_owned()))?;
        let group = Group::led_by(leader).and_marked(format!("{variable}={value}"));
        guard.watch_over(leader).map_err(LaunchError::OwnProgram)?;
        let stdout = child.stdout.take().map(|pipe| read(pipe, log.clone()));
        let stderr = child.stderr.take().map(|pipe| read(pipe, log.clone()));
        let readers = stdout.into_iter().chain(stderr).collect();
        let life = Life::default();
        tokio::spawn(watch(child, leader, life.clone()));
        Ok(Self {
            group,
            _guard: guard,
            life,
            readers,
        })
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// The id of its process group.
    pub(super) fn leader(&self) -> u32 {
        self.group.number()
    }

    /// The live members of its group.
    pub(super) fn ids(&self) -> BTreeSet<u32> {
        self.group.ids()
    }

    /// Waits for the last lines of a process that has ended.
    pub(super) async fn settle(&mut self) {
        let all = async {
            for reader in &mut self.readers {
                // A reader that failed has no more lines.
                drop(reader.await);
            }
        };
        if tokio::time::timeout(LAST_LINES, all).await.is_ok() {
            self.readers.clear();
        }
    }

    /// Asks the whole group to end, and kills it after `grace` or once `skip_grace` is cancelled.
    pub(super) async fn stop(
        mut self,
        grace: Duration,
        skip_grace: &CancellationToken,
    ) -> Result<(), LaunchError> {
        self.life.expect_end();
        if !self.group.end(grace, skip_grace).await {
            return Err(LaunchError::NotRemoved {
                what: format!("process group {}", self.group.number()),
                reason: "it is still alive after SIGKILL".to_owned(),
            });
        }
        self.settle().await;
        for reader in &self.readers {
            reader.abort();
        }
        Ok(())
    }
}

fn read(mut pipe: impl AsyncRead + Unpin + Send + 'static, log: ServerLog) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut splitter = LineSplitter::default();
        let mut buffer = vec![0; 8 << 10];
        while let Ok(length) = pipe.read(&mut buffer).await {
            if length == 0 {
                break;
            }
            splitter.feed(&buffer[..length], |line| log.push(line));
        }
        splitter.finish(|line| log.push(line));
    })
}

/// Waits for the leader. Processes that outlive it are of no use but may hold the GPU; if it was asked to end, the rest of
/// its group keeps the grace.
async fn watch(mut child: Child, leader: Pid, life: Life) {
    let exit = child.wait().await.map(Exit::from).unwrap_or_default();
    if !life.is_end_expected() {
        Group::signal_of(leader, Signal::KILL);
    }
    life.end(exit);
}
