//! A process group: whether anything of it lives, and its end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio_util::sync::CancellationToken;

use crate::process_table::ProcessEntry;

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
    /// A variable that the leader was started with: by it those are found that left the group, as a daemon does that a start
    /// script leaves behind.
    mark: Option<String>,
}

impl Group {
    /// The group that this process leads.
    pub(super) fn led_by(leader: Pid) -> Self {
        Self { leader, mark: None }
    }

    /// With everybody who was started with that variable, `NAME=value`.
    pub(super) fn and_marked(mut self, mark: String) -> Self {
        // Not by taking it apart: dropped, a group is ended.
        self.mark = Some(mark);
        self
    }

    /// Its number, which is the leader's.
    pub(super) fn number(&self) -> u32 {
        number_of(self.leader)
    }

    /// Signals the group of a leader.
    pub(super) fn signal_of(leader: Pid, signal: Signal) {
        // The only error is that nobody is left, which is what is wanted.
        let _nobody_left = kill_process_group(leader, signal);
    }

    /// Asks the whole group to end, and ends it after `grace`, or as soon as somebody is in a hurry. Whether it is gone.
    pub(super) async fn end(&self, grace: Duration, hurry: &CancellationToken) -> bool {
        self.signal(Signal::TERM);
        let gone = tokio::select! {
            gone = self.is_empty_within(grace) => gone,
            () = hurry.cancelled() => false,
        };
        if gone {
            return true;
        }
        self.signal(Signal::KILL);
        self.is_empty_within(KILL_GRACE).await
    }

    /// Ids of the live members, and of those that left it.
    pub(super) fn ids(&self) -> BTreeSet<u32> {
        let all = self.members().into_iter().chain(self.strays());
        all.map(|process| process.id).collect()
    }

    /// Signals everybody.
    fn signal(&self, signal: Signal) {
        Self::signal_of(self.leader, signal);
        for stray in self.strays() {
            let stray = i32::try_from(stray.id).ok().and_then(Pid::from_raw);
            // The only error is that it is gone, which is what is wanted.
            let _gone = stray.map(|stray| kill_process(stray, signal));
        }
    }

    /// Those that left the group.
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

    /// Zombies do not count: who reaps them is their parent's business, and in a container often nobody's.
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
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }
}

/// A process's number; positive by its type.
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
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        if !self.is_empty() {
            tracing::warn!("process group {} survives SIGKILL", self.number());
        }
    }
}
