//! A side without a server and a clock, for tests: the engine of the simulator in virtual time, so that a whole
//! `gate`, `bench`, `selftest` or `bisect` takes milliseconds.
//!
//! `PERFGATE_SCRIPT` contains the script as JSON; only builds with debug assertions read it, and only servers of the kind
//! `simulator` use it. For each side it lists the events of each repeat: `{}` is a script without events,
//! `{"candidate": [{}, {"void": "too hot"}, {"dies": true}]}` for one whose candidate dies in the third repeat.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;

use super::measurement::limits;
use super::repeat_context::RepeatContext;
use super::run_in_progress::Measured;
use super::server_side::ended_during;
use super::side::{Awaited, OneRepeat, Side};
use crate::clock;
use crate::config::{LoadPoint, ServerPlan, parse_bytes, parse_duration, parse_percentage};
use crate::event::{RunEvent, StartPhase};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::load::LoadError;
use crate::measure::{self, Observed, RequestOutcome, RequestTrace};
use crate::metric::Metric;
use crate::record::format::{Environment, Gpu, Server};
use crate::record::telemetry::{Client, EngineMemory};
use crate::simulate::Options;
use crate::simulate::engine::{Engine, Sequence};
use crate::stats::number;
use crate::telemetry;
use crate::workload::{self, Part, Phase, Prompt, Request};

/// The variable with the script.
const SCRIPT: &str = "PERFGATE_SCRIPT";

/// Default relative standard deviation of a start's speed.
const DEFAULT_NOISE: f64 = 0.000_5;

/// Relative spread of a request's times, so that two measurements are never equal.
const JITTER: f64 = 0.000_4;

/// Events of the repeats of each side, in order. Repeats after the last entry have none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    /// For a run with only one side.
    alone: Vec<Happening>,
    base: Vec<Happening>,
    candidate: Vec<Happening>,
}

/// Events of one repeat.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Happening {
    /// Factor on all costs.
    slowdown: f64,
    /// The repeat is void for this reason.
    void: Option<String>,
    /// The server does not start, for this reason.
    does_not_start: Option<String>,
    /// The server ends during the measurement.
    dies: bool,
    /// The user presses Ctrl-C during the measurement.
    interrupted: bool,
}

impl Default for Happening {
    fn default() -> Self {
        Self {
            slowdown: 1.0,
            void: None,
            does_not_start: None,
            dies: false,
            interrupted: false,
        }
    }
}

/// A scripted side.
pub(crate) struct Scripted {
    happenings: Vec<Happening>,
    given: BTreeMap<String, String>,
    options: Options,
    engine: Option<Engine>,
    /// Requests that this start has answered.
    answered: u64,
}

impl Scripted {
    /// The side of those repeats, where a script is given and its server is a simulator.
    pub(crate) fn of(context: &RepeatContext<'_>) -> Result<Option<Self>, Failure> {
        let ServerPlan::Simulator(given) = context.server else {
            return Ok(None);
        };
        let Some(text) = (context.command.environment)(SCRIPT) else {
            return Ok(None);
        };
        let usage = |why: String| Failure::usage(format!("{SCRIPT}: {why}"));
        let script: Script =
            serde_json::from_str(&text).map_err(|error| usage(error.to_string()))?;
        let options = options(given).map_err(usage)?;
        Ok(Some(Self {
            happenings: match context.side {
                "base" => script.base,
                "candidate" => script.candidate,
                _ => script.alone,
            },
            given: given.clone(),
            options,
            engine: None,
            answered: 0,
        }))
    }

    fn happening(&self, repeat: u32) -> Happening {
        let happening = self.happenings.get(repeat as usize);
        happening.cloned().unwrap_or_default()
    }

    fn begin(&mut self, repeat: &OneRepeat<'_>) -> Result<(), Failure> {
        let context = repeat.context;
        for phase in [StartPhase::Starting, StartPhase::Loading] {
            context.emit(RunEvent::Starting {
                repeat: repeat.label(),
                phase,
            });
        }
        if let Some(reason) = self.happening(repeat.number).does_not_start {
            return Err(Failure::message(ExitStatus::TargetFailed, reason));
        }
        let mut options = self.options.clone();
        options.slowdown *= self.happening(repeat.number).slowdown;
        options.start = context.ordinal(repeat.number);
        if !self.given.contains_key("seed") {
            options.seed = seed_of_output(context);
        }
        options.noise = options.noise.max(DEFAULT_NOISE);
        self.engine = Some(Engine::new(&options));
        self.answered = 0;
        Ok(())
    }

