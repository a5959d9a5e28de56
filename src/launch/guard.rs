//! A process beside perfgate that ends the server when perfgate was killed and could not do it itself.
//!
//! The guard is perfgate's own program, started before the server and asleep in a read of its standard input. The other
//! end of that pipe is held by perfgate alone, so the read returns when perfgate has ended, in whatever way. A group of its
//! own keeps Ctrl-C and a kill of perfgate's group away from it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

use super::group::{Group, Member};

/// Longer than the two numbers that the guard is told.
const MOST_TOLD: u64 = 64;

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

    /// Says whom to end.
    pub(super) fn watch_over(&mut self, leader: Pid) -> io::Result<()> {
        let (Some(pipe), Some(server)) = (&mut self.process.stdin, Member::of(leader)) else {
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
    let mut told = String::new();
    let read = io::stdin().lock().take(MOST_TOLD).read_to_string(&mut told);
    if read.is_ok()
        && let Some((leader, started)) = parse(&told)
        && is_left_behind(leader, started)
    {
        // Dropped, a group is ended: asked first, killed after a grace.
        drop(Group::led_by(leader));
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
    if let Some(found) = Member::of(leader) {
        return found.started == started;
    }
    // Its leader is gone. What it left behind is in our session, and not older than it.
    let own = Member::of(rustix::process::getpid());
    let session = own.map(|own| own.session);
    let members = Member::all_in(leader.as_raw_nonzero().get());
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
        let started = Member::of(own).unwrap().started;
        assert!(is_left_behind(own, started));
        assert!(!is_left_behind(own, started + 1));
    }
}
