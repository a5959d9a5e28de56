//! How the repeats of one arm are measured: on which server, with which load, and where the result goes.

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

/// Everything that stays the same over the repeats of one arm.
#[derive(Clone)]
pub(crate) struct RepeatRunner<'a> {
    pub(crate) plan: &'a Plan,
    /// Which server: the plan's own, or that of the base version.
    pub(crate) server: &'a ServerPlan,
    /// Whether each repeat gets a fresh server.
    pub(crate) fresh: Fresh,
    /// What the side is called in progress and in the names of logs; empty where there is only one.
    pub(crate) side: &'static str,
    /// Number of the first start and distance of the next, so that no two starts of a run are the same.
    pub(crate) ordinals: (u32, u32),
    /// Whether every repeat of a load draws arrivals of its own, as one must whose repeats are pooled: they say nothing
    /// new about a load whose bursts are the same ones. A gate's repeats share them, so that chance in them is no noise
    /// between repeats, nor between the sides of a comparison.
    pub(crate) own_arrivals: bool,
    /// Whether a load at which requests fail is an answer and not the end of the run, as in a sweep.
    pub(crate) may_fail: bool,
    /// Where the result goes, after every repeat.
    pub(crate) output: PathBuf,
    /// Where server logs go.
    pub(crate) logs: Option<PathBuf>,
    /// Perfgate's own environment.
    pub(crate) environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub(crate) events: &'a Events,
    pub(crate) interrupt: &'a Interrupt,
}

impl<'a> RepeatRunner<'a> {
    /// One side alone: the plan's own server, the result at `output`, and the logs of servers beside it.
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
            // One has nothing to say, and the other's log is somebody else's.
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

    /// Measures all repeats, void ones anew. The result is on disk after each of them, whatever comes later.
    pub(crate) async fn run(self) -> Result<ResultFile, Failure> {
        let repeats = self.plan.repeat;
        let mut arm = self.begin(None)?;
        measure_repeats(&mut arm, repeats).await?;
        Ok(arm.into_result())
    }

    /// Begins, or goes on with what an earlier run measured.
    pub(crate) fn begin(self, earlier: Option<ResultFile>) -> Result<Arm<'a>, Failure> {
        let mut run = self.prepare()?;
        if let Some(earlier) = earlier {
            run.kept = true;
            run.result = earlier;
            // After an interruption in the middle of a repeat, some load points have one repeat more than the others.
            run.fill_up(run.repeats());
        }
        // Before the first GPU minute: a result that cannot be written is not worth measuring.
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

    /// Number of the server start of that repeat, unlike that of any other start of the run.
    pub(crate) fn ordinal(&self, repeat: u32) -> u32 {
        let (first, step) = self.ordinals;
        first + step * repeat
    }

    /// Where the log of the server of a repeat is kept.
    pub(crate) fn log_file(&self, repeat: u32) -> Option<PathBuf> {
        let dash = if self.side.is_empty() { "" } else { "-" };
        let name = format!("server{dash}{}-{}.log", self.side, repeat + 1);
        self.logs.as_ref().map(|folder| folder.join(name))
    }

    /// A failure of the server with the place of its log.
    fn with_log(&self, failure: Failure, repeat: u32) -> Failure {
        match self.log_file(repeat) {
            Some(log) if failure.status == ExitStatus::TargetFailed && log.is_file() => {
                failure.hint(format!("the server's whole log: `{}`", log.display()))
            }
            Some(_) | None => failure,
        }
    }

    /// A failed repeat with the places of what is left: the server's log, and what was measured before.
    pub(crate) fn with_evidence(
        &self,
        failure: Failure,
        run: &RunInProgress,
        repeat: u32,
    ) -> Failure {
        let failure = self.with_log(failure, repeat);
        let output = format!("`{}`", self.output.display());
        if run.kept && !failure.hints.iter().any(|hint| hint.contains(&output)) {
            failure.hint(format!("what was measured before is in {output}"))
        } else {
            failure
        }
    }

    /// Puts what was measured so far on disk, whole or not at all; elsewhere where that is not possible any more.
    pub(crate) fn keep(&self, run: &mut RunInProgress) -> Result<(), Failure> {
        record::save(&self.output, &run.result)
            .map_err(|error| result_file::rescue(&self.output, &run.result, cannot_keep(error)))?;
        run.kept = true;
        Ok(())
    }

    /// How a repeat (from 0) is named in events.
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

/// The server of the plan, or what to do where it has none.
pub(crate) fn server_of(plan: &Plan) -> Result<&ServerPlan, Failure> {
    plan.server.as_ref().ok_or_else(no_server)
}

fn no_server() -> Failure {
    Failure::message(ExitStatus::Usage, "nothing says which server to measure")
        .hint("give `--url`, `--image` or `--simulator`, or a `server` in perfgate.yaml")
}

/// What a result is not worth going on with: no repeat of it counts.
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
        "no repeat counts: every one of them is void; the last one because {}",
        last.unwrap_or("it was not measured")
    );
    Err(
        Failure::message(ExitStatus::EnvironmentFailed, message).hint(
            "if the cause was the load generator, give it a CPU of its own, or send less; `perfgate doctor` shows what this machine can drive",
        ),
    )
}
