//! One run on one server: repeats, pairs, repetition of void repeats; the evidence of a gate on disk.
//!
//! ```text
//! RepeatContext (plan, server, output) ──────▶ Arm ─start, load, stop─▶ dyn Side ─┬─ ServerSide (launch, load, telemetry)
//!      repeating: repeats and pairs             │ after each load point            └─ Scripted (tests: no clock, no server)
//!      load_points: loads that a search chooses ▼
//!      sequential_gate: steps of the trial      result file ─▶ evidence, spending
//! ```
//!
//! - An [`arm::Arm`] has one server at a time. It starts the server for a repeat, keeps it for the next one with
//!   `fresh: run`, and removes it after any result; dropping the side also removes the server.
//! - The result is saved atomically after every load point, so an interruption loses at most one.
//! - An unusable repeat is void with a reason; [`repeating`] measures it again, at most three times.
//! - Pairs alternate A B, B A. Half of an interrupted pair is void, because its partner would be measured much later.
//! - Progress is emitted as [`crate::event::RunEvent`]; `terminal` words it.
//! - `bisect/` checks out and builds commits, and runs the same gate for each.

pub(crate) mod arm;
pub(crate) mod bisect;
pub(crate) mod early_end;
pub(crate) mod evidence;
pub(crate) mod expectations;
pub(crate) mod gate_budget;
pub(crate) mod gpus;
pub(crate) mod load_points;
pub(crate) mod local_server;
pub(crate) mod lock;
mod measurement;
mod memory;
pub(crate) mod mlperf_run;
pub(crate) mod repeat_context;
pub(crate) mod repeating;
pub(crate) mod run_in_progress;
#[cfg(debug_assertions)]
mod scripted;
pub(crate) mod sequential_gate;
mod server_side;
mod side;
pub(crate) mod slowdown;
pub(crate) mod spending;
mod stopwatch;
pub(crate) mod sweep_run;
#[cfg(test)]
mod tests;
mod visible_gpus;
pub(crate) mod warm_up;
pub(crate) mod workload_identity;

use std::time::Duration;

use crate::environment::Environment;
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// What a command gives to every measurement.
#[derive(Clone, Copy)]
pub(crate) struct CommandContext<'a> {
    /// When the command began, since the Unix epoch.
    pub(crate) began: Duration,
    /// perfgate's environment.
    pub(crate) environment: &'a Environment,
    pub(crate) events: &'a Events,
    pub(crate) interrupt: &'a Interrupt,
}

/// The async runtime. Two workers are sufficient and leave the machine to the server. `on_thread_start` runs in each
/// of them.
pub(crate) fn runtime(on_thread_start: fn()) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(on_thread_start)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitStatus::EnvironmentFailed, error))
}
