//! The state of a run.

use std::collections::BTreeMap;

use super::early_end;
use super::repeat_context::RepeatContext;
use super::workload_identity::{described_load, described_workload, source};
use crate::clock;
use crate::config::{LoadPoint, Plan};
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::load::RequestTemplate;
use crate::metric::{Metric, VERSIONS};
use crate::record::format::{
    Environment, Gpu, Load, Repeat, ResultFile, SCHEMA, Scenario, Server, Tool,
};
use crate::workload::Source;

/// The result of one load point.
pub(crate) struct Measured {
    pub(crate) repeat: Repeat,
    /// The server.
    pub(crate) server: Server,
    /// The machine, if the server runs on this machine.
    pub(crate) environment: Option<Environment>,
    /// Whether the load generator lacked CPU time without real-time priority: the repeat is void, and the next one probably
    /// too. With that priority this is `false`, even if the repeat is void for the same reason.
    pub(crate) is_spoiled: bool,
}

/// A run in progress.
pub(crate) struct RunInProgress {
    pub(crate) id: String,
    pub(crate) source: Source,
    pub(crate) template: RequestTemplate,
    pub(crate) result: ResultFile,
    /// Whether it has been saved.
    pub(crate) kept: bool,
    /// For each scenario, the number of consecutive last repeats that the load generator spoiled ([`Measured::is_spoiled`]).
    pub(crate) spoiled: BTreeMap<String, u32>,
}

