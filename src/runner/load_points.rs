//! Load points measured one at a time on one server, each chosen from the results of the earlier ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::arm::Arm;
use super::early_end;
use super::repeat_context::RepeatContext;
use super::repeating::MAX_VOID;
use super::workload_identity::source;
use crate::clock;
use crate::config::{Dataset, LoadPoint, Plan};
use crate::event::RunEvent;
use crate::failure::Failure;
use crate::inputs::sweep_course::Sizes;
use crate::metric::Metric;
use crate::record::format::Repeat;
use crate::record::telemetry::Telemetry;
use crate::stats;

/// Maximum number of requests of a load point.
const MAX_REQUESTS: f64 = 1e7;

impl Sizes {
    /// Measured requests of one load point.
    fn requests(&self, load: LoadPoint) -> usize {
        let wanted = match load {
            LoadPoint::Concurrency(concurrency) => self.per_slot.saturating_mul(concurrency),
            LoadPoint::Rate { per_second, .. } if per_second.is_finite() => {
                let mean = per_second * self.duration.as_secs_f64();
                // Poisson counts vary by the square root of their mean: five standard deviations are exceeded once in millions.
                let room = if self.is_surely {
                    5.0 * mean.sqrt()
                } else {
                    0.0
                };
                let arrivals = (mean + room).ceil();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "limited to ten million"
                )]
                let arrivals = arrivals.min(MAX_REQUESTS) as usize;
                arrivals
            }
            LoadPoint::Rate { .. } | LoadPoint::Trace { .. } => 0,
        };
        wanted.max(self.least)
    }

    /// The plan of one load point. Entries of a data set are sent again only if the plan allows it; otherwise every load
    /// sends the entries chosen when the file was read.
    pub(crate) fn plan_of(&self, plan: &Plan, load: LoadPoint) -> Result<Plan, Failure> {
        let mut num_requests = self.requests(load);
        let usual = Plan::default_warmup(&[load], num_requests);
        let mut warmup_requests = self.warmup.unwrap_or(usual);
        let mut dataset = plan.dataset.clone();
        if let Dataset::Chosen(selection) = &mut dataset {
            if selection.choice.repeat_entries {
                let resized = selection.resized(num_requests, warmup_requests);
                *selection = Arc::new(
                    resized.map_err(|error| Failure::usage(format!("the data set {error}")))?,
                );
            } else {
                (num_requests, warmup_requests) = (
                    selection.choice.num_requests,
                    selection.choice.warmup_requests,
                );
            }
        }
        Ok(Plan {
            loads: vec![load],
            num_requests,
            warmup_requests,
            dataset,
            ..plan.clone()
        })
    }

    /// The number of requests of a load, as text.
    pub(crate) fn described(&self, rates: bool) -> String {
        if rates {
            format!(
                "as many requests as arrive in {} s",
                self.duration.as_secs_f64()
            )
        } else {
            format!("{} requests per request in flight", self.per_slot)
        }
    }
}

/// Load points of a measurement.
pub(crate) struct Points<'a> {
    pub(crate) arm: Arm<'a>,
    sizes: Sizes,
}

impl<'a> Points<'a> {
    /// Begins without a measurement; an unwritable result path is an error.
    pub(crate) fn begin(context: RepeatContext<'a>, sizes: Sizes) -> Result<Self, Failure> {
        let mut arm = Arm::begin(context, None)?;
        // A search chooses its own scenarios.
        arm.run.result.scenarios.clear();
        Ok(Self { arm, sizes })
    }

    /// Records the criteria of a search: capacities of different criteria are not compared.
    pub(crate) fn searches(&mut self, limits: &str, rates: bool) {
        let sizes = self.sizes.described(rates);
        if let Some(workload) = &mut self.arm.run.result.workload {
            workload.search = Some(format!("{limits}; {sizes}"));
        }
    }

    /// Measures one load point, and again if the repeat is void. A load that cannot be measured is an error, because it
    /// allows no conclusion about the server.
    pub(crate) async fn measure(&mut self, load: LoadPoint, adaptive: bool) -> Result<(), Failure> {
        match self.try_to_measure(load, adaptive).await? {
            None => Ok(()),
            Some(reason) => {
                self.arm.run.check_spoiled()?;
                Err(cannot_measure(load, &reason))
            }
        }
    }

    /// As [`Self::measure`], but returns why the last repeat is void, if it is.
    pub(crate) async fn try_to_measure(
        &mut self,
        load: LoadPoint,
        adaptive: bool,
    ) -> Result<Option<String>, Failure> {
        let mut void = None;
        for _ in 0..=MAX_VOID {
            self.measure_once(load, adaptive).await?;
            let last = self.repeats(load).last();
            void = last.and_then(|repeat| repeat.void.clone());
            let Some(reason) = &void else { break };
            self.arm.context.emit(RunEvent::Void {
                repeat: None,
                load: load.name(),
                reason: reason.clone(),
            });
            let spoiled = self.arm.run.spoiled.get(&load.name()).copied();
            if spoiled.unwrap_or_default() >= early_end::MAX_SPOILED {
                break;
            }
        }
        Ok(void)
    }

