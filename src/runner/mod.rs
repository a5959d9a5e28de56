//! One run on one server: repeats, pairs, void and again; the evidence of a gate on disk.
//!
//! ```text
//! RepeatContext (plan, server, output) ──────▶ Arm ─start, load, stop─▶ dyn Side ─┬─ ServerSide (launch, load, telemetry)
//!      repeating: repeats and pairs             │ after each load point            └─ Scripted (tests: no clock, no server)
//!      load_points: loads that a search chooses ▼
//!      sequential_gate: what the trial asks     result file ─▶ evidence, spending
//! ```
//!
//! - An [`arm::Arm`] has one server at a time. It starts it for a repeat, keeps it for the next one where the plan wants
//!   `fresh: run`, and removes it whatever came of measuring; dropped, its side removes the server too.
//! - The result is on disk after every load point, whole or not at all, so an interruption loses at most one.
//! - A repeat that does not count is void with a reason; [`repeating`] measures it again, three times at most.
//! - Pairs alternate A B, B A. Half a pair that was interrupted is void, because its partner would be of another hour.
//! - What happens is told as [`crate::event::RunEvent`]; `terminal` has the words.
//! - `bisect/` checks commits out and builds them, and asks the same gate about each.

pub(crate) mod arm;
pub(crate) mod bisect;
pub(crate) mod early_end;
pub(crate) mod evidence;
pub(crate) mod expectations;
pub(crate) mod gpus;
pub(crate) mod load_points;
pub(crate) mod local_server;
pub(crate) mod lock;
mod measured;
mod measurement;
mod memory;
pub(crate) mod mlperf_run;
pub(crate) mod repeat_context;
pub(crate) mod repeating;
mod request_failures;
pub(crate) mod run_in_progress;
#[cfg(debug_assertions)]
mod scripted;
pub(crate) mod sequential_gate;
mod server_side;
mod side;
pub(crate) mod slowdown;
pub(crate) mod spending;
pub(crate) mod sweep_run;
#[cfg(test)]
mod tests;
mod visible_gpus;
pub(crate) mod warm_up;
pub(crate) mod workload_identity;

use crate::exit::ExitStatus;
use crate::failure::Failure;

/// The async runtime. Two workers are enough for what is measured here, and leave the machine to the server beside it.
/// `on_thread_start` runs in each of them.
pub(crate) fn runtime(on_thread_start: fn()) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(on_thread_start)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))
}