impl RunInProgress {
    /// Begins without a measurement.
    pub(crate) fn new(context: &RepeatContext<'_>) -> Result<Self, Failure> {
        let plan = context.plan;
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
                context.command.environment,
                context.command.events,
            ),
            workload: Some(workload),
            definitions: VERSIONS
                .map(|(latency, version)| (latency.to_owned(), version))
                .into(),
            scenarios: scenarios.collect(),
            ..ResultFile::default()
        };
        let now = clock::unix_time();
        let id = format!("{:x}-{:x}", now.as_millis(), std::process::id());
        Ok(Self {
            id,
            source,
            template,
            result,
            kept: false,
            spoiled: BTreeMap::new(),
        })
    }

    /// Adds a measurement; a load point chosen by a search gets a new scenario.
    pub(crate) fn add(
        &mut self,
        plan: &Plan,
        load: LoadPoint,
        measured: Measured,
    ) -> Result<(), Failure> {
        let identity = measured.server;
        let known = self.result.server.get_or_insert_with(|| identity.clone());
        // The name of an image may refer to another image in a later run of the commit.
        if known.digest != identity.digest || known.version != identity.version {
            let build = |server: &Server| {
                let parts = [&server.digest, &server.version].into_iter().flatten();
                let parts: Vec<&str> = parts.map(String::as_str).collect();
                parts.join(", version ")
            };
            let (before, now) = (build(known), build(&identity));
            return Err(OtherEvidence::failure("build", before, now));
        }
        if let Some(environment) = measured.environment {
            let known = self
                .result
                .environment
                .get_or_insert_with(|| environment.clone());
            let machine = |environment: &Environment| {
                let machine = environment.machine_or_host();
                let gpus = environment.gpus.as_deref().unwrap_or_default();
                machine_with_gpus(machine.unwrap_or("an unknown machine"), gpus)
            };
            let (before, now) = (machine(known), machine(&environment));
            // A lost GPU makes the repeat void, but the machine stays the same.
            let has_gpus =
                |environment: &Environment| environment.gpus.iter().flatten().count() > 0;
            let lost = measured.repeat.void.is_some() && has_gpus(known) && !has_gpus(&environment);
            if before != now && !lost {
                return Err(OtherEvidence::failure("machine", before, now));
            }
        }
        let spoiled = self.spoiled.entry(load.name()).or_default();
        *spoiled = if measured.is_spoiled { *spoiled + 1 } else { 0 };
        let scenario = self.scenario(&load.name());
        scenario.load.get_or_insert_with(|| Load {
            // The digest contains only numbers of the whole plan; these depend on the load.
            requests: Some(plan.num_requests as u64),
            warmup_requests: Some(plan.warmup_requests as u64),
            ..described_load(load, plan)
        });
        scenario.repeats.push(measured.repeat);
        Ok(())
    }

    /// The scenario of that name, which is added if missing.
    pub(crate) fn scenario(&mut self, name: &str) -> &mut Scenario {
        let scenarios = &mut self.result.scenarios;
        let known = scenarios.iter().position(|known| known.name == name);
        let index = known.unwrap_or(scenarios.len());
        if known.is_none() {
            scenarios.push(Scenario {
                name: name.to_owned(),
                ..Scenario::default()
            });
        }
        &mut scenarios[index]
    }

    /// All repeats at that load, in order.
    pub(crate) fn repeats_of(&self, load: LoadPoint) -> &[Repeat] {
        let mut scenarios = self.result.scenarios.iter();
        scenarios
            .find(|scenario| scenario.name == load.name())
            .map_or(&[][..], |scenario| &scenario.repeats)
    }

    /// Ends a run if the load generator spoils consecutive repeats.
    pub(crate) fn check_spoiled(&self) -> Result<(), Failure> {
        for scenario in &self.result.scenarios {
            let times = self.spoiled.get(&scenario.name).copied();
            if let Some(last) = scenario.repeats.last()
                && times.unwrap_or_default() >= early_end::MAX_SPOILED
            {
                return Err(early_end::spoiled(last, &scenario.name));
            }
        }
        Ok(())
    }

    /// Fills every load point with void repeats up to `count`; the others are kept.
    pub(crate) fn fill_up(&mut self, count: u32, reason: &str) {
        for scenario in &mut self.result.scenarios {
            while scenario.repeats.len() < count as usize {
                scenario.repeats.push(not_measured(reason));
            }
        }
    }

    /// Puts the last repeat of every load point at that place, after void ones.
    pub(crate) fn put_last_at(&mut self, place: u32, reason: &str) {
        for scenario in &mut self.result.scenarios {
            while (1..=place as usize).contains(&scenario.repeats.len()) {
                let last = scenario.repeats.len() - 1;
                scenario.repeats.insert(last, not_measured(reason));
            }
        }
    }

    /// Why a repeat measured after the first `before` ones does not count at one of the load points.
    pub(crate) fn void_since(&self, before: u32) -> Option<String> {
        let mut lasts = self.result.scenarios.iter().map(|scenario| {
            let mut new = scenario.repeats.iter().skip(before as usize);
            new.find_map(|repeat| repeat.void.clone())
        });
        lasts.find_map(|void| void)
    }

    /// Repeats of the load point with the most, void ones included.
    pub(crate) fn repeats(&self) -> u32 {
        let scenarios = self.result.scenarios.iter();
        let counts = scenarios.map(|scenario| scenario.repeats.len());
        u32::try_from(counts.max().unwrap_or(0)).unwrap_or(u32::MAX)
    }
}

/// The name of a machine with the models of its GPUs.
pub(super) fn machine_with_gpus(machine: &str, gpus: &[Gpu]) -> String {
    let models: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    format!("{machine} {}", models.join(", "))
        .trim_end()
        .to_owned()
}

fn not_measured(reason: &str) -> Repeat {
    Repeat {
        metrics: std::iter::once((Metric::QPS.id().to_owned(), None)).collect(),
        void: Some(reason.to_owned()),
        ..Repeat::default()
    }
}

/// New measurements do not belong to the earlier evidence.
#[derive(Debug, thiserror::Error)]
#[error("the earlier evidence is of another {what}: {before} instead of {now}")]
pub(crate) struct OtherEvidence {
    what: &'static str,
    before: String,
    now: String,
}

impl OtherEvidence {
    fn failure(what: &'static str, before: String, now: String) -> Failure {
        let error = Self { what, before, now };
        Failure::new(ExitStatus::NotComparable, error)
            .hint("move the evidence folder away, or use another one with `--evidence`")
    }
}
