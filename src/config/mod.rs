//! Text to valid types: `perfgate.yaml` and `thresholds.yaml`, every problem at once.

mod plan;

pub use plan::*;