    fn measure(&mut self, at: &OneRepeat<'_>, load: LoadPoint) -> Result<Measured, Failure> {
        let context = at.context;
        let happening = self.happening(at.number);
        if happening.interrupted {
            context.command.interrupt.token().cancel();
            return Err(LoadError::Cancelled.into());
        }
        let scenario = load.name();
        let requests = at.run.source.requests(Part {
            phase: Phase::Measured,
            scenario: &scenario,
            repeat: at.number,
            nonce: None,
        });
        let warm_up = context.plan.warmup_requests;
        self.answered += (requests.len() + warm_up) as u64;
        let is_dead = |after: u64| self.answered >= after;
        if happening.dies || self.options.die_after.is_some_and(is_dead) {
            return Err(ended_during(at.number, load));
        }
        let Some(engine) = &mut self.engine else {
            return Err(Failure::message(ExitStatus::Bug, "no server was started"));
        };
        let arrivals = Arrivals::of(load, &requests, at.seed_of_arrivals(load));
        let mut traces = traces(engine, &requests, arrivals);
        jitter(&mut traces, at);
        self.fail_some(&mut traces, at);
        let duration = traces.iter().map(|trace| trace.ended).fold(0.0, f64::max);
        let observed = Observed {
            duration,
            slo: limits(context.plan),
            metrics: self.observed(),
            ..Observed::default()
        };
        let mut repeat = measure::repeat(&traces, observed);
        repeat.id = Some(format!("{}-{}", at.run.id, at.number + 1));
        repeat.started = Some(clock::timestamp());
        repeat.void = happening.void;
        repeat.telemetry.client = Some(Client {
            real_time: Some(true),
            ..Client::default()
        });
        repeat.telemetry.engine_memory = Some(EngineMemory {
            kv_cache_fixed: Some(false),
            kv_cache_from: Some("metrics".to_owned()),
            ..EngineMemory::default()
        });
        Ok(Measured {
            repeat,
            server: self.identity(context),
            environment: Some(self.environment(context)),
            is_spoiled: false,
        })
    }

    /// Fails a share of requests, as set in the options.
    fn fail_some(&self, traces: &mut [RequestTrace], at: &OneRepeat<'_>) {
        let repeat = at.number.to_string();
        let seed = workload::seed_of(self.options.seed, &["failures", &repeat]);
        let mut chance = Pcg64Mcg::seed_from_u64(seed);
        for trace in traces {
            if chance.random::<f64>() < self.options.fail_rate {
                *trace = RequestTrace {
                    outcome: RequestOutcome::Failed("HTTP 500: simulated failure".to_owned()),
                    token_chunks: Vec::new(),
                    first_chunk: None,
                    first_chunk_tokens: None,
                    last_token: None,
                    output_tokens: None,
                    ..trace.clone()
                };
            }
        }
    }

    fn observed(&self) -> BTreeMap<Metric, f64> {
        let gpu = [
            (Metric::GPU_MEMORY_PEAK, number(self.options.memory_used())),
            (Metric::GPU_UTILIZATION_MEAN, 0.97),
        ];
        let all = [
            (
                Metric::ENGINE_MEMORY_PEAK,
                number(self.options.engine_memory()),
            ),
            (Metric::KV_CACHE_TOKENS, number(self.options.cache_tokens())),
            (Metric::HOST_MEMORY_PEAK, 3_500_000.0),
            (Metric::STARTUP, 0.1),
        ];
        let gpu = gpu.into_iter().filter(|_| self.options.has_gpu);
        gpu.chain(all).collect()
    }

