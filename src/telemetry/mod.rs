//! Observations during the load: server metrics, GPU, host.
//!
//! A [`Sampler`] watches one repeat; [`Observed`] has a value or a reason for every metric of telemetry.

mod continuity;
mod engine_log;
pub mod gpu;
mod host;
mod observed;
pub mod prometheus;
mod sampler;
mod series;
pub mod server;

pub use engine_log::EngineLog;
pub use gpu::{Search, Survey, survey};
pub use host::{HostFacts, environment, machine};
pub use observed::{Looking, Observed};
pub use sampler::Sampler;

/// The larger of two figures, each possibly unknown.
fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}
