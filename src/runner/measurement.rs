//! One scenario on one server: warm-up, load, and what is observed beside it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::memory::{self, HostMemory};
use super::repeat_runner::{Measuring, RunInProgress};
use super::{early_end, gpus, local_server};
use crate::clock;
use crate::config::{LoadPoint, Plan, ServerPlan};
use crate::failure::Failure;
use crate::failure::of_adapters::load_failure;
use crate::launch::Target;
use crate::load::{Client, Drive, Driven, Patience};
use crate::measure::{self, Concerns, Observed, Stop};
use crate::metric::Metric;
use crate::record::format::{Environment, Repeat};
use crate::record::telemetry::Telemetry;
use crate::stats::number;
use crate::telemetry::{self, Sampler};
use crate::workload::{self, Part, Phase, Request};

/// One scenario on one server.
pub(crate) struct Pass<'a, 'b> {
    pub(crate) measuring: &'a Measuring<'b>,
    pub(crate) run: &'a RunInProgress,
    pub(crate) client: &'a Client,
    pub(crate) target: &'a Target,
    pub(crate) load: LoadPoint,
    pub(crate) repeat: u32,
    pub(crate) of: u32,
}

/// What came of it.
pub(crate) struct Passed {
    pub(crate) repeat: Repeat,
    pub(crate) environment: Option<Environment>,
    pub(crate) fingerprint: Option<String>,
    /// Whether the load generator, without real-time priority, was kept from its work: the repeat is void, and the next one
    /// will be too. With that priority a repeat may be void for the same reason, but this is `false`.
    pub(crate) is_spoiled: bool,
}

impl Pass<'_, '_> {
    pub(crate) async fn run(&self, cancel: &CancellationToken) -> Result<Passed, Failure> {
        let plan = self.measuring.plan;
        let measured = self.requests(Phase::Measured);
        let place = self.measuring.label(self.repeat, self.of);
        let label = format!("{place}: {}", self.load.name());
        let warmed_up = self.warm_up(&label, cancel).await?;
        let runs_here = local_server::runs_here(self.measuring, self.target);
        let looking = gpus::looking(self.measuring, self.target, runs_here).await;
        let sampler = Sampler::start(self.target.base_url(), looking).await;
        let host_memory = HostMemory::watch(self.target.memory_probe(), plan.telemetry_interval);
        let started = clock::timestamp();
        let planned = measured.len();
        let sent: Vec<Option<u64>> = measured
            .iter()
            .map(|request| self.run.template.prompt_tokens(request))
            .collect();
        tracing::debug!("{label}: sends {planned} measured requests");
        let patience = self.patience(planned);
        let driven = self
            .drive(&label, measured, plan.ramp_up, patience, cancel)
            .await?;
        tracing::debug!(
            "{label}: {} requests sent in {:.1} s",
            driven.traces.len(),
            driven.wall_time.as_secs_f64()
        );
        self.warn_of_an_early_end(&driven, planned);
        // First what is compared with counts of ours: it must not wait for anybody.
        let mut seen = sampler.finish().await;
        let host_peak = host_memory.finish().await;
        memory::add(self.target, host_peak, &mut seen);
        seen.concerns
            .take(measure::prompt_lengths(&driven.traces, &sent));
        let concerns = self.concerns(&driven, &mut seen);

        let named = gpus::machine_name(self.measuring.environment);
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
        repeat.id = Some(format!("{}-{}", self.run.id, self.repeat + 1));
        repeat.started = Some(started);
        repeat.telemetry = seen.telemetry;
        self.tell(&driven, warmed_up.seen, &mut repeat.telemetry);
        let bottleneck = driven.client.bottleneck(&driven.traces);
        // With real-time priority no program of this machine keeps the load generator from a CPU. Only the host of a virtual
        // machine does, for a moment, and the next repeat is probably free of it.
        let is_spoiled = !driven.client.real_time
            && (bottleneck.is_some() || matches!(driven.stop, Some(Stop::Client(_))));
        repeat.void = concerns.void.or(warmed_up.void);
        if let Some(stop) = &driven.stop {
            self.stopped(stop, (driven.traces.len(), planned), &mut repeat);
        }
        Ok(Passed {
            repeat,
            environment,
            fingerprint: driven.fingerprint,
            is_spoiled,
        })
    }

