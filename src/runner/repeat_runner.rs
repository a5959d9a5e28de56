//! The measuring half of `bench` and `gate`: launch, load, measure, record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::arm::{Arm, MOST_VOID, even_out};
use super::measurement::{Pass, Passed};
use super::workload_identity::{described_load, described_workload, source};
use super::{early_end, expectations, gpus};
use crate::config::{Fresh, LoadPoint, Plan, ServerPlan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, launch_failure, load_failure};
use crate::inputs::result_file;
use crate::interrupt::Interrupt;
use crate::launch::{self, Launch, Target};
use crate::load::{Client, LoadError, RequestTemplate};
use crate::measure::RequestOutcome;
use crate::metric::VERSIONS;
use crate::record::format::{
    Environment, Load, Repeat, RequestCounts, ResultFile, SCHEMA, Scenario, Server, Tool,
};
use crate::record::{self, Failures};
use crate::stats::number;
use crate::terminal::progress::{Progress, note};
use crate::workload::Source;
use crate::{clock, files};

/// From the breaking of a dying server's connections to the sight of its end, at most.
const END_IS_SEEN: Duration = Duration::from_secs(1);

/// One side of a measurement: everything that stays the same over its repeats.
#[derive(Clone)]
pub(crate) struct Measuring<'a> {
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
    pub(crate) progress: &'a Progress,
    pub(crate) interrupt: &'a Interrupt,
}

/// What is being put together.
pub(crate) struct RunInProgress {
    pub(crate) id: String,
    pub(crate) source: Source,
    pub(crate) template: RequestTemplate,
    pub(crate) result: ResultFile,
    /// Whether something of it is on disk.
    pub(crate) kept: bool,
    /// Of each scenario, how many of its last repeats in a row the load generator spoiled ([`Passed::is_spoiled`]).
    pub(crate) spoiled: BTreeMap<String, u32>,
}

