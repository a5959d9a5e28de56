//! Gets the load generator's thread a CPU when it needs one.
//!
//! It takes real-time priority before the first request: a server that keeps every CPU busy starts with the first wave, and
//! a thread that raises its priority only when starved has lost that wave's chunks. It gives the priority up while it works
//! most of the time: a real-time thread that is always busy delays the kernel's own work on its CPU, and so its own
//! requests (in a flood to 1,024 streams they reached the server up to 80 ms late). Then, and without permission for
//! real-time priority, the thread raises its ordinary priority as far as allowed.

use std::time::{Duration, Instant};

use super::instant::{Nanoseconds, seconds};
use super::own_load::{cpu_time, run_delay};
use crate::priority::{self, Urgency};

/// Share of the time without a CPU above which the thread returns to real-time priority.
const STARVED: f64 = 0.005;

/// Share of a CPU above which it gives real-time priority up.
const BUSY: f64 = 0.7;

/// How long it must have worked that much. Bursts are shorter.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// For the thread that created it.
#[derive(Debug)]
pub(super) struct ThreadPriority {
    refused: bool,
    real_time: bool,
    was_real_time: bool,
    since: Instant,
    cpu: Nanoseconds,
    starved: Nanoseconds,
}

impl ThreadPriority {
    /// As much as is permitted.
    pub(super) fn take() -> Self {
        let real_time = priority::raise(Urgency::LoadGenerator);
        Self {
            refused: !real_time,
            real_time,
            was_real_time: real_time,
            since: Instant::now(),
            cpu: cpu_time(),
            starved: run_delay().unwrap_or_default(),
        }
    }

    /// Whether the thread had real-time priority at any time.
    pub(super) fn was_real_time(&self) -> bool {
        self.was_real_time
    }

    /// Checks how much CPU time the thread used and lacked since the last check.
    pub(super) fn review(&mut self) {
        let now = Instant::now();
        if self.real_time && now.duration_since(self.since) < GIVE_UP_AFTER {
            return;
        }
        let cpu = cpu_time();
        let starved = run_delay().unwrap_or_default();
        let wall = now.duration_since(self.since).as_secs_f64().max(1e-9);
        let share = |now: Nanoseconds, before| seconds(now.saturating_sub(before)) / wall;
        let (needed, missed) = (share(cpu, self.cpu), share(starved, self.starved));
        (self.since, self.cpu, self.starved) = (now, cpu, starved);
        if self.real_time && needed > BUSY {
            priority::raise_above_ordinary();
            self.real_time = false;
        } else if !self.real_time && !self.refused && missed > STARVED && needed < BUSY {
            self.real_time = priority::raise(Urgency::LoadGenerator);
            self.was_real_time |= self.real_time;
            self.refused = !self.real_time;
        }
    }
}
