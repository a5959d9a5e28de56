//! One arm of a measurement: its server, its repeats, and its result on disk.

use super::repeat_runner::RepeatRunner;
use super::run_in_progress::RunInProgress;
use super::side::{OneRepeat, Side, side_of};
use super::{expectations, request_failures};
use crate::config::{Fresh, LoadPoint};
use crate::event::RunEvent;
use crate::failure::Failure;
use crate::record::format::{ResultFile, Source};

/// An arm of a measurement.
pub(crate) struct Arm<'a> {
    runner: RepeatRunner<'a>,
    run: RunInProgress,
    side: Box<dyn Side>,
    /// Whether a server runs: that of the previous repeat, if the plan uses one server for all.
    is_running: bool,
    /// Number of server starts so far.
    starts: u32,
}

impl<'a> Arm<'a> {
    /// Continues `run`.
    pub(crate) fn new(runner: RepeatRunner<'a>, run: RunInProgress) -> Result<Self, Failure> {
        Ok(Self {
            side: side_of(&runner)?,
            runner,
            run,
            is_running: false,
            starts: 0,
        })
    }

    /// Sets the commit of its build.
    pub(crate) fn is_of(&mut self, commit: Source) {
        self.run.result.source = Some(commit);
    }

    /// The measurements.
    pub(crate) fn into_result(self) -> ResultFile {
        self.run.result
    }

    /// The runner.
    pub(crate) fn runner(&self) -> &RepeatRunner<'a> {
        &self.runner
    }

    pub(crate) fn run(&self) -> &RunInProgress {
        &self.run
    }

    pub(crate) fn run_mut(&mut self) -> &mut RunInProgress {
        &mut self.run
    }

    /// Repeats so far, void ones included.
    pub(crate) fn repeats(&self) -> u32 {
        u32::try_from(self.run.repeats()).unwrap_or(u32::MAX)
    }

    /// Number of server starts.
    pub(crate) fn starts(&self) -> u32 {
        self.starts
    }

    /// The result so far.
    pub(crate) fn result(&self) -> &ResultFile {
        &self.run.result
    }

    /// Fills every load point with repeats up to `count`; missing ones are void.
    pub(crate) fn fill_up(&mut self, count: u32) {
        self.run.fill_up(count as usize);
    }

    /// Measures one repeat of every load point on one server; `of` is the wanted number.
    pub(crate) async fn repeat(&mut self, of: u32) -> Result<(), Failure> {
        let repeat = self.repeats();
        self.start(repeat, of).await?;
        let measured = self.all_loads(repeat, of).await;
        self.end(measured, repeat, of).await?;
        self.check_failures()
            .and_then(|()| self.runner.interrupt.check())
            .map_err(|failure| self.with_evidence(failure, repeat))?;
        for scenario in &self.run.result.scenarios {
            if let Some(reason) = scenario.repeats.last().and_then(|last| last.void.as_ref()) {
                self.runner.events.emit(RunEvent::Void {
                    repeat: Some(self.runner.label(repeat, of)),
                    load: scenario.name.clone(),
                    reason: reason.clone(),
                });
            }
        }
        let spoiled = self.run.check_spoiled();
        spoiled.map_err(|failure| self.with_evidence(failure, repeat))
    }

    /// A server for repeat `repeat` (from 0) of `of`: the running one, or a fresh one.
    pub(crate) async fn start(&mut self, repeat: u32, of: u32) -> Result<(), Failure> {
        if self.is_running {
            return Ok(());
        }
        self.starts += 1;
        let at = OneRepeat {
            runner: &self.runner,
            run: &self.run,
            number: repeat,
            of,
        };
        let started = self.side.start(&at).await;
        started.map_err(|failure| self.with_evidence(failure, repeat))?;
        self.is_running = true;
        Ok(())
    }

    async fn all_loads(&mut self, repeat: u32, of: u32) -> Result<(), Failure> {
        let runner = self.runner.clone();
        for load in &runner.plan.loads {
            self.load(&runner, *load, repeat, of).await?;
        }
        Ok(())
    }

    /// Measures one load point with `runner` and saves the result.
    pub(crate) async fn load(
        &mut self,
        runner: &RepeatRunner<'_>,
        load: LoadPoint,
        repeat: u32,
        of: u32,
    ) -> Result<(), Failure> {
        let at = OneRepeat {
            runner,
            run: &self.run,
            number: repeat,
            of,
        };
        let measured = self.side.load(&at, load).await?;
        self.run.add(runner.plan, load, measured)?;
        self.keep()?;
        // After saving, so that unexpected results are kept too.
        expectations::check(runner.plan, &self.run.result, runner.events)
    }

    /// Saves the result so far.
    pub(crate) fn keep(&mut self) -> Result<(), Failure> {
        self.runner.keep(&mut self.run)
    }

    /// Removes the server after any result, unless the next repeat uses it.
    pub(crate) async fn end<T>(
        &mut self,
        measured: Result<T, Failure>,
        repeat: u32,
        of: u32,
    ) -> Result<T, Failure> {
        let again = self.runner.fresh == Fresh::Run && repeat + 1 < of;
        if measured.is_ok() && again && self.runner.interrupt.check().is_ok() {
            return measured;
        }
        self.is_running = false;
        let stopped = self.side.stop(&self.runner).await;
        measured
            .and_then(|measured| stopped.map(|()| measured))
            .map_err(|failure| self.with_evidence(failure, repeat))
    }

    /// Ends a run whose requests fail.
    pub(crate) fn check_failures(&self) -> Result<(), Failure> {
        for scenario in &self.run.result.scenarios {
            if let Some(last) = scenario.repeats.last() {
                let checked = request_failures::check(self.runner.plan, &scenario.name, last);
                checked.map_err(|failure| {
                    let output = self.runner.output.display();
                    failure.hint(format!("the measurements are kept in `{output}`"))
                })?;
            }
        }
        Ok(())
    }

    /// A failure with the paths of the remaining files.
    fn with_evidence(&self, failure: Failure, repeat: u32) -> Failure {
        self.runner.with_evidence(failure, &self.run, repeat)
    }
}