    fn identity(&self, context: &RepeatContext<'_>) -> Server {
        let args = self.given.iter();
        let args = args.flat_map(|(name, value)| [format!("--{name}"), value.clone()]);
        Server {
            kind: Some("simulator".to_owned()),
            args: Some(args.collect()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            model: Some(context.plan.served_model_name.clone()),
            fresh: Some(context.fresh.name().to_owned()),
            fingerprint: Some(self.options.fingerprint()),
            ..Server::default()
        }
    }

    fn environment(&self, context: &RepeatContext<'_>) -> Environment {
        let gpu = Gpu {
            name: "Simulated GPU 80GB".to_owned(),
            memory_bytes: Some(self.options.gpu_memory),
            ..Gpu::default()
        };
        let gpus: Vec<Gpu> = self.options.has_gpu.then_some(gpu).into_iter().collect();
        let named = super::gpus::machine_name(context.command.environment);
        Environment {
            machine: telemetry::machine(&gpus, named.as_deref()),
            ..telemetry::environment(Some(gpus), None)
        }
    }
}

impl Side for Scripted {
    fn wait<'s>(&'s mut self, _: &'s OneRepeat<'s>) -> Awaited<'s, ()> {
        Box::pin(async { Ok(()) })
    }

    fn start<'s>(&'s mut self, repeat: &'s OneRepeat<'s>) -> Awaited<'s, ()> {
        Box::pin(async move { self.begin(repeat) })
    }

    fn load<'s>(&'s mut self, repeat: &'s OneRepeat<'s>, load: LoadPoint) -> Awaited<'s, Measured> {
        Box::pin(async move { self.measure(repeat, load) })
    }

    fn stop<'s>(&'s mut self, _: &'s RepeatContext<'s>) -> Awaited<'s, ()> {
        self.engine = None;
        Box::pin(async { Ok(()) })
    }
}

/// The options of `perfgate simulate` that change what is measured.
fn options(given: &BTreeMap<String, String>) -> Result<Options, String> {
    let mut options = Options::default();
    for (name, value) in given {
        let factor = || value.parse::<f64>().map_err(|error| error.to_string());
        let whole = || value.parse::<u64>().map_err(|error| error.to_string());
        let seconds = || parse_duration(value).map(|duration| duration.as_secs_f64());
        match name.as_str() {
            "slowdown" => options.slowdown = factor()?,
            "decode-slowdown" => options.decode_slowdown = factor()?,
            "prefill-slowdown" => options.prefill_slowdown = factor()?,
            "noise" => options.noise = parse_percentage(value)?,
            "step-noise" => options.step_noise = parse_percentage(value)?,
            "memory-growth" => options.memory_growth = parse_percentage(value)?,
            "fail-rate" => options.fail_rate = parse_percentage(value)?,
            "step-base" => options.costs.step_base = seconds()?,
            "step-per-running" => options.costs.step_per_running = seconds()?,
            "prefill-per-token" => options.costs.prefill_per_token = seconds()?,
            "gpu-memory" => options.gpu_memory = parse_bytes(value)?,
            "gpus" => options.has_gpu = whole()? > 0,
            "seed" => options.seed = whole()?,
            "kv-cache-tokens" => options.kv_cache_tokens = whole()?,
            "max-num-seqs" => options.max_num_seqs = usize::try_from(whole()?).unwrap_or(1),
            "die-after" => options.die_after = Some(whole()?),
            "startup" | "max-model-len" => {}
            other => return Err(format!("scripts do not support `{other}`")),
        }
    }
    Ok(options)
}

/// When requests are sent.
enum Arrivals {
    /// A closed loop with this number of requests in flight.
    Closed(usize),
    /// At these times, rising.
    Open(VecDeque<(f64, usize)>),
}

impl Arrivals {
    fn of(load: LoadPoint, requests: &[Request], seed: u64) -> Self {
        let at = |times: Vec<f64>| Self::Open(times.into_iter().zip(0..requests.len()).collect());
        match load {
            LoadPoint::Concurrency(slots) => Self::Closed(slots),
            LoadPoint::Rate {
                per_second,
                burstiness,
            } if per_second.is_finite() => {
                let due = workload::arrivals(per_second, burstiness, requests.len(), seed);
                at(due.iter().map(std::time::Duration::as_secs_f64).collect())
            }
            LoadPoint::Rate { .. } => at(vec![0.0; requests.len()]),
            LoadPoint::Trace { speedup } => {
                let due = |request: &Request| request.due.unwrap_or_default().as_secs_f64();
                at(requests
                    .iter()
                    .map(|request| due(request) / speedup)
                    .collect())
            }
        }
    }
}

