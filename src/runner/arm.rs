//! One side of a measurement, repeat by repeat, each on a server of its own.

use super::repeat_runner::{Measuring, RunInProgress, explain};
use crate::config::Fresh;
use crate::failure::Failure;
use crate::failure::of_adapters::launch_failure;
use crate::launch::Target;
use crate::metric::Metric;
use crate::record::format::{Repeat, ResultFile, Scenario, Source};
use crate::terminal::progress::note;

/// Void repeats are measured again, so many times at most.
pub(crate) const MOST_VOID: u32 = 3;

/// A side that is being measured, repeat by repeat.
pub(crate) struct Arm<'a> {
    measuring: Measuring<'a>,
    run: RunInProgress,
    /// The server of the repeat before, where the plan does not ask for fresh ones.
    kept: Option<Target>,
    /// Servers started so far.
    starts: u32,
}

impl<'a> Arm<'a> {
    /// Goes on with what `run` has so far.
    pub(crate) fn new(measuring: Measuring<'a>, run: RunInProgress) -> Self {
        Self {
            measuring,
            run,
            kept: None,
            starts: 0,
        }
    }

    /// Says which commit it is a build of.
    pub(crate) fn is_of(&mut self, commit: Source) {
        self.run.result.source = Some(commit);
    }

    /// What was measured.
    pub(crate) fn into_result(self) -> ResultFile {
        self.run.result
    }

    /// Repeats so far, void ones included.
    pub(crate) fn repeats(&self) -> u32 {
        let counts = self
            .run
            .result
            .scenarios
            .iter()
            .map(|scenario| scenario.repeats.len());
        counts
            .max()
            .map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Servers that were started for it.
    pub(crate) fn starts(&self) -> u32 {
        self.starts
    }

    /// What was measured so far.
    pub(crate) fn result(&self) -> &ResultFile {
        &self.run.result
    }

    /// Measures one repeat of every load point on one server; `of` so many that are wanted.
    pub(crate) async fn repeat(&mut self, of: u32) -> Result<(), Failure> {
        let repeat = self.repeats();
        let Self {
            measuring,
            run,
            kept,
            starts,
        } = self;
        let target = if let Some(target) = kept.take() {
            target
        } else {
            *starts += 1;
            let launched = measuring.launch(&run.id, repeat, of).await;
            launched.map_err(|failure| measuring.with_evidence(failure, run, repeat))?
        };
        let measured = measuring.repeat(run, &target, repeat, of).await;
        let again = measuring.fresh == Fresh::Run && repeat + 1 < of;
        if measured.is_ok() && again {
            *kept = Some(target);
        } else {
            let death = target.death();
            let stopped = measuring.stop(target).await;
            let stopped = stopped.map_err(|error| launch_failure(&error));
            measured
                .map_err(|failure| explain(failure, death))
                .and(stopped)
                .map_err(|failure| measuring.with_evidence(failure, run, repeat))?;
        }
        measuring
            .too_many_failures(run)
            .and_then(|()| measuring.interrupt.check())
            .map_err(|failure| measuring.with_evidence(failure, run, repeat))?;
        for scenario in &run.result.scenarios {
            if let Some(reason) = scenario.repeats.last().and_then(|last| last.void.as_ref()) {
                let place = measuring.label(repeat, of);
                note(&format!(
                    "{place}: {} does not count: {reason}",
                    scenario.name
                ));
            }
        }
        Measuring::spoiled(run).map_err(|failure| measuring.with_evidence(failure, run, repeat))
    }

    /// Gives every load point, and so every pair, a place for each repeat up to `count`: what an interrupted run did not
    /// measure is void, and what it did measure is kept.
    pub(crate) fn fill_up(&mut self, count: u32) {
        for scenario in &mut self.run.result.scenarios {
            while scenario.repeats.len() < count as usize {
                scenario.repeats.push(not_measured());
            }
        }
    }
}

/// After an interruption in the middle of a repeat, some load points have one repeat more than the others.
pub(crate) fn even_out(scenarios: &mut [Scenario]) {
    let most = scenarios
        .iter()
        .map(|scenario| scenario.repeats.len())
        .max()
        .unwrap_or(0);
    for scenario in scenarios {
        scenario.repeats.resize_with(most, not_measured);
    }
}

fn not_measured() -> Repeat {
    Repeat {
        metrics: std::iter::once((Metric::QPS.id().to_owned(), None)).collect(),
        void: Some("not measured: the run was interrupted".to_owned()),
        ..Repeat::default()
    }
}
