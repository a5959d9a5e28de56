//! A process group: whether any process of it lives, and how to end it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio_util::sync::CancellationToken;

use crate::process_table::ProcessEntry;

/// Between two checks of a group that is ending.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A dropped group blocks its caller, who gets no message, so the grace is short.
const DROP_GRACE: Duration = Duration::from_secs(5);

/// After SIGKILL only the kernel delays the end: freeing tens of gigabytes takes seconds.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// A process group; drop ends it.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    /// A variable in the leader's environment. It identifies processes that left the group, such as a daemon that a start
    /// script leaves behind.
    mark: Option<String>,
}

impl Group {
    /// The group of this leader.
    pub(super) fn led_by(leader: Pid) -> Self {
        Self { leader, mark: None }
    }

    /// Adds all processes that were started with that variable, `NAME=value`.
    pub(super) fn and_marked(mut self, mark: String) -> Self {
        // Not by destructuring: drop ends a group.
        self.mark = Some(mark);
        self
    }

    /// Its id, which is the leader's.
    pub(super) fn number(&self) -> u32 {
        number_of(self.leader)
    }

    /// Signals the leader's group.
    pub(super) fn signal_of(leader: Pid, signal: Signal) {
        // The only error: no process is left, which is the goal.
        let _nobody_left = kill_process_group(leader, signal);
    }

    /// Asks the whole group to end, and kills it after `grace` or once `skip_grace` is cancelled. Returns whether it has ended.
    pub(super) async fn end(&self, grace: Duration, skip_grace: &CancellationToken) -> bool {
        self.signal(Signal::TERM);
        let gone = tokio::select! {
            gone = self.is_empty_within(grace) => gone,
            () = skip_grace.cancelled() => false,
        };
        if gone {
            return true;
        }
        self.signal(Signal::KILL);
        self.is_empty_within(KILL_GRACE).await
    }

    /// Ids of the live members, and of processes that left the group.
    pub(super) fn ids(&self) -> BTreeSet<u32> {
        let all = self.members().into_iter().chain(self.strays());
        all.map(|process| process.id).collect()
    }

    /// Signals all processes.
    fn signal(&self, signal: Signal) {
        Self::signal_of(self.leader, signal);
        for stray in self.strays() {
            // The only error: it has ended, which is the goal.
            let _gone = pid_of(stray.id).map(|stray| kill_process(stray, signal));
        }
    }

    /// Processes that left the group.
    fn strays(&self) -> Vec<ProcessEntry> {
        let marked = self.mark.as_deref().map(ProcessEntry::all_with);
        let mut marked = marked.unwrap_or_default();
        marked.retain(|process| process.group != self.number());
        marked
    }

    /// Live members of this group.
    fn members(&self) -> Vec<ProcessEntry> {
        ProcessEntry::all_in(self.number())
    }

    /// Zombies do not count: their parent reaps them, and in a container often no process does.
    fn is_empty(&self) -> bool {
        (test_kill_process_group(self.leader).is_err() || self.members().is_empty())
            && self.strays().is_empty()
    }

    async fn is_empty_within(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.is_empty() {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        true
    }
}

/// The process with that id.
pub(super) fn pid_of(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

/// A process id, positive by its type.
pub(super) fn number_of(process: Pid) -> u32 {
    process.as_raw_nonzero().get().unsigned_abs()
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
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        if !self.is_empty() {
            tracing::warn!(
                "process group {} is still alive after SIGKILL",
                self.number()
            );
        }
    }
}
