//! A process group: whether anything of it lives, and its end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio_util::sync::CancellationToken;

/// Between two looks at a group that is to end.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// When a group is dropped instead of stopped, somebody waits who cannot be told why.
const DROP_GRACE: Duration = Duration::from_secs(5);

/// After SIGKILL only the kernel is in the way: freeing tens of gigabytes takes seconds.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// A process group; dropped, it is ended.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
}

impl Group {
    /// The group that this process leads.
    pub(super) fn led_by(leader: Pid) -> Self {
        Self { leader }
    }

    /// Its number, which is the leader's.
    pub(super) fn number(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    /// Signals the group of a leader.
    pub(super) fn signal_of(leader: Pid, signal: Signal) {
        // The only error is that nobody is left, which is what is wanted.
        let _nobody_left = kill_process_group(leader, signal);
    }

    /// Asks the whole group to end, and ends it after `grace`, or as soon as somebody is in a hurry. Whether it is gone.
    pub(super) async fn end(&self, grace: Duration, hurry: &CancellationToken) -> bool {
        Self::signal_of(self.leader, Signal::TERM);
        let gone = tokio::select! {
            gone = self.is_empty_within(grace) => gone,
            () = hurry.cancelled() => false,
        };
        if gone {
            return true;
        }
        Self::signal_of(self.leader, Signal::KILL);
        self.is_empty_within(KILL_GRACE).await
    }

    /// Ids of the live members.
    pub(super) fn ids(&self) -> BTreeSet<u32> {
        self.members().iter().map(|member| member.id).collect()
    }

    /// Live members of this group.
    fn members(&self) -> Vec<Member> {
        Member::all_in(self.number())
    }

    /// Zombies do not count: who reaps them is their parent's business, and in a container often nobody's.
    fn is_empty(&self) -> bool {
        test_kill_process_group(self.leader).is_err() || self.members().is_empty()
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

impl Drop for Group {
    fn drop(&mut self) {
        for (signal, grace) in [(Signal::TERM, DROP_GRACE), (Signal::KILL, KILL_GRACE)] {
            let end = Instant::now() + grace;
            if self.is_empty() {
                return;
            }
            Self::signal_of(self.leader, signal);
            while !self.is_empty() && Instant::now() < end {
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        if !self.is_empty() {
            tracing::warn!("process group {} survives SIGKILL", self.number());
        }
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its number.
    pub(super) id: u32,
    /// Whether it is neither a zombie nor dead.
    pub(super) is_alive: bool,
    /// Its process group.
    pub(super) group: i32,
    /// Its session.
    pub(super) session: i32,
    /// When it was started, in clock ticks since the boot: with the number it is a name that is never used twice.
    pub(super) started: u64,
}

impl Member {
    /// Reads a `stat`. The name in brackets may hold anything.
    pub(super) fn parse(stat: &str) -> Option<Self> {
        let (id, _) = stat.split_once(' ')?;
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            id: id.parse().ok()?,
            is_alive: !matches!(*fields.first()?, "Z" | "X"),
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// The live members of a group.
    pub(super) fn all_in(group: i32) -> Vec<Self> {
        let Ok(processes) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        let stats = processes
            .flatten()
            .filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
        stats
            .filter_map(|stat| Self::parse(&stat))
            .filter(|member| member.is_alive && member.group == group)
            .collect()
    }

    /// The process of that number, where there is one.
    pub(super) fn of(process: Pid) -> Option<Self> {
        let path = format!("/proc/{}/stat", process.as_raw_nonzero());
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_is_read_whatever_the_name_of_the_program() {
        let stat = |name: &str, state: &str| {
            format!("9 ({name}) {state} 1 7 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
        };
        let member = Member {
            id: 9,
            is_alive: true,
            group: 7,
            session: 5,
            started: 4711,
        };
        for name in ["python", "a) b", ") S 1 2 3", ""] {
            assert_eq!(Member::parse(&stat(name, "S")), Some(member), "{name}");
        }
        for state in ["Z", "X"] {
            let ended = Member {
                is_alive: false,
                ..member
            };
            assert_eq!(Member::parse(&stat("python", state)), Some(ended));
        }
        for broken in ["", "rubbish", "9 (python) S 1 7", "9 (python) S 1 x y z"] {
            assert_eq!(Member::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn this_process_is_alive_in_its_own_group() {
        let own = Member::of(rustix::process::getpid()).unwrap();
        assert!(own.is_alive && own.started > 0);
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(Member::all_in(group).contains(&own));
    }
}
