//! One arm of a measurement: its server, its repeats, and its result on disk.

use super::repeat_context::RepeatContext;
use super::run_in_progress::RunInProgress;
#[cfg(debug_assertions)]
use super::scripted::Scripted;
use super::server_side::ServerSide;
use super::side::{OneRepeat, Side};
use super::stopwatch::{Part, Stopwatch};
use super::{early_end, expectations, gpus};
use crate::config::{Fresh, LoadPoint, ServerPlan};
use crate::event::RunEvent;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::inputs::result_file;
use crate::record::format::ResultFile;
use crate::{files, record};

/// Why a repeat of an interrupted run is void.
pub(super) const INTERRUPTED: &str = "not measured: the run was interrupted";

/// An arm of a measurement.
pub(crate) struct Arm<'a> {
    /// How its repeats are measured.
    pub(crate) context: RepeatContext<'a>,
    /// The measurements.
    pub(crate) run: RunInProgress,
    side: Box<dyn Side>,
    /// Whether a server runs: that of the previous repeat, if the plan uses one server for all.
    is_running: bool,
    /// Name of the server start of the current repeat, as its measurements have it.
    pub(crate) start_name: Option<String>,
    /// Number of server starts so far.
    pub(crate) starts: u32,
    stopwatch: Stopwatch,
}

impl<'a> Arm<'a> {
    /// Begins, or continues the result of an earlier run.
    pub(crate) fn begin(
        context: RepeatContext<'a>,
        earlier: Option<ResultFile>,
    ) -> Result<Self, Failure> {
        let mut run = RunInProgress::new(&context)?;
        let stopwatch = Stopwatch::after(earlier.as_ref().and_then(|earlier| earlier.price));
        if let Some(earlier) = earlier {
            run.kept = true;
            run.result = earlier;
            // After an interruption during a repeat, some load points have one more repeat than others.
            run.fill_up(run.repeats(), INTERRUPTED);
        }
        // Before the first GPU minute: fail now if the result cannot be written.
        files::check_writable(&context.output).map_err(cannot_keep)?;
        Ok(Self {
            side: side_of(&context)?,
            context,
            run,
            is_running: false,
            start_name: None,
            starts: 0,
            stopwatch,
        })
    }

