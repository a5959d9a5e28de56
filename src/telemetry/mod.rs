//! Observations during the load: server metrics, GPU, host.
//!
//! A [`Sampler`] watches one repeat; [`Observed`] has a value or a reason for every metric of telemetry.

mod continuity;
mod engine_log;
pub mod gpu;
mod gpus_seen;
mod host;
pub mod prometheus;
mod sampler;
mod series;
pub mod server;

pub use engine_log::EngineLog;
pub use gpu::{GpuSource, Search, Survey, survey};
pub use host::{HostFacts, environment, machine};
pub use sampler::{Looking, Observed, Sampler};

/// The larger of two figures, each possibly unknown.
fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (found, None) | (None, found) => found,
    }
}