    /// Measures one load point once and saves the result.
    async fn measure_once(&mut self, load: LoadPoint, adaptive: bool) -> Result<(), Failure> {
        let context = self.arm.context.clone();
        let plan = self.sizes.plan_of(context.plan, load)?;
        let wanted = self.sizes.requests(load);
        if plan.num_requests < wanted {
            context.emit(RunEvent::DataSetEnds {
                load: load.name(),
                requests: plan.num_requests,
                wanted,
            });
        }
        self.arm.run.source = source(&plan)?;
        let context = RepeatContext {
            plan: &plan,
            own_arrivals: true,
            may_fail: true,
            ..context
        };
        let visit = u32::try_from(self.repeats(load).len()).unwrap_or(u32::MAX);
        let of = visit.saturating_add(1);
        self.arm.load(&context, load, visit, of).await?;
        let scenario = self.arm.run.scenario(&load.name());
        if scenario.adaptive != adaptive {
            scenario.adaptive = adaptive;
            self.arm.keep()?;
        }
        Ok(())
    }

    /// Whether the last measurement exceeded the allowed failure rate.
    pub(crate) fn fails(&self, load: LoadPoint) -> bool {
        let last = self.repeats(load).last();
        let rate = last.and_then(|repeat| repeat.metric(Metric::ERROR_RATE));
        rate.is_none_or(|rate| rate > self.arm.context.plan.max_error_rate)
    }

    /// All repeats at that load, in order.
    pub(crate) fn repeats(&self, load: LoadPoint) -> &[Repeat] {
        self.arm.run.repeats_of(load)
    }

    /// Adds a repeat to a scenario that is not a load point.
    pub(crate) fn add(&mut self, scenario: &str, mut repeat: Repeat) -> Result<(), Failure> {
        let id = self.arm.run.id.clone();
        repeat.start.clone_from(&self.arm.start_name);
        let repeats = &mut self.arm.run.scenario(scenario).repeats;
        repeat.id = Some(format!("{id}-{}", repeats.len() + 1));
        repeats.push(repeat);
        self.arm.keep()
    }

    /// Removes the server of repeat `repeat` after any result, unless the next repeat uses it.
    pub(crate) async fn end<T>(
        &mut self,
        measured: Result<T, Failure>,
        repeat: u32,
        of: u32,
    ) -> Result<T, Failure> {
        let measured = self.arm.end(measured, repeat, of).await?;
        self.arm
            .context
            .command
            .interrupt
            .check()
            .map(|()| measured)
    }
}

fn cannot_measure(load: LoadPoint, reason: &str) -> Failure {
    let message = format!(
        "{} cannot be measured from this machine: {reason}",
        load.name()
    );
    Failure::environment(message).hint(
        "fix that, or lower the load; `perfgate doctor` measures the load that this machine can generate",
    )
}

/// The result of a search in the form of the result file; `why` explains missing metrics.
pub(crate) fn search_result(
    metrics: impl IntoIterator<Item = (Metric, Option<f64>)>,
    why: &str,
    facts: impl IntoIterator<Item = (&'static str, Value)>,
) -> Repeat {
    let metrics = metrics.into_iter();
    let metrics: BTreeMap<String, Option<f64>> = metrics
        .map(|(metric, value)| (metric.id().to_owned(), value))
        .collect();
    let missing = metrics.iter().filter(|(_, value)| value.is_none());
    let facts = facts.into_iter();
    Repeat {
        started: Some(clock::timestamp()),
        not_measured: missing
            .map(|(id, _)| (id.clone(), why.to_owned()))
            .collect(),
        metrics,
        telemetry: Telemetry {
            rest: facts.map(|(key, value)| (key.to_owned(), value)).collect(),
            ..Telemetry::default()
        },
        ..Repeat::default()
    }
}

/// The median of a metric over the valid repeats.
pub(crate) fn median(repeats: &[Repeat], metric: Metric) -> Option<f64> {
    let counting = repeats.iter().filter(|repeat| repeat.void.is_none());
    let values: Vec<f64> = counting
        .filter_map(|repeat| repeat.metric(metric))
        .collect();
    stats::median(&values)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_load_gets_enough_requests_to_be_reached() {
        let sizes = Sizes {
            least: 200,
            per_slot: 8,
            duration: Duration::from_secs(30),
            is_surely: false,
            warmup: None,
        };
        let rate = |per_second| LoadPoint::Rate {
            per_second,
            burstiness: 1.0,
        };
        let plan = crate::config::read_plan("p", "model: m").unwrap();
        let sent = |load| {
            let plan = sizes.plan_of(&plan, load).unwrap();
            (plan.num_requests, plan.warmup_requests)
        };
        assert_eq!(sent(LoadPoint::Concurrency(1)), (200, 2));
        assert_eq!(sent(LoadPoint::Concurrency(64)), (512, 128));
        assert_eq!(sent(rate(2.0)), (200, 16));
        assert_eq!(sent(rate(10.5)), (315, 16));
        assert_eq!(sent(rate(f64::INFINITY)), (200, 16));
        let surely = Sizes {
            is_surely: true,
            ..sizes
        };
        // 300 on average; with 387 the last arrival is after 30 s.
        let sure = surely.plan_of(&plan, rate(10.0)).unwrap();
        assert_eq!(sure.num_requests, 387);
        let fixed = Sizes {
            warmup: Some(5),
            ..sizes
        };
        let fixed = fixed.plan_of(&plan, LoadPoint::Concurrency(64)).unwrap();
        assert_eq!(fixed.warmup_requests, 5);
    }
}