    /// What the load generator records of itself and of what it sent.
    fn tell(&self, driven: &Driven, warm_up: Option<Value>, telemetry: &mut Telemetry) {
        telemetry.client = Some(driven.client.described());
        telemetry.offered_rate = match self.load {
            LoadPoint::Rate { .. } => measure::offered_rate(&driven.traces),
            LoadPoint::Concurrency(_) | LoadPoint::Trace { .. } => None,
        };
        let told = [
            (
                "time_to_first_chunk",
                Some(measure::first_chunks(&driven.traces)),
            ),
            ("prompt_nonce", self.nonce().map(Value::from)),
            ("warm_up", warm_up),
        ];
        let told = told.into_iter();
        telemetry
            .rest
            .extend(told.filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }

    fn warn_of_an_early_end(&self, driven: &Driven, planned: usize) {
        let Measuring { plan, progress, .. } = self.measuring;
        if let Some(duration) = plan.duration
            && driven.stop.is_none()
            && driven.traces.len() == planned
            && driven.wall_time < duration
        {
            let load = self.load.name();
            let text = ran_out(planned, driven.wall_time, duration);
            progress.note_first(
                &format!("{load} ran out"),
                &format!("warning: {load}: {text}"),
            );
        }
    }

    /// When the measurement of so many requests is not worth going on with.
    fn patience(&self, planned: usize) -> Patience {
        let Measuring { plan, may_fail, .. } = self.measuring;
        let most = plan.max_error_rate * number(planned as u64);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of requests"
        )]
        let most_failures = (!may_fail).then_some(most.floor() as usize);
        Patience {
            most_failures,
            most_unasked: Some(measure::most_unasked(planned)),
            needs_cpu: true,
        }
    }

    /// A pass that was stopped is void, unless failures are what is measured.
    fn stopped(&self, stop: &Stop, (ended, planned): (usize, usize), repeat: &mut Repeat) {
        repeat.telemetry.stopped = Some(early_end::described(stop, ended, planned));
        match stop {
            Stop::Client(reason) => {
                repeat.void = Some(format!("{reason} and {ended} of {planned} requests"));
            }
            // Why it does not count is known already.
            Stop::Unasked => {
                let stopped = |why| format!("{why}; stopped after {ended} of {planned} requests");
                repeat.void = repeat.void.take().map(stopped);
            }
            Stop::Hung | Stop::Failing if !self.measuring.may_fail => {
                // What else was wrong, such as a load generator without files, comes before what it led to.
                repeat.void = repeat.void.take().or_else(|| early_end::of_server(repeat));
            }
            Stop::Hung | Stop::Failing => {
                let said = early_end::of_server(repeat);
                repeat.telemetry.warnings.extend(said);
            }
        }
    }

    /// Why the repeat does not count or wants a word, from what was seen beside its results. Warnings are said once a run
    /// and kept.
    fn concerns(&self, driven: &Driven, seen: &mut telemetry::Observed) -> Concerns {
        let mut concerns = driven
            .client
            .concerns(&driven.traces, self.measuring.plan.slo.tpot.is_some());
        concerns.take(std::mem::take(&mut seen.concerns));
        if let Some(server) = &seen.server {
            concerns.take(server.check(&driven.client.figures(&driven.traces)));
            seen.telemetry.server = Some(server.described());
        }
        let levels = [("warning", &concerns.warnings), ("note", &concerns.notes)];
        for (level, warning) in levels
            .iter()
            .flat_map(|(level, said)| said.iter().map(move |warning| (level, warning)))
        {
            let progress = self.measuring.progress;
            progress.note_first(&warning.about, &format!("{level}: {}", warning.message));
            seen.telemetry.warnings.push(warning.message.clone());
        }
        concerns
    }

    fn seed_of_arrivals(&self) -> u64 {
        let seed = self.measuring.plan.seed;
        if self.measuring.own_arrivals {
            let (load, repeat) = (self.load.name(), self.repeat.to_string());
            workload::seed_of(seed, &["arrivals", &load, &repeat])
        } else {
            seed
        }
    }

    pub(crate) fn requests(&self, phase: Phase) -> Vec<Request> {
        let scenario = self.load.name();
        self.run.source.requests(Part {
            phase,
            scenario: &scenario,
            repeat: self.repeat,
            nonce: self.nonce().as_deref(),
        })
    }

    /// A server that was not started for this run may have cached the prompts of an earlier one. Each invocation has its
    /// own, also where it goes on with the evidence of another: what that one sent before it broke off is not known. So has
    /// each side, whose servers may be one and the same.
    fn nonce(&self) -> Option<String> {
        let Measuring { server, side, .. } = self.measuring;
        match server {
            ServerPlan::Url(_) if side.is_empty() => Some(self.run.id.clone()),
            ServerPlan::Url(_) => Some(format!("{}-{side}", self.run.id)),
            ServerPlan::Docker(_) | ServerPlan::Process(_) | ServerPlan::Simulator(_) => None,
        }
    }

    pub(crate) async fn drive(
        &self,
        label: &str,
        requests: Vec<Request>,
        ramp_up: Duration,
        patience: Patience,
        cancel: &CancellationToken,
    ) -> Result<Driven, Failure> {
        let plan = self.measuring.plan;
        let count = requests.len();
        let drive = Drive {
            client: self.client.clone(),
            template: self.run.template.clone(),
            requests,
            load: self.load,
            ramp_up,
            timeout: plan.timeout,
            duration: plan.duration,
            seed: self.seed_of_arrivals(),
            patience,
        };
        let done = Arc::new(AtomicUsize::new(0));
        let bar = self.measuring.progress.count(label, count, &done);
        let driven = drive.run(done, cancel).await;
        bar.finish();
        driven.map_err(|error| load_failure(&error))
    }
}

/// A measurement that ended before its time, and how many requests would have filled it.
fn ran_out(requests: usize, after: Duration, duration: Duration) -> String {
    // A tenth more: the next server may be faster.
    let wanted = number(requests as u64) * duration.div_duration_f64(after) * 1.1;
    format!(
        "all {requests} requests had ended after {:.1} s, before the `duration` of {} s: give `--num-prompts {:.0}`, or `num_requests`",
        after.as_secs_f64(),
        duration.as_secs_f64(),
        wanted
    )
}

fn limits(plan: &Plan) -> Option<[Option<f64>; 3]> {
    let limits = [plan.slo.ttft, plan.slo.tpot, plan.slo.e2e];
    limits.iter().any(Option::is_some).then_some(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_ran_out_before_the_time_are_told_with_as_many_as_would_fill_it() {
        let text = ran_out(200, Duration::from_secs(4), Duration::from_mins(1));
        insta::assert_snapshot!(text, @"all 200 requests had ended after 4.0 s, before the `duration` of 60 s: give `--num-prompts 3300`, or `num_requests`");
    }
}
