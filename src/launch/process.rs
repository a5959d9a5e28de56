//! A server as a command in a process group of its own, so that it can be ended with all its children.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::LaunchError;
use super::error::Exit;
use super::life::Life;
use super::log::{LineSplitter, ServerLog};

/// Between two looks at a group that is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// When a target is dropped instead of stopped, somebody waits who cannot be told why.
const DROP_GRACE: Duration = Duration::from_secs(5);

/// After SIGKILL only the kernel is in the way: freeing tens of gigabytes takes seconds.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// The last lines are in the pipe when the process ends; a grandchild may hold the pipe open for ever.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A running command.
#[derive(Debug)]
pub(super) struct Process {
    group: Group,
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
    /// Starts the command and watches it. Its output goes to `log`.
    pub(super) fn start(
        command: &[String],
        environment: &BTreeMap<String, String>,
        directory: Option<&Path>,
        log: &ServerLog,
    ) -> Result<Self, LaunchError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(LaunchError::Command {
                reason: "there is no program to run",
            });
        };
        let cannot_run = |reason: String| LaunchError::CommandNotFound {
            program: program.clone(),
            reason,
        };
        let mut builder = Command::new(program);
        builder
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = directory {
            // The operating system has one error for a missing program and a missing folder.
            if !directory.is_dir() {
                let reason = format!("there is no folder `{}`", directory.display());
                return Err(cannot_run(reason));
            }
            builder.current_dir(directory);
        }
        let mut child = builder
            .spawn()
            .map_err(|error| cannot_run(error.to_string()))?;
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| cannot_run("it ended at once".to_owned()))?;
        let group = Group { leader };
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|pipe| read(pipe, log.clone())));
        readers.extend(child.stderr.take().map(|pipe| read(pipe, log.clone())));
        let life = Life::default();
        tokio::spawn(watch(child, leader, life.clone()));
        Ok(Self {
            group,
            life,
            readers,
        })
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// The live members of its group.
    pub(super) fn ids(&self) -> BTreeSet<u32> {
        self.group.members().into_iter().flatten().collect()
    }

    /// Waits for the last lines of a process that has ended.
    pub(super) async fn settle(&mut self) {
        let all = async {
            for reader in &mut self.readers {
                // A reader that broke has nothing more to say.
                drop(reader.await);
            }
        };
        if tokio::time::timeout(LAST_LINES, all).await.is_ok() {
            self.readers.clear();
        }
    }

    /// Asks the whole group to end, and ends it after `grace`.
    pub(super) async fn stop(mut self, grace: Duration) -> Result<(), LaunchError> {
        self.life.expect_end();
        self.group.signal(Signal::TERM);
        if !self.group.is_empty_within(grace).await {
            self.group.signal(Signal::KILL);
            if !self.group.is_empty_within(KILL_GRACE).await {
                return Err(LaunchError::NotRemoved {
                    what: format!("process group {}", self.group.leader.as_raw_nonzero()),
                    reason: "it survives SIGKILL".to_owned(),
                });
            }
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

/// Waits for the leader. What it leaves behind when it ends by itself serves nobody, but may hold the GPU; when it was
/// asked to end, the rest of its group has the grace that it was given.
async fn watch(mut child: Child, leader: Pid, life: Life) {
    let exit = child.wait().await.map_or_else(|_| Exit::default(), exit_of);
    if !life.is_end_expected() {
        Group::signal_of(leader, Signal::KILL);
    }
    life.end(exit);
}

fn exit_of(status: ExitStatus) -> Exit {
    Exit {
        code: status.code().map(i64::from),
        signal: status.signal(),
        out_of_memory: false,
    }
}

/// A process group; dropped, it is ended.
#[derive(Debug)]
struct Group {
    leader: Pid,
}

impl Group {
    fn signal(&self, signal: Signal) {
        Self::signal_of(self.leader, signal);
    }

    fn signal_of(leader: Pid, signal: Signal) {
        // The only error is that nobody is left, which is what is wanted.
        let _nobody_left = kill_process_group(leader, signal);
    }

    /// Zombies do not count: who reaps them is their parent's business, and in a container often nobody's.
    fn is_empty(&self) -> bool {
        if test_kill_process_group(self.leader).is_err() {
            return true;
        }
        self.members()
            .is_some_and(|mut members| members.next().is_none())
    }

    /// Ids of the live members; `None` where `/proc` cannot be read.
    fn members(&self) -> Option<impl Iterator<Item = u32>> {
        let group = self.leader.as_raw_nonzero().get();
        let processes = std::fs::read_dir("/proc").ok()?;
        Some(processes.flatten().filter_map(move |process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            let id = process.file_name().to_str()?.parse().ok()?;
            is_alive_in(group, &stat).then_some(id)
        }))
    }

    async fn is_empty_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_empty() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }
}

/// Whether `/proc/PID/stat` is that of a live member of the group. The name in brackets may hold anything.
fn is_alive_in(group: i32, stat: &str) -> bool {
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = fields.split(' ');
    let state = fields.next();
    let member_of = fields.nth(1).and_then(|field| field.parse::<i32>().ok());
    member_of == Some(group) && !matches!(state, Some("Z" | "X"))
}

impl Drop for Group {
    fn drop(&mut self) {
        for (signal, grace) in [(Signal::TERM, DROP_GRACE), (Signal::KILL, KILL_GRACE)] {
            let end = Instant::now() + grace;
            if self.is_empty() {
                return;
            }
            self.signal(signal);
            while !self.is_empty() && Instant::now() < end {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        if !self.is_empty() {
            tracing::warn!(
                "process group {} survives SIGKILL",
                self.leader.as_raw_nonzero()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_and_a_stranger_are_no_live_members() {
        assert!(is_alive_in(7, "9 (a) b) S 1 7 7 0"));
        assert!(!is_alive_in(7, "9 (python) Z 1 7 7 0"));
        assert!(!is_alive_in(7, "9 (python) S 1 8 8 0"));
        assert!(!is_alive_in(7, "rubbish"));
    }
}