impl<'a> Measuring<'a> {
    /// One side alone: the plan's own server, the result at `output`, and the logs of servers beside it.
    pub(crate) fn of_plan(
        plan: &'a Plan,
        output: &Path,
        environment: &'a (dyn Fn(&str) -> Option<String> + Sync),
        progress: &'a Progress,
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
            progress,
            interrupt,
        })
    }

    /// Measures all repeats, void ones anew. The result is on disk after each of them, whatever comes later.
    pub(crate) async fn run(self) -> Result<ResultFile, Failure> {
        let repeats = self.plan.repeat;
        let mut arm = self.begin(None)?;
        loop {
            let void = arm.repeats() - arm.result().counting_repeats();
            if arm.repeats() - void >= repeats || void > MOST_VOID {
                break;
            }
            arm.repeat(repeats + void).await?;
        }
        Ok(arm.into_result())
    }

    /// Begins, or goes on with what an earlier run measured.
    pub(crate) fn begin(self, earlier: Option<ResultFile>) -> Result<Arm<'a>, Failure> {
        let mut run = self.prepare()?;
        if let Some(earlier) = earlier {
            run.kept = true;
            run.result = earlier;
            even_out(&mut run.result.scenarios);
        }
        // Before the first GPU minute: a result that cannot be written is not worth measuring.
        files::check_writable(&self.output).map_err(cannot_keep)?;
        Ok(Arm::new(self, run))
    }

    /// What `run` sends from now on is what this plan says; what it measured stays.
    pub(crate) fn reshape(&self, run: &mut RunInProgress) -> Result<(), Failure> {
        run.source = source(self.plan)?;
        Ok(())
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
            source: crate::git::work_tree::of_working_tree(
                self.environment,
                &crate::terminal::events(),
            ),
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

    pub(crate) async fn launch(
        &self,
        run_id: &str,
        repeat: u32,
        of: u32,
    ) -> Result<Target, Failure> {
        let place = self.label(repeat, of);
        let free = gpus::wait_until_free(self, &place);
        self.progress.reminding(free).await?;
        let log = self.log_file(repeat);
        let own_program = own_program()
            .map_err(|error| launch_failure(&launch::LaunchError::OwnProgram(error)))?;
        let api_key = self.api_key();
        let (first, step) = self.ordinals;
        let launch = Launch {
            plan: self.server,
            model: &self.plan.model,
            served_model_name: &self.plan.served_model_name,
            engine_args: &self.plan.engine_args,
            run_id,
            ordinal: first + step * repeat,
            log_file: log.as_deref(),
            api_key: api_key.as_deref(),
            headers: &self.plan.headers,
            environment: self.environment,
            stop_grace: launch::STOP_GRACE,
            own_program: &own_program,
        };
        let told = |phase: launch::Phase| self.progress.phase(&format!("{place}: {phase}"));
        let cancel = self.interrupt.token();
        let starting = launch::start(&launch, &told, &cancel);
        let started = self.progress.reminding(starting).await;
        started.map_err(|error| self.with_log(launch_failure(&error), repeat))
    }

    /// Stops the server, and says so to somebody who interrupted and waits.
    pub(crate) async fn stop(&self, target: Target) -> Result<(), launch::LaunchError> {
        let stopping = target.stop_in(self.interrupt.hurry());
        tokio::pin!(stopping);
        let token = self.interrupt.token();
        tokio::select! {
            biased;
            stopped = &mut stopping => return stopped,
            () = token.cancelled() => {}
        }
        note("stopping the server; Ctrl-C again to kill it at once");
        stopping.await
    }

    /// Where the log of the server of a repeat is kept.
    fn log_file(&self, repeat: u32) -> Option<PathBuf> {
        let dash = if self.side.is_empty() { "" } else { "-" };
        let name = format!("server{dash}{}-{}.log", self.side, repeat + 1);
        self.logs.as_ref().map(|folder| folder.join(name))
    }

    /// A failure of the server with the place of its log.
    fn with_log(&self, failure: Failure, repeat: u32) -> Failure {
        match self.log_file(repeat) {
            Some(log) if failure.status == ExitStatus::TargetFailed && log.is_file() => {
                let hint = format!("the server's whole log: `{}`", log.display());
                // A start that failed has said so before its repeat did.
                if failure.hints.contains(&hint) {
                    failure
                } else {
                    failure.hint(hint)
                }
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

    /// `repeat 2/3`, `base, repeat 2/3`.
    pub(crate) fn label(&self, repeat: u32, of: u32) -> String {
        let comma = if self.side.is_empty() { "" } else { ", " };
        format!("{}{comma}repeat {}/{of}", self.side, repeat + 1)
    }

    fn api_key(&self) -> Option<String> {
        crate::environment::api_key(self.environment)
    }

    /// All scenarios once on one server.
    pub(crate) async fn repeat(
        &self,
        run: &mut RunInProgress,
        target: &Target,
        repeat: u32,
        of: u32,
    ) -> Result<(), Failure> {
        let api_key = self.api_key();
        let url = format!("{}{}", target.base_url(), run.template.path());
        let client = Client::find(&url, api_key.as_deref())
            .await
            .map_err(|error| load_failure(&error))?
            .with_headers(self.plan.headers.clone());
        let cancel = self.interrupt.token();
        let ended = target.ended();
        for load in &self.plan.loads {
            let scenario = Pass {
                measuring: self,
                run,
                client: &client,
                target,
                load: *load,
                repeat,
                of,
            };
            let passed = tokio::select! {
                biased;
                passed = scenario.run(&cancel) => passed,
                // Dropping the other side drops every connection.
                () = ended.cancelled() => Err(ended_during(repeat, *load)),
                // Not only the load is waited for: a server that hangs answers no question about itself either.
                () = cancel.cancelled() => Err(load_failure(&LoadError::Cancelled)),
            };
            let passed = passed?;
            // A dying server's connections break a moment before its end is seen.
            if self.failures_of(&load.name(), &passed.repeat).is_err()
                && tokio::time::timeout(END_IS_SEEN, ended.cancelled())
                    .await
                    .is_ok()
            {
                return Err(ended_during(repeat, *load));
            }
            run.add(self, *load, passed, target)?;
            self.keep(run)?;
            // After saving: what was measured is kept even where it is not what was expected.
            expectations::check(self.plan, &run.result, self.progress)?;
        }
        Ok(())
    }

    /// Percentiles of what is left over say nothing of a server that refuses.
    pub(crate) fn too_many_failures(&self, run: &RunInProgress) -> Result<(), Failure> {
        for scenario in &run.result.scenarios {
            if let Some(last) = scenario.repeats.last() {
                self.failures_of(&scenario.name, last)?;
            }
        }
        Ok(())
    }

    /// Ends a run whose repeats the load generator spoils one after the other.
    pub(crate) fn spoiled(run: &RunInProgress) -> Result<(), Failure> {
        for scenario in &run.result.scenarios {
            let times = run.spoiled.get(&scenario.name).copied();
            if let Some(last) = scenario.repeats.last()
                && times.unwrap_or_default() >= early_end::MOST_SPOILED
            {
                return Err(early_end::spoiled(last, &scenario.name));
            }
        }
        Ok(())
    }

    /// The same of one scenario's last repeat.
    fn failures_of(&self, scenario: &str, last: &Repeat) -> Result<(), Failure> {
        if early_end::is_not_of_server(last) {
            return Ok(());
        }
        let RequestCounts {
            completed,
            failed,
            truncated,
        } = last.requests.unwrap_or_default();
        let bad = failed + truncated;
        if completed + bad == 0 {
            let message = format!("no request of {scenario} was sent; raise `duration`");
            return Err(Failure::message(ExitStatus::Usage, message));
        }
        let rate = number(bad) / number(completed + bad);
        let is_hung = early_end::is_hung(last);
        if rate <= self.plan.max_error_rate && completed > 0 && !is_hung {
            return Ok(());
        }
        // The server never saw them: such a repeat is void, and says why.
        let client = last.telemetry.client.as_ref();
        let unopened = client.and_then(|client| client.unopened);
        if last.void.is_some() && unopened.unwrap_or_default() > 0 {
            return Ok(());
        }
        let allowed = if rate > self.plan.max_error_rate {
            format!(", and the limit is {} %", self.plan.max_error_rate * 100.0)
        } else {
            String::new()
        };
        let stopped = early_end::of_server(last).map(|stopped| format!("; {stopped}"));
        let message = format!(
            "{bad} of {} requests of {scenario} failed{allowed}; the most frequent reason: {}{}",
            early_end::planned(last).unwrap_or(completed + bad),
            Failures::of([last]).reason(),
            stopped.unwrap_or_default()
        );
        let next = if timed_out_mostly(last) {
            format!(
                "see why the server stopped answering; raise `timeout` ({} s) if it only needs longer",
                self.plan.timeout.as_secs_f64()
            )
        } else {
            "the server's log of that time says more; `max_error_rate` says how many may fail"
                .to_owned()
        };
        let failure = Failure::message(ExitStatus::TargetFailed, message).hint(next);
        Err(failure.hint(format!(
            "what was measured is in `{}`",
            self.output.display()
        )))
    }
}

/// What was measured now cannot be added to what was measured before.
#[derive(Debug, thiserror::Error)]
#[error("the evidence so far is of another {what}: {before} there, {now} here")]
pub(crate) struct OtherEvidence {
    what: &'static str,
    before: String,
    now: String,
}

impl OtherEvidence {
    fn failure(what: &'static str, before: &str, now: &str) -> Failure {
        let error = Self {
            what,
            before: before.to_owned(),
            now: now.to_owned(),
        };
        Failure::new(ExitStatus::NotComparable, error)
            .hint("move the evidence folder away, or give another one with `--evidence`")
    }
}

fn ended_during(repeat: u32, load: LoadPoint) -> Failure {
    let message = format!(
        "the server ended during repeat {} of {}",
        repeat + 1,
        load.name()
    );
    Failure::message(ExitStatus::TargetFailed, message)
}

impl RunInProgress {
    /// A load point that a search chose has no scenario before it is measured.
    fn add(
        &mut self,
        measuring: &Measuring<'_>,
        load: LoadPoint,
        passed: Passed,
        target: &Target,
    ) -> Result<(), Failure> {
        let plan = measuring.plan;
        let is_started = !matches!(measuring.server, ServerPlan::Url(_));
        let identity = Server {
            fingerprint: passed.fingerprint,
            fresh: is_started.then(|| measuring.fresh.name().to_owned()),
            ..target.identity().clone()
        };
        let known = self.result.server.get_or_insert_with(|| identity.clone());
        // An image's name may come to mean another image between two runs of one commit.
        if known.digest != identity.digest || known.version != identity.version {
            let said = |server: &Server| {
                let parts = [server.digest.clone(), server.version.clone()];
                parts
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(", version ")
            };
            return Err(OtherEvidence::failure(
                "build",
                &said(known),
                &said(&identity),
            ));
        }
        if let Some(environment) = passed.environment {
            let known = self
                .result
                .environment
                .get_or_insert_with(|| environment.clone());
            let told = |environment: &Environment| {
                let machine = environment
                    .machine_or_host()
                    .unwrap_or("an unknown machine");
                let gpus = environment.gpus.iter().flatten();
                let models: Vec<&str> = gpus.map(|gpu| gpu.name.as_str()).collect();
                format!("{machine} {}", models.join(", "))
                    .trim_end()
                    .to_owned()
            };
            let (before, now) = (told(known), told(&environment));
            // A GPU that fell off its bus makes the repeat void; it does not make another machine of this one.
            let has_gpus =
                |environment: &Environment| environment.gpus.iter().flatten().count() > 0;
            let lost = passed.repeat.void.is_some() && has_gpus(known) && !has_gpus(&environment);
            if before != now && !lost {
                return Err(OtherEvidence::failure("machine", &before, &now));
            }
        }
        let spoiled = self.spoiled.entry(load.name()).or_default();
        *spoiled = if passed.is_spoiled { *spoiled + 1 } else { 0 };
        let scenarios = &mut self.result.scenarios;
        match scenarios.iter_mut().find(|known| known.name == load.name()) {
            Some(scenario) => scenario.repeats.push(passed.repeat),
            None => scenarios.push(Scenario {
                name: load.name(),
                // The digest knows the numbers of the whole plan only, and these follow from the load.
                load: Some(Load {
                    requests: Some(plan.num_requests as u64),
                    warmup_requests: Some(plan.warmup_requests as u64),
                    ..described_load(load, plan)
                }),
                repeats: vec![passed.repeat],
                ..Scenario::default()
            }),
        }
        Ok(())
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

fn timed_out_mostly(repeat: &Repeat) -> bool {
    let most = Failures::of([repeat]).most_frequent;
    most.is_some_and(|(status, _)| status == RequestOutcome::TimedOut.to_string())
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
        Failure::message(ExitStatus::SurroundingsFailed, message).hint(
            "if the cause was the load generator, give it a CPU of its own, or send less; `perfgate doctor` shows what this machine can drive",
        ),
    )
}

/// The program that runs, be it that its file was replaced by a newer one meanwhile.
pub(crate) fn own_program() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(if program.exists() {
        program
    } else {
        PathBuf::from("/proc/self/exe")
    })
}

/// What the server said at its end explains more than that a request failed.
pub(crate) fn explain(failure: Failure, death: Option<launch::LaunchError>) -> Failure {
    match death {
        Some(death) if failure.status == ExitStatus::TargetFailed => {
            let explained = launch_failure(&death);
            Failure {
                error: explained.error.context(failure.error.to_string()),
                ..explained
            }
        }
        Some(_) | None => failure,
    }
}