    /// Measures one repeat of every load point on one server; `of` is the wanted number.
    pub(crate) async fn repeat(&mut self, of: u32) -> Result<(), Failure> {
        let repeat = self.run.repeats();
        self.start(repeat, of).await?;
        let measured = self.all_loads(repeat, of).await;
        self.end(measured, repeat, of).await?;
        self.check_failures()
            .and_then(|()| self.context.command.interrupt.check())
            .map_err(|failure| self.with_evidence(failure, repeat))?;
        for scenario in &self.run.result.scenarios {
            if let Some(reason) = scenario.repeats.last().and_then(|last| last.void.as_ref()) {
                self.context.emit(RunEvent::Void {
                    repeat: Some(self.context.label(repeat, of)),
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
            context: &self.context,
            run: &self.run,
            number: repeat,
            of,
        };
        self.stopwatch.run();
        let mut started = self.side.wait(&at).await;
        self.stopwatch.ends(Part::Waiting);
        if started.is_ok() {
            if !matches!(self.context.server, ServerPlan::Url(_)) {
                self.stopwatch.count_start();
            }
            started = self.side.start(&at).await;
            self.stopwatch.ends(Part::Startup);
        }
        if let Err(failure) = started {
            self.stopwatch.stop(Part::Waiting);
            self.keep_price();
            return Err(self.with_evidence(failure, repeat));
        }
        self.is_running = true;
        self.start_name = Some(self.context.start_name(&self.run.id, repeat));
        Ok(())
    }

    async fn all_loads(&mut self, repeat: u32, of: u32) -> Result<(), Failure> {
        let context = self.context.clone();
        for load in &context.plan.loads {
            self.load(&context, *load, repeat, of).await?;
        }
        Ok(())
    }

    /// Measures one load point in that context, and saves it.
    pub(crate) async fn load(
        &mut self,
        context: &RepeatContext<'_>,
        load: LoadPoint,
        repeat: u32,
        of: u32,
    ) -> Result<(), Failure> {
        let at = OneRepeat {
            context,
            run: &self.run,
            number: repeat,
            of,
        };
        self.stopwatch.ends(Part::Waiting);
        let measured = self.side.load(&at, load).await;
        self.stopwatch.ends(Part::Load);
        let mut measured = measured?;
        if measured.repeat.start.is_none() {
            measured.repeat.start.clone_from(&self.start_name);
        }
        self.start_name.clone_from(&measured.repeat.start);
        self.run.add(context.plan, load, measured)?;
        self.keep()?;
        // After saving, so that an unexpected result is kept too.
        expectations::check(context.plan, &self.run.result, context.command.events)
    }

    /// Saves the measurements so far, completely or not at all; in a temporary folder if the path is not writable any more.
    pub(crate) fn keep(&mut self) -> Result<(), Failure> {
        self.stopwatch.ends(Part::Waiting);
        self.note_price();
        record::save(&self.context.output, &self.run.result).map_err(|error| {
            result_file::rescue(&self.context.output, &self.run.result, cannot_keep(error))
        })?;
        self.run.kept = true;
        Ok(())
    }

    fn note_price(&mut self) {
        let environment = self.run.result.environment.as_ref();
        let found = environment.and_then(|environment| environment.gpus.as_deref());
        let RepeatContext {
            server, command, ..
        } = &self.context;
        let gpus = gpus::used(found.unwrap_or_default(), server, command.environment);
        let price = self.stopwatch.price(gpus);
        self.run.result.price = Some(price);
    }

    /// Saves the price after a failure, if the result is on disk. The failure counts, not whether this succeeds.
    fn keep_price(&mut self) {
        self.note_price();
        if self.run.kept
            && let Err(error) = record::save(&self.context.output, &self.run.result)
        {
            tracing::debug!("cannot save the price: {error}");
        }
    }

    /// Removes the server after any result, unless the next repeat uses it.
    pub(crate) async fn end<T>(
        &mut self,
        measured: Result<T, Failure>,
        repeat: u32,
        of: u32,
    ) -> Result<T, Failure> {
        let again = self.context.fresh == Fresh::Run && repeat + 1 < of;
        if measured.is_ok() && again && self.context.command.interrupt.check().is_ok() {
            return measured;
        }
        self.is_running = false;
        let stopped = self.side.stop(&self.context).await;
        self.stopwatch.stop(Part::Waiting);
        let ended = measured.and_then(|measured| stopped.map(|()| measured));
        match ended {
            Ok(measured) => self.keep().map(|()| measured),
            Err(failure) => {
                self.keep_price();
                Err(failure)
            }
        }
        .map_err(|failure| self.with_evidence(failure, repeat))
    }

    /// Ends a run whose requests fail.
    pub(crate) fn check_failures(&self) -> Result<(), Failure> {
        for scenario in &self.run.result.scenarios {
            if let Some(last) = scenario.repeats.last() {
                let checked = early_end::check_requests(self.context.plan, &scenario.name, last);
                checked.map_err(|failure| {
                    let output = self.context.output.display();
                    failure.hint(format!("the measurements are in `{output}`"))
                })?;
            }
        }
        Ok(())
    }

    /// The failure of a repeat, with the paths of the server's log and of the earlier repeats.
    fn with_evidence(&self, failure: Failure, repeat: u32) -> Failure {
        let failure = self.context.with_log(failure, repeat);
        let output = format!("`{}`", self.context.output.display());
        if self.run.kept && !failure.hints.iter().any(|hint| hint.contains(&output)) {
            failure.hint(format!("earlier repeats are kept in {output}"))
        } else {
            failure
        }
    }
}

/// The side that measures for these repeats.
fn side_of(context: &RepeatContext<'_>) -> Result<Box<dyn Side>, Failure> {
    #[cfg(debug_assertions)]
    if let Some(scripted) = Scripted::of(context)? {
        return Ok(Box::new(scripted));
    }
    let _ = context;
    Ok(Box::new(ServerSide::default()))
}
