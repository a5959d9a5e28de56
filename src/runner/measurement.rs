//! One load point on one server: warm-up, load, and telemetry.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::memory::{self, HostMemory};
use super::run_in_progress::Measured;
use super::side::OneRepeat;
use super::{early_end, gpus, local_server};
use crate::clock;
use crate::config::{LoadPoint, Plan, ServerPlan};
use crate::event::{ConcernLevel, LoadPart, Progress, RunEvent};
use crate::failure::Failure;
use crate::launch::Target;
use crate::load::{Client, LoadResult, LoadTest, StopConditions};
use crate::measure::{self, Concerns, Observed, Stop};
use crate::metric::Metric;
use crate::record::format::{Repeat, Server};
use crate::record::telemetry::Telemetry;
use crate::stats::number;
use crate::telemetry::{self, Sampler};
use crate::workload::{Part, Phase, Request};

/// One load point on one server.
pub(crate) struct Measurement<'a> {
    pub(crate) at: &'a OneRepeat<'a>,
    pub(crate) client: &'a Client,
    pub(crate) target: &'a Target,
    pub(crate) load: LoadPoint,
}

impl Measurement<'_> {
    pub(crate) async fn run(&self, cancel: &CancellationToken) -> Result<Measured, Failure> {
        let OneRepeat { context, run, .. } = self.at;
        let plan = context.plan;
        let measured = self.requests(Phase::Measured);
        let label = format!("repeat {}: {}", self.at.number + 1, self.load.name());
        let warmed_up = self.warm_up(cancel).await?;
        let runs_here = local_server::runs_here(context, self.target);
        let looking = gpus::looking(context, self.target, runs_here).await;
        let sampler = Sampler::start(self.target.base_url(), looking).await;
        let host_memory = HostMemory::watch(self.target.memory_probe(), plan.telemetry_interval);
        let started = clock::timestamp();
        let planned = measured.len();
        let sent: Vec<Option<u64>> = measured
            .iter()
            .map(|request| run.template.prompt_tokens(request))
            .collect();
        tracing::debug!("{label}: sends {planned} measured requests");
        let stop_conditions = self.stop_conditions(planned);
        let driven = self
            .drive(
                LoadPart::Measured,
                measured,
                plan.ramp_up,
                stop_conditions,
                cancel,
            )
            .await?;
        tracing::debug!(
            "{label}: {} requests sent in {:.1} s",
            driven.traces.len(),
            driven.wall_time.as_secs_f64()
        );
        self.warn_of_an_early_end(&driven, planned);
        // First the counters that are compared with ours, without delay.
        let mut seen = sampler.finish().await;
        let host_peak = host_memory.finish().await;
        memory::add(self.target, host_peak, &mut seen);
        seen.concerns
            .take(measure::prompt_lengths(&driven.traces, &sent));
        let concerns = self.concerns(&driven, &mut seen);

        let named = gpus::machine_name(context.command.environment);
        let environment = runs_here.then(|| seen.environment(named.as_deref()));
        let mut observed = Observed {
            duration: driven.wall_time.as_secs_f64(),
            slo: limits(plan),
            metrics: seen.findings.metrics,
            not_measured: seen.findings.not_measured,
        };
        if let Some(startup) = self.target.startup() {
            observed
                .metrics
                .insert(Metric::STARTUP, startup.as_secs_f64());
        }
        let mut repeat = measure::repeat(&driven.traces, observed);
        repeat.id = Some(format!("{}-{}", run.id, self.at.number + 1));
        repeat.started = Some(started);
        let is_started = !matches!(context.server, ServerPlan::Url(_));
        if !is_started {
            // A server that is measured by several runs of the command is one start.
            repeat.start = seen.process_start.map(|start| format!("process-{start}"));
        }
        repeat.telemetry = seen.telemetry;
        self.record_client(&driven, warmed_up.seen, &mut repeat.telemetry);
        let bottleneck = driven.client.bottleneck(&driven.traces);
        // With real-time priority no program of this machine delays the load generator. Only the host of a virtual machine
        // can, briefly, and the next repeat is probably unaffected.
        let is_spoiled = !driven.client.real_time
            && (bottleneck.is_some() || matches!(driven.stop, Some(Stop::Client(_))));
        repeat.void = concerns.void.or(warmed_up.void);
        if let Some(stop) = &driven.stop {
            self.stopped(stop, (driven.traces.len(), planned), &mut repeat);
        }
        Ok(Measured {
            repeat,
            server: Server {
                fingerprint: driven.fingerprint,
                fresh: is_started.then(|| context.fresh.name().to_owned()),
                ..self.target.identity().clone()
            },
            environment,
            is_spoiled,
        })
    }

    /// Records the load generator's measurements of itself and of its requests.
    fn record_client(
        &self,
        driven: &LoadResult,
        warm_up: Option<Value>,
        telemetry: &mut Telemetry,
    ) {
        telemetry.client = Some(driven.client.described());
        telemetry.offered_rate = match self.load {
            LoadPoint::Rate { .. } => measure::offered_rate(&driven.traces),
            LoadPoint::Concurrency(_) | LoadPoint::Trace { .. } => None,
        };
        let facts = [
            (
                "time_to_first_chunk",
                Some(measure::first_chunks(&driven.traces)),
            ),
            ("prompt_nonce", self.nonce().map(Value::from)),
            ("warm_up", warm_up),
        ];
        let known = facts.into_iter();
        telemetry
            .rest
            .extend(known.filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }

    fn warn_of_an_early_end(&self, driven: &LoadResult, planned: usize) {
        let context = self.at.context;
        let plan = context.plan;
        if let Some(duration) = plan.duration
            && driven.stop.is_none()
            && driven.traces.len() == planned
            && driven.wall_time < duration
        {
            context.emit(RunEvent::RanOut {
                load: self.load.name(),
                requests: planned,
                after: driven.wall_time,
                duration,
            });
        }
    }

    /// When to abort the measurement of this number of requests.
    fn stop_conditions(&self, planned: usize) -> StopConditions {
        let context = self.at.context;
        let most = context.plan.max_error_rate * number(planned as u64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of requests"
        )]
        let most_failures = (!context.may_fail).then_some(most.floor() as usize);
        StopConditions {
            most_failures,
            most_unasked: Some(measure::most_unasked(planned)),
            needs_cpu: true,
        }
    }

    /// An aborted measurement is void, unless failures are its subject.
    fn stopped(&self, stop: &Stop, (ended, planned): (usize, usize), repeat: &mut Repeat) {
        repeat.telemetry.stopped = Some(early_end::described(stop, ended, planned));
        match stop {
            Stop::Client(reason) => {
                repeat.void = Some(format!("{reason} and {ended} of {planned} requests"));
            }
            // The repeat is already void.
            Stop::Unasked => {
                let stopped = |why| format!("{why}; stopped after {ended} of {planned} requests");
                repeat.void = repeat.void.take().map(stopped);
            }
            Stop::Hung | Stop::Failing if !self.at.context.may_fail => {
                // Causes, such as too few file descriptors, come before their effects.
                repeat.void = repeat.void.take().or_else(|| early_end::of_server(repeat));
            }
            Stop::Hung | Stop::Failing => {
                let said = early_end::of_server(repeat);
                repeat.telemetry.warnings.extend(said);
            }
        }
    }

    /// Reasons for a void repeat and warnings, from telemetry. Warnings are shown once per run and
    /// stored.
    fn concerns(&self, driven: &LoadResult, seen: &mut telemetry::Observed) -> Concerns {
        let mut concerns = driven
            .client
            .concerns(&driven.traces, self.at.context.plan.slo.tpot.is_some());
        concerns.take(std::mem::take(&mut seen.concerns));
        if let Some(server) = &seen.server {
            concerns.take(server.check(&driven.client.figures(&driven.traces)));
            seen.telemetry.server = Some(server.counts.clone());
        }
        for (level, warnings) in [
            (ConcernLevel::Warning, &concerns.warnings),
            (ConcernLevel::Note, &concerns.notes),
        ] {
            for warning in warnings {
                self.at.context.emit(RunEvent::Concern {
                    level,
                    about: warning.about.clone(),
                    message: warning.message.clone(),
                });
                seen.telemetry.warnings.push(warning.message.clone());
            }
        }
        concerns
    }

    pub(crate) fn requests(&self, phase: Phase) -> Vec<Request> {
        let scenario = self.load.name();
        self.at.run.source.requests(Part {
            phase,
            scenario: &scenario,
            repeat: self.at.number,
            nonce: self.nonce().as_deref(),
        })
    }

    /// A nonce for prompts: a server that was not started for this run may have cached earlier prompts. Each invocation has
    /// its own nonce, also if it continues the evidence of another, whose sent prompts are unknown. Each side has its own too,
    /// because both may use the same server.
    fn nonce(&self) -> Option<String> {
        let OneRepeat { context, run, .. } = self.at;
        match context.server {
            ServerPlan::Url(_) if context.side.is_empty() => Some(run.id.clone()),
            ServerPlan::Url(_) => Some(format!("{}-{}", run.id, context.side)),
            ServerPlan::Docker(_) | ServerPlan::Process(_) | ServerPlan::Simulator(_) => None,
        }
    }

    pub(crate) async fn drive(
        &self,
        part: LoadPart,
        requests: Vec<Request>,
        ramp_up: Duration,
        stop_conditions: StopConditions,
        cancel: &CancellationToken,
    ) -> Result<LoadResult, Failure> {
        let plan = self.at.context.plan;
        let count = requests.len();
        let drive = LoadTest {
            client: self.client.clone(),
            template: self.at.run.template.clone(),
            requests,
            load: self.load,
            ramp_up,
            timeout: plan.timeout,
            duration: plan.duration,
            seed: self.at.seed_of_arrivals(self.load),
            stop_conditions,
        };
        let done = Arc::new(AtomicUsize::new(0));
        let begin = Progress::Sending {
            repeat: self.at.label(),
            load: self.load.name(),
            part,
            total: count,
            done: Arc::clone(&done),
        };
        let aborted = Progress::Sent { finished: false };
        let mut sending = self.at.context.command.events.progress(begin, aborted);
        let driven = drive.run(done, cancel).await;
        sending.end = Progress::Sent { finished: true };
        drop(sending);
        Ok(driven?)
    }
}

pub(super) fn limits(plan: &Plan) -> Option<[Option<f64>; 3]> {
    let limits = [plan.slo.ttft, plan.slo.tpot, plan.slo.e2e];
    limits.iter().any(Option::is_some).then_some(limits)
}
