//! How soon a thread gets a CPU: for those that must be on time, and sleep most of it.

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ScheduleParams, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The most that an ordinary process may be given.
const NICEST: i32 = -20;

/// Who must be on time, least urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// The embedded server.
    Server,
    /// The load generator: above the embedded server, so that neither that nor another can keep it from measuring.
    LoadGenerator,
}

/// Of the calling thread: real time where that is permitted (`CAP_SYS_NICE` or `RLIMIT_RTPRIO`), else above ordinary
/// processes, else as it is. Says whether it is real time. Only for threads that sleep between short pieces of work, so that
/// nobody starves beside them.
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
        // Where this is refused too, the lateness tells what came of it.
        let _permitted = rustix::process::setpriority_process(None, NICEST).is_ok();
    }
    given
}