/// Traces of these requests, as seen by a client; turns of conversations do not wait for each other.
fn traces(engine: &mut Engine, requests: &[Request], arrivals: Arrivals) -> Vec<RequestTrace> {
    let mut traces: Vec<RequestTrace> = requests.iter().map(unsent).collect();
    // Whole nanoseconds are comparable.
    let nanoseconds = |seconds: f64| std::time::Duration::from_secs_f64(seconds).as_nanos();
    let (mut due, mut waiting) = match arrivals {
        Arrivals::Closed(slots) => {
            let first = slots.min(requests.len());
            let due = (0..first).map(|index| Reverse((0, index)));
            (due.collect(), (first..requests.len()).collect())
        }
        Arrivals::Open(times) => {
            let due = times
                .iter()
                .map(|(at, index)| Reverse((nanoseconds(*at), *index)));
            (due.collect::<BinaryHeap<_>>(), VecDeque::new())
        }
    };
    let mut now = 0.0_f64;
    loop {
        while let Some(Reverse((at, index))) = due.peek().copied()
            && at <= nanoseconds(now)
        {
            due.pop();
            submit(engine, &mut traces[index], &requests[index], now);
        }
        let Some(step) = engine.step() else {
            let Some(Reverse((at, _))) = due.peek().copied() else {
                return traces;
            };
            #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a test")]
            let at = (at + 1) as f64 / 1e9;
            now = now.max(at);
            continue;
        };
        now += step.duration;
        for token in step.tokens {
            let Ok(index) = usize::try_from(token.id) else {
                continue;
            };
            let trace = &mut traces[index];
            trace.token_chunks.push(now);
            if token.last {
                trace.first_chunk = trace.token_chunks.first().copied();
                trace.first_chunk_tokens = Some(1);
                trace.last_token = Some(now);
                trace.ended = now;
                trace.output_tokens = Some(trace.token_chunks.len() as u64);
                trace.outcome = RequestOutcome::Ok;
                due.extend(
                    waiting
                        .pop_front()
                        .map(|next| Reverse((nanoseconds(now), next))),
                );
            }
        }
    }
}

/// A seed that differs between output paths.
fn seed_of_output(context: &RepeatContext<'_>) -> u64 {
    let output = context.output.display().to_string();
    workload::seed_of(0, &["script", &output])
}

fn jitter(traces: &mut [RequestTrace], at: &OneRepeat<'_>) {
    let seed = workload::seed_of(seed_of_output(at.context), &[&at.number.to_string()]);
    let mut chance = Pcg64Mcg::seed_from_u64(seed);
    for trace in traces {
        let factor = 1.0 + JITTER * (chance.random::<f64>() - 0.5);
        let sent = trace.sent;
        let moved = |time: &mut f64| *time = sent + (*time - sent) * factor;
        let ends = [&mut trace.first_chunk, &mut trace.last_token];
        let ends = ends.into_iter().flatten();
        ends.chain(&mut trace.token_chunks).for_each(moved);
        moved(&mut trace.ended);
    }
}

fn unsent(request: &Request) -> RequestTrace {
    RequestTrace {
        prompt_tokens: Some(prompt_tokens(request).into()),
        ..RequestTrace::not_sent(request.index, 0.0)
    }
}

fn submit(engine: &mut Engine, trace: &mut RequestTrace, request: &Request, now: f64) {
    trace.due = now;
    trace.sent = now;
    engine.submit(Sequence {
        id: request.index as u64,
        prompt: prompt_tokens(request),
        output: request.output_tokens.max(1),
    });
}

fn prompt_tokens(request: &Request) -> u32 {
    let tokens = match &request.prompt {
        Prompt::TokenIds(ids) => ids.len(),
        Prompt::Words(words) => words.len(),
        Prompt::Text(text) => text.split_whitespace().count(),
        Prompt::Messages(messages) => messages.len(),
    };
    u32::try_from(tokens).unwrap_or(u32::MAX)
}
