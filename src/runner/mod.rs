//! One run on one server: repeats, pairs, void and again; the evidence of a gate on disk.

pub(crate) mod arm;
pub(crate) mod bisect;
pub(crate) mod early_end;
pub(crate) mod evidence;
pub(crate) mod expectations;
pub(crate) mod gpus;
pub(crate) mod load_points;
pub(crate) mod local_server;
pub(crate) mod lock;
pub(crate) mod measurement;
pub(crate) mod memory;
pub(crate) mod repeat_runner;
mod request_failures;
mod run_in_progress;
#[cfg(debug_assertions)]
mod scripted;
pub(crate) mod sequential_gate;
mod server_side;
mod side;
pub(crate) mod slowdown;
pub(crate) mod spending;
pub(crate) mod visible_gpus;
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
        .map_err(|error| Failure::new(ExitStatus::SurroundingsFailed, error))
}
