//! What the runner needs of a server: to be started, measured at a load point, and removed.
//!
//! ```text
//! RepeatContext ─ Arm ──▶ dyn Side ─┬─ ServerSide   launch, load, telemetry
//!                                  └─ Scripted     the simulator's engine without a clock (tests)
//! ```

use futures_util::future::LocalBoxFuture;

use super::measured::Measured;
use super::repeat_context::RepeatContext;
use super::run_in_progress::RunInProgress;
use crate::config::LoadPoint;
use crate::event::RepeatLabel;
use crate::failure::Failure;
use crate::workload;

/// What comes of a step, once it has been waited for.
pub(crate) type Awaited<'s, T> = LocalBoxFuture<'s, Result<T, Failure>>;

/// One server at a time. Dropped, it removes the one that runs.
pub(crate) trait Side {
    /// Starts a server and waits until it is ready. Where that fails, nothing is left running.
    fn start<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()>;

    /// Runs one load point on it.
    fn load<'s>(&'s mut self, repeat: &'s OneRepeat<'s>, load: LoadPoint) -> Awaited<'s, Measured>;

    /// Removes the server, whatever state it is in.
    fn stop<'s>(&'s mut self, context: &'s RepeatContext<'s>) -> Awaited<'s, ()>;
}

/// Which repeat of what.
pub(crate) struct OneRepeat<'r> {
    /// How it is measured.
    pub(crate) context: &'r RepeatContext<'r>,
    /// What is sent, and what is known so far.
    pub(crate) run: &'r RunInProgress,
    /// From 0.
    pub(crate) number: u32,
    /// How many are wanted.
    pub(crate) of: u32,
}

impl OneRepeat<'_> {
    pub(crate) fn label(&self) -> RepeatLabel {
        self.context.label(self.number, self.of)
    }

    /// Of the arrivals at that load.
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
