//! A process that ends the server if perfgate was killed and could not do so.
//!
//! The guard is perfgate's own program, started before the server; it sleeps in a read of its standard input. perfgate
//! alone holds the other end of that pipe, so the read returns when perfgate has ended for any reason. Its own process
//! group keeps Ctrl-C and a kill of perfgate's group away from it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::group::{Group, number_of, pid_of};
use crate::process_table::ProcessEntry;

/// Variable in the server's environment with the guard's id. The guard uses it to find a server whose id it did not
/// receive.
const MARK: &str = "PERFGATE_GUARD";

/// A server that was just started when perfgate ended shows its environment within this time.
const MAY_STILL_APPEAR: Duration = Duration::from_secs(2);

/// Between two searches for it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Longer than the two numbers that the guard receives.
const LONGEST_MESSAGE: u64 = 64;

/// Standard error; higher descriptors are inherited from perfgate's parent.
const LAST_STANDARD_STREAM: RawFd = 2;

/// A running guard; drop ends it without further action.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts a guard that has no server yet. `program` is perfgate itself.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let process = Command::new(program)
            .args(["guard", "--of", &std::process::id().to_string()])
            // It gets none of perfgate's environment, which may contain secrets, and its working folder blocks no removal.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { process })
    }

    /// The variable that the server's environment must have.
    pub(super) fn mark(&self) -> (&'static str, String) {
        (MARK, self.process.id().to_string())
    }

    /// Tells the guard which server to end.
    pub(super) fn watch_over(&mut self, leader: Pid) -> io::Result<()> {
        let entry = ProcessEntry::of(number_of(leader));
        let (Some(pipe), Some(server)) = (&mut self.process.stdin, entry) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let message = format!("{} {}\n", leader.as_raw_nonzero(), server.started);
        pipe.write_all(message.as_bytes())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Not by closing the pipe: the guard must not kill processes that survived perfgate's own SIGKILL.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The guard's work: waits for perfgate's end, and ends the server that is left.
pub fn keep_watch() {
    close_inherited();
    let mut message = String::new();
    // An unreadable message is treated as missing.
    let _read = io::stdin()
        .lock()
        .take(LONGEST_MESSAGE)
        .read_to_string(&mut message);
    let left = match parse(&message) {
        Some((leader, started)) => is_left_behind(leader, started).then_some(leader),
        None => find_by_mark(),
    };
    // Drop ends the group: first SIGTERM, then SIGKILL after a grace.
    drop(left.map(|leader| Group::led_by(leader).and_marked(own_mark())));
}

/// The variable in the environment of the servers of this guard.
fn own_mark() -> String {
    format!("{MARK}={}", std::process::id())
}

/// The server of a perfgate that was killed after the start and before it sent the id.
fn find_by_mark() -> Option<Pid> {
    let mark = own_mark();
    let end = Instant::now() + MAY_STILL_APPEAR;
    while Instant::now() < end {
        let leader = ProcessEntry::all_with(&mark)
            .into_iter()
            .find(|process| process.group == process.id)
            .and_then(|process| pid_of(process.id));
        if leader.is_some() {
            return leader;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    None
}

/// The parent of perfgate may wait for the end of an inherited pipe, so the guard must not keep it open.
fn close_inherited() {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let files = files
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.parse().ok());
    let inherited: Vec<RawFd> = files.filter(|file| *file > LAST_STANDARD_STREAM).collect();
    for file in inherited {
        // The descriptor of the listing itself is closed already.
        let _closed = nix::unistd::close(file);
    }
}

/// Id and start of the leader.
fn parse(message: &str) -> Option<(Pid, u64)> {
    let (leader, started) = message.strip_suffix('\n')?.split_once(' ')?;
    Some((pid_of(leader.parse().ok()?)?, started.parse().ok()?))
}

/// Whether the group is still that of the server. An id is reused only when no process and no group has it any more.
fn is_left_behind(leader: Pid, started: u64) -> bool {
    if let Some(found) = ProcessEntry::of(number_of(leader)) {
        return found.started == started;
    }
    // The leader has ended. Its remaining processes are in our session, and not older than it.
    let own = ProcessEntry::of(std::process::id());
    let session = own.map(|own| own.session);
    let members = ProcessEntry::all_in(number_of(leader));
    members
        .iter()
        .all(|member| member.started >= started && session == Some(member.session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_whole_numbers_are_a_server() {
        assert_eq!(parse("7 4711\n"), Pid::from_raw(7).map(|pid| (pid, 4711)));
        for message in [
            "",
            "7",
            "7 4711",
            "7 \n",
            " 7\n",
            "-7 4711\n",
            "0 1\n",
            "7 4711 1\n",
        ] {
            assert_eq!(parse(message), None, "{message:?}");
        }
    }

    #[test]
    fn a_reused_id_is_left_alone() {
        let own = rustix::process::getpid();
        let started = ProcessEntry::of(number_of(own)).unwrap().started;
        assert!(is_left_behind(own, started));
        assert!(!is_left_behind(own, started + 1));
    }
}
