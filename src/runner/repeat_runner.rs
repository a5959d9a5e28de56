//! Settings for the repeats of one arm: server, load, and destination of the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::arm::Arm;
use super::repeating::measure_repeats;
pub(crate) use super::run_in_progress::OtherEvidence;
use super::run_in_progress::RunInProgress;
use super::workload_identity::{described_load, described_workload, source};
use crate::config::{Fresh, Plan, ServerPlan};
use crate::event::{Events, RepeatLabel};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::cannot_keep;
use crate::inputs::result_file;
use crate::interrupt::Interrupt;
use crate::load::RequestTemplate;
use crate::metric::VERSIONS;
use crate::record;
use crate::record::format::{ResultFile, SCHEMA, Scenario, Tool};
use crate::{clock, files};

/// Settings that are constant over the repeats of one arm.
#[derive(Clone)]
pub(crate) struct RepeatRunner<'a> {
    pub(crate) plan: &'a Plan,
    /// The server: the plan's own, or that of the base version.
    pub(crate) server: &'a ServerPlan,
    /// Whether each repeat gets a fresh server.
    pub(crate) fresh: Fresh,
    /// Name of the side in progress and log file names; empty if there is only one.
    pub(crate) side: &'static str,
    /// Number of the first start and the increment, so that all starts of a run have different numbers.
    pub(crate) ordinals: (u32, u32),
    /// Whether every repeat of a load has its own random arrivals, as pooled repeats need: repeats with the same bursts give
    /// no new information about a load. A gate's repeats share arrivals, so that they add no noise between repeats or between
    /// the sides of a comparison.
    pub(crate) own_arrivals: bool,
    /// Whether failed requests at a load are a result and do not end the run, as in a sweep.
    pub(crate) may_fail: bool,
    /// Path of the result, written after every repeat.
    pub(crate) output: PathBuf,
    /// Folder of server logs.
    pub(crate) logs: Option<PathBuf>,
    /// perfgate's environment.
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) events: &'a Events,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> RepeatRunner<'a> {
    /// A single side: the plan's server, the result at `output`, and server logs beside it.
    pub(crate) fn of_plan(
        plan: &'a Plan,
        output: &Path,
        environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
        events: &'a Events,
        interrupt: &'a Interrupt,
    ) -> Result<Self, Failure> {
        let server = server_of(plan)?;
        let logs = match server {
            ServerPlan::Docker(_) | ServerPlan::Process(_) => Some(output.with_extension("logs")),
            // The simulator has no log, and the log of an external server is not accessible.
            ServerPlan::Simulator(_) | ServerPlan::Url(_) => None,
        };
        Ok(Self {
            plan,
            server,
            fresh: plan.fresh,
            side: "",
            ordinals: (0, 1),
            own_arrivals: false,
            may_fail: false,
            output: output.to_owned(),
            logs,
            environment,
            events,
            interrupt,
        })
    }

    /// Measures all repeats, void ones again. Saves the result after each.
    pub(crate) async fn run(self) -> Result<ResultFile, Failure> {
        let repeats = self.plan.repeat;
        let mut arm = self.begin(None)?;
        measure_repeats(&mut arm, repeats).await?;
        Ok(arm.into_result())
    }

    /// Begins, or continues an earlier run.
    pub(crate) fn begin(self, earlier: Option<ResultFile>) -> Result<Arm<'a>, Failure> {
        let mut run = self.prepare()?;
        if let Some(earlier) = earlier {
            run.kept = true;
            run.result = earlier;
            // After an interruption during a repeat, some load points have one more repeat than others.
            run.fill_up(run.repeats());
        }
        // Before using the GPU: check that the result is writable.
        files::check_writable(&self.output).map_err(cannot_keep)?;
        Arm::new(self, run)
    }

    pub(crate) fn prepare(&self) -> Result<RunInProgress, Failure> {
        let plan = self.plan;
        let source = source(plan)?;
        let template = RequestTemplate {
            endpoint: plan.endpoint,
            model: plan.served_model_name.clone(),
            sampling: plan.sampling.clone(),
            extra_body: plan.extra_body.clone(),
        };
        let workload = described_workload(plan, &source, &template);
        let scenarios = plan.loads.iter().map(|load| Scenario {
            name: load.name(),
            load: Some(described_load(*load, plan)),
            repeats: Vec::new(),
            ..Scenario::default()
        });
        let result = ResultFile {
            schema: SCHEMA.to_owned(),
            name: Some(plan.name.clone()),
            created: Some(clock::timestamp()),
            tool: Some(Tool {
                name: "perfgate".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            source: crate::git::work_tree::of_working_tree(self.environment, self.events),
            promotion: None,
            environment: None,
            server: None,
            workload: Some(workload),
            definitions: VERSIONS
                .map(|(latency, version)| (latency.to_owned(), version))
                .into(),
            scenarios: scenarios.collect(),
        };
        let now = clock::unix_time();
        let id = format!("{:x}-{:x}", now.as_millis(), std::process::id());
        Ok(RunInProgress {
            id,
            source,
            template,
            result,
            kept: false,
            spoiled: BTreeMap::new(),
        })
    }

    /// Number of the server start of that repeat, unique in the run.
    pub(crate) fn ordinal(&self, repeat: u32) -> u32 {
        let (first, step) = self.ordinals;
        first + step * repeat
    }

    /// Path of the server log of a repeat.
    pub(crate) fn log_file(&self, repeat: u32) -> Option<PathBuf> {
        let dash = if self.side.is_empty() { "" } else { "-" };
        let name = format!("server{dash}{}-{}.log", self.side, repeat + 1);
        self.logs.as_ref().map(|folder| folder.join(name))
    }

    /// A failure of the server with the path of its log.
    fn with_log(&self, failure: Failure, repeat: u32) -> Failure {
        match self.log_file(repeat) {
            Some(log) if failure.status == ExitStatus::TargetFailed && log.is_file() => {
                failure.hint(format!("complete server log: `{}`", log.display()))
            }
            Some(_) | None => failure,
        }
    }

    /// A failed repeat with the paths of the server's log and of earlier repeats.
    pub(crate) fn with_evidence(
        &self,
        failure: Failure,
        run: &RunInProgress,
        repeat: u32,
    ) -> Failure {
        let failure = self.with_log(failure, repeat);
        let output = format!("`{}`", self.output.display());
        if run.kept && !failure.hints.iter().any(|hint| hint.contains(&output)) {
            failure.hint(format!("earlier repeats are kept in {output}"))
        } else {
            failure
        }
    }

    /// Saves the result so far atomically; at another path if its own is no longer writable.
    pub(crate) fn keep(&self, run: &mut RunInProgress) -> Result<(), Failure> {
        record::save(&self.output, &run.result)
            .map_err(|error| result_file::rescue(&self.output, &run.result, cannot_keep(error)))?;
        run.kept = true;
        Ok(())
    }

    /// The label of a repeat (from 0) in events.
    pub(crate) fn label(&self, repeat: u32, of: u32) -> RepeatLabel {
        RepeatLabel {
            side: self.side,
            number: repeat + 1,
            of,
        }
    }

    pub(crate) fn api_key(&self) -> Option<String> {
        crate::environment::api_key(self.environment)
    }
}

/// The server of the plan, or an error with a hint.
pub(crate) fn server_of(plan: &Plan) -> Result<&ServerPlan, Failure> {
    plan.server.as_ref().ok_or_else(no_server)
}

fn no_server() -> Failure {
    Failure::message(ExitStatus::Usage, "no server is configured")
        .hint("use `--url`, `--image` or `--simulator`, or set `server` in perfgate.yaml")
}

/// Fails if all repeats of a result are void.
pub(crate) fn nothing_counts(result: &ResultFile) -> Result<(), Failure> {
    if result.counting_repeats() > 0 {
        return Ok(());
    }
    let mut repeats = result
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.repeats);
    let last = repeats.rfind(|repeat| repeat.void.is_some());
    let last = last.and_then(|repeat| repeat.void.as_deref());
    let message = format!(
        "all repeats are void; the last one because {}",
        last.unwrap_or("it was not measured")
    );
    Err(
        Failure::message(ExitStatus::EnvironmentFailed, message).hint(
            "if the cause was the load generator, reserve a CPU for it, or lower the load; `perfgate doctor` measures the load that this machine can generate",
        ),
    )
}
