//! Operations of the runner on a server: wait for its GPUs, start, measure a load point, remove.
//!
//! ```text
//! RepeatContext ─ Arm ──▶ dyn Side ─┬─ ServerSide   launch, load, telemetry
//!                                  └─ Scripted     the simulator's engine without a clock (tests)
//! ```

use futures_util::future::LocalBoxFuture;

use super::repeat_context::RepeatContext;
use super::run_in_progress::{Measured, RunInProgress};
use crate::config::LoadPoint;
use crate::event::RepeatLabel;
use crate::failure::Failure;
use crate::workload;

/// The future result of a step.
pub(crate) type Awaited<'s, T> = LocalBoxFuture<'s, Result<T, Failure>>;

/// One server at a time; dropping removes the running one.
pub(crate) trait Side {
    /// Waits until the machine is free for a server.
    fn wait<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()>;

    /// Starts a server and waits until it is ready. After a failure no server is left.
    fn start<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()>;

    /// Runs one load point on the server.
    fn load<'s>(&'s mut self, repeat: &'s OneRepeat<'s>, load: LoadPoint) -> Awaited<'s, Measured>;

    /// Removes the server in any state.
    fn stop<'s>(&'s mut self, context: &'s RepeatContext<'s>) -> Awaited<'s, ()>;
}

/// A repeat with its context.
pub(crate) struct OneRepeat<'r> {
    /// How it is measured.
    pub(crate) context: &'r RepeatContext<'r>,
    /// The run so far.
    pub(crate) run: &'r RunInProgress,
    /// From 0.
    pub(crate) number: u32,
    /// The wanted number.
    pub(crate) of: u32,
}

impl OneRepeat<'_> {
    pub(crate) fn label(&self) -> RepeatLabel {
        self.context.label(self.number, self.of)
    }

    /// The seed of arrivals at a load.
    pub(crate) fn seed_of_arrivals(&self, load: LoadPoint) -> u64 {
        let seed = self.context.plan.seed;
        if self.context.own_arrivals {
            let (load, repeat) = (load.name(), self.number.to_string());
            workload::seed_of(seed, &["arrivals", &load, &repeat])
        } else {
            seed
        }
    }
}
