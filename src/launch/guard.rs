//! A process beside perfgate that ends the server when perfgate was killed and could not do it itself.
//!
//! The guard is perfgate's own program, started before the server and asleep in a read of its standard input. The other
//! end of that pipe is held by perfgate alone, so the read returns when perfgate has ended, in whatever way. A group of its
//! own keeps Ctrl-C and a kill of perfgate's group away from it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::group::{Group, number_of};
use crate::process_table::ProcessEntry;

/// Variable in the server's environment with the guard's number: by it the guard finds a server of which it was not told
/// any more.
const MARK: &str = "PERFGATE_GUARD";

/// In this time after perfgate's end a server that was just being started shows its environment.
const MAY_STILL_APPEAR: Duration = Duration::from_secs(2);

/// Between two looks for it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Longer than the two numbers that the guard is told.
const MOST_TOLD: u64 = 64;

/// Standard error; what is open beyond it came from whoever started perfgate.
const LAST_OF_ITS_OWN: RawFd = 2;

/// A guard that keeps watch; dropped, it ends without a deed.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
}

impl Guard {
    /// Starts a guard that has nothing to watch over yet. `program` is perfgate itself.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let process = Command::new(program)
            .args(["guard", "--of", &std::process::id().to_string()])
            // It needs nothing of perfgate's environment, which may hold secrets, and keeps no folder from being removed.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { process })
    }

    /// What the server's environment must have.
    pub(super) fn mark(&self) -> (&'static str, String) {
        (MARK, self.process.id().to_string())
    }

    /// Says whom to end.
    pub(super) fn watch_over(&mut self, leader: Pid) -> io::Result<()> {
        let entry = ProcessEntry::of(number_of(leader));
        let (Some(pipe), Some(server)) = (&mut self.process.stdin, entry) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let told = format!("{} {}\n", leader.as_raw_nonzero(), server.started);
        pipe.write_all(told.as_bytes())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Not by closing the pipe: what survives perfgate's own SIGKILL will not fall to the guard's.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// What the guard does: waits for perfgate's end, and ends the server that it left behind.
pub fn keep_watch() {
    close_inherited();
    let mut told = String::new();
    // What cannot be read is as if it had not been told.
    let _read = io::stdin().lock().take(MOST_TOLD).read_to_string(&mut told);
    let left = match parse(&told) {
        Some((leader, started)) => is_left_behind(leader, started).then_some(leader),
        None => untold(),
    };
    // Dropped, a group is ended: asked first, killed after a grace.
    drop(left.map(|leader| Group::led_by(leader).and_marked(own_mark())));
}

/// What the servers that this guard watches over were started with.
fn own_mark() -> String {
    format!("{MARK}={}", std::process::id())
}

/// The server of a perfgate that was killed between starting it and telling.
fn untold() -> Option<Pid> {
    let mark = own_mark();
    let end = Instant::now() + MAY_STILL_APPEAR;
    while Instant::now() < end {
        let leader = ProcessEntry::all_with(&mark)
            .into_iter()
            .find(|process| process.group == process.id)
            .and_then(|process| Pid::from_raw(i32::try_from(process.id).ok()?));
        if leader.is_some() {
            return leader;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    None
}

/// Whoever started perfgate may wait for the end of a pipe that it handed in: the guard must not keep it open.
fn close_inherited() {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let files: Vec<RawFd> = files
        .flatten()
        .filter_map(|file| file.file_name().to_str()?.parse().ok())
        .collect();
    for file in files.into_iter().filter(|file| *file > LAST_OF_ITS_OWN) {
        // The one through which the others were read is closed already.
        let _closed = nix::unistd::close(file);
    }
}

/// The leader's number and start.
fn parse(told: &str) -> Option<(Pid, u64)> {
    let (leader, started) = told.strip_suffix('\n')?.split_once(' ')?;
    let leader = i32::try_from(leader.parse::<u32>().ok()?).ok()?;
    Some((Pid::from_raw(leader)?, started.parse().ok()?))
}

/// Whether the group is still that of the server. A number is given to another process only when nobody bears it any
/// more, be it as process or as group.
fn is_left_behind(leader: Pid, started: u64) -> bool {
    if let Some(found) = ProcessEntry::of(number_of(leader)) {
        return found.started == started;
    }
    // Its leader is gone. What it left behind is in our session, and not older than it.
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
        for told in [
            "",
            "7",
            "7 4711",
            "7 \n",
            " 7\n",
            "-7 4711\n",
            "0 1\n",
            "7 4711 1\n",
        ] {
            assert_eq!(parse(told), None, "{told:?}");
        }
    }

    #[test]
    fn a_number_that_another_process_bears_now_is_left_alone() {
        let own = rustix::process::getpid();
        let started = ProcessEntry::of(number_of(own)).unwrap().started;
        assert!(is_left_behind(own, started));
        assert!(!is_left_behind(own, started + 1));
    }
}
