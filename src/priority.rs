//! Scheduling priority of threads that must be on time and sleep most of the time.

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, RealtimeThreadSchedulePolicy, ScheduleParams, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Kinds of threads, least urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The embedded server.
    Server,
    /// The load generator: above the embedded server, so that neither it nor another program delays the measurement.
    LoadGenerator,
}

/// Gives the calling thread real-time priority if permitted (`CAP_SYS_NICE` or `RLIMIT_RTPRIO`), else
/// [`raise_above_ordinary`]. Returns whether it is real time. Only for threads that sleep between short pieces of work, so
/// that other threads get their CPU time.
pub fn raise(urgency: Urgency) -> bool {
    let level = match urgency {
        Urgency::Server => 1,
        Urgency::LoadGenerator => 2,
    };
    let real_time = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let level = ThreadPriority::from_posix(ScheduleParams {
        sched_priority: level,
    });
    let given = set_thread_priority_and_policy(thread_native_id(), level, real_time).is_ok();
    if !given {
        raise_above_ordinary();
    }
    given
}

/// Gives the calling thread the highest priority below real time, if permitted; if not, the recorded lateness shows the
/// effect.
pub fn raise_above_ordinary() {
    let ordinary = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    let _permitted =
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Max, ordinary);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields 19, 40 and 41 of proc(5)'s `stat`: niceness, real-time priority, policy.
    fn scheduling() -> [i32; 3] {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("Linux reports it");
        let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        [16, 37, 38].map(|field| fields[field].parse().expect("a number"))
    }

    #[test]
    fn real_time_priority_can_be_replaced_by_the_highest_ordinary_one() {
        let seen = std::thread::spawn(|| {
            if !raise(Urgency::LoadGenerator) {
                eprintln!("skipped: no right to real-time priority");
                return None;
            }
            let real_time = scheduling();
            raise_above_ordinary();
            Some((real_time, scheduling()))
        });
        if let Some((real_time, ordinary)) = seen.join().expect("no panic") {
            assert_eq!(real_time[1..], [2, 2], "SCHED_RR is policy 2");
            assert_eq!(ordinary, [-20, 0, 0], "SCHED_OTHER is policy 0");
        }
    }
}
