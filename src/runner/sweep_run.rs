//! Measures a sweep: a grid, loads that grow until throughput saturates, or a search of the highest load within
//! limits.

use std::time::Instant;

use serde_json::json;

use super::load_points::{Points, median, search_result};
use crate::clock;
use crate::config::{LoadPoint, Plan};
use crate::event::SweepEvent;
use crate::failure::Failure;
use crate::inputs::sweep_course::{Course, Kind};
use crate::metric::Metric;
use crate::record::Failures;
use crate::record::format::{Repeat, ResultFile, SWEEP};
use crate::stats::Outcome;
use crate::sweep::{
    Attained, Capacity, Found, Growth, Limits, LoadReason, Point, Search, Step, SweepContext,
    attained, grow,
};
use crate::text::number::{percent, value};

/// A search of rates begins at this share of the throughput with all requests sent at once: the capacity within limits is
/// below that, rarely by much.
const FIRST_SHARE: f64 = 0.5;

/// `95 % of the requests with TTFT up to 0.2 s and TPOT up to 0.05 s`.
fn in_limits(limits: &Limits, attainment: f64) -> String {
    let named = [
        ("TTFT", limits.ttft),
        ("TPOT", limits.tpot),
        ("E2E", limits.e2e),
    ];
    let named = named
        .iter()
        .filter_map(|(name, limit)| Some(format!("{name} up to {} s", (*limit)?)));
    let named: Vec<String> = named.collect();
    format!(
        "{} of the requests with {}",
        percent(attainment),
        named.join(" and ")
    )
}

/// A sweep in progress.
pub(crate) struct Sweep<'a> {
    points: Points<'a>,
    course: &'a Course,
    /// For the report.
    told: SweepContext,
}

/// A load of the current repeat, and the index of its first measurement in the scenario.
struct Seen {
    load: LoadPoint,
    from: usize,
}

impl<'a> Sweep<'a> {
    /// Begins without a measurement.
    pub(crate) fn begin(
        mut points: Points<'a>,
        course: &'a Course,
        limits: Option<Limits>,
        attainment: f64,
    ) -> Self {
        if let (Kind::Find { .. }, Some(limits)) = (&course.kind, limits) {
            points.searches(&in_limits(&limits, attainment), course.rates.is_some());
        }
        Self {
            points,
            course,
            told: SweepContext {
                rates: course.rates.is_some(),
                limits,
                attainment,
                ..SweepContext::default()
            },
        }
    }

    /// The result, and what the report needs beside it.
    pub(crate) fn into_result(self) -> (ResultFile, SweepContext) {
        (self.points.arm.run.result, self.told)
    }

    fn emit(&self, event: SweepEvent) {
        self.points.arm.context.emit(event);
    }

    /// Emits why a load is measured, or its figures.
    fn emit_load(&self, load: LoadPoint, words: String) {
        let load = load.name();
        self.emit(SweepEvent::Load { load, words });
    }

    /// Emits how the course ended, as in the report.
    fn emit_end(&self) {
        self.emit(SweepEvent::Ended(self.told.ended.clone()));
    }

    /// The name of a load of the course.
    fn name(&self, load: f64) -> String {
        LoadPoint::of(load, self.course.rates).name()
    }

    /// Measures the course once per repeat of the plan.
    pub(crate) async fn repeats(&mut self, plan: &Plan) -> Result<(), Failure> {
        for repeat in 0..plan.repeat {
            self.points.arm.start(repeat, plan.repeat).await?;
            let swept = self.once().await;
            self.points.end(swept, repeat, plan.repeat).await?;
        }
        Ok(())
    }

    /// The whole course once on one server.
    async fn once(&mut self) -> Result<(), Failure> {
        let course = self.course;
        let mut seen = Vec::new();
        match &course.kind {
            Kind::Grid(loads) => {
                let of = loads.len();
                for (index, load) in loads.iter().enumerate() {
                    let why = format!("load {} of {of}", index + 1);
                    self.measure(&mut seen, *load, false, &why).await?;
                }
                self.told.ended = format!("all {of} requested loads are measured");
                Ok(())
            }
            Kind::Grow { start, most } => self.grow(&mut seen, *start, *most).await,
            Kind::Find {
                search,
                start,
                grid,
            } => {
                for load in grid {
                    // All requests at once is not a rate for the search.
                    let is_rate = load.number().is_finite();
                    let seen = if is_rate { &mut seen } else { &mut Vec::new() };
                    self.measure(seen, *load, false, "requested").await?;
                }
                let search = match start {
                    Some(start) => Search {
                        start: *start,
                        ..*search
                    },
                    None => self.begin_at(*search).await?,
                };
                self.find(seen, &search).await
            }
        }
    }

    async fn grow(&mut self, seen: &mut Vec<Seen>, start: f64, most: f64) -> Result<(), Failure> {
        loop {
            let throughput = |seen: &Seen| median(self.of(seen), Metric::THROUGHPUT);
            let measured = seen
                .iter()
                .map(|seen| (seen.load.number(), throughput(seen)));
            let measured: Vec<(f64, Option<f64>)> = measured.collect();
            // With failed requests the throughput is not comparable.
            if let Some(last) = seen.last()
                && self.points.fails(last.load)
                && let Some(failed) = Failures::of(self.of(last)).in_words()
            {
                self.told.ended = format!(
                    "the server fails at {}: {failed}; the highest throughput is unknown",
                    last.load.name()
                );
                self.emit_end();
                return Ok(());
            }
            self.told.ended = match grow(start, most, &measured) {
                Growth::Next(load) => {
                    let why = match measured.last() {
                        None => "the first load".to_owned(),
                        Some(_) => "throughput still grows".to_owned(),
                    };
                    let load = LoadPoint::of(load, self.course.rates);
                    self.measure(seen, load, true, &why).await?;
                    continue;
                }
                Growth::Saturated(load) => format!(
                    "the server is saturated: {} has less than 5 % more throughput than lower loads",
                    self.name(load)
                ),
                Growth::Bounded(load) => format!(
                    "throughput still grows at {}, the maximum load; raise `--max-load`",
                    self.name(load)
                ),
                Growth::Failed(load) => format!("no request of {} succeeded", self.name(load)),
            };
            self.emit_end();
            return Ok(());
        }
    }

    /// Finds the first rate of a search by sending all requests at once.
    async fn begin_at(&mut self, search: Search) -> Result<Search, Failure> {
        let all = LoadPoint::of(f64::INFINITY, self.course.rates);
        let why = "all requests at once, to measure the maximum throughput";
        self.emit_load(all, why.to_owned());
        // Only a starting point: a void repeat, as with a slow client, is also sufficient.
        let from = self.points.repeats(all).len();
        if self.points.try_to_measure(all, true).await?.is_none() {
            self.emit_load(all, self.measured_in_words(&Seen { load: all, from }));
        }
        let last = self.points.repeats(all).last();
        let served = last.and_then(|repeat| repeat.metric(Metric::QPS));
        let most = served
            .filter(|served| *served > 0.0)
            .unwrap_or(search.start);
        // Three digits, so that the rates are readable.
        let digits = 10_f64.powf((most * FIRST_SHARE).log10().floor() - 1.0);
        let start =
            ((most * FIRST_SHARE / digits).round() * digits).clamp(search.least, search.most);
        Ok(Search { start, ..search })
    }

    async fn find(&mut self, mut seen: Vec<Seen>, search: &Search) -> Result<(), Failure> {
        let (began, started) = (Instant::now(), clock::timestamp());
        loop {
            let points = self.known(&seen);
            match search.next(&points) {
                Step::Measure { load, why } => {
                    let load = LoadPoint::of(load, self.course.rates);
                    let why = self.in_words(why);
                    self.measure(&mut seen, load, true, &why).await?;
                }
                Step::Done(found) => {
                    let measurements = points.iter().map(|point| point.visits).sum();
                    let doubts = self.doubts(&seen, search, &points);
                    self.told.warnings.extend(doubts);
                    let repeat = Repeat {
                        started: Some(started),
                        duration: Some(began.elapsed().as_secs_f64()),
                        ..self.capacity(&seen, found, measurements)
                    };
                    self.told.capacities.push(Capacity {
                        load: found.capacity,
                        fails_at: found.fails_at,
                        measurements,
                    });
                    self.told.ended = self.found_in_words(found, search);
                    self.emit_end();
                    return self.points.add(SWEEP, repeat);
                }
            }
        }
    }

    async fn measure(
        &mut self,
        seen: &mut Vec<Seen>,
        load: LoadPoint,
        adaptive: bool,
        why: &str,
    ) -> Result<(), Failure> {
        let first = self.told.capacities.is_empty() && seen.is_empty();
        if !seen.iter().any(|seen| seen.load == load) {
            let from = self.points.repeats(load).len();
            seen.push(Seen { load, from });
        }
        self.emit_load(load, why.to_owned());
        self.points.measure(load, adaptive).await?;
        // Later loads and all requests at once may overload the server.
        if first && load.number().is_finite() && self.points.fails(load) {
            self.points.arm.check_failures()?;
        }
        if let Some(seen) = seen.iter().find(|seen| seen.load == load) {
            self.emit_load(load, self.measured_in_words(seen));
        }
        Ok(())
    }

    /// The measurements of a load in this repeat.
    fn of(&self, seen: &Seen) -> &[Repeat] {
        self.points
            .repeats(seen.load)
            .get(seen.from..)
            .unwrap_or_default()
    }

    fn attained(&self, seen: &Seen) -> Option<Attained> {
        self.told
            .limits
            .map(|limits| attained(self.of(seen), &limits))
    }

    /// The known points of the search.
    fn known(&self, seen: &[Seen]) -> Vec<Point> {
        let counts = |repeat: &&Repeat| repeat.void.is_none();
        let point = |seen: &Seen| Point {
            load: seen.load.number(),
            outcome: self.attained(seen).map_or(Outcome::Undecided, |attained| {
                attained.outcome(self.told.attainment)
            }),
            visits: u32::try_from(self.of(seen).iter().filter(counts).count()).unwrap_or(u32::MAX),
        };
        seen.iter().map(point).collect()
    }

    fn measured_in_words(&self, seen: &Seen) -> String {
        let repeats = self.of(seen);
        let figure = |metric: Metric, name: &str| {
            Some(format!(
                "{name}{}",
                value(median(repeats, metric)?, metric.unit())
            ))
        };
        let figures = [
            figure(Metric::THROUGHPUT, ""),
            figure(Metric::TTFT_P95, "TTFT P95 "),
            figure(Metric::TPOT_P95, "TPOT P95 "),
        ];
        let mut words: Vec<String> = figures.into_iter().flatten().collect();
        if words.is_empty() {
            words.push("no request succeeded".to_owned());
        }
        words.extend(Failures::of(repeats).in_words());
        if let Some(attained) = self.attained(seen) {
            let (low, high) = attained.interval();
            let answer = match attained.outcome(self.told.attainment) {
                Outcome::Pass => "meets the limits",
                Outcome::Fail => "does not meet the limits",
                Outcome::Undecided => "undecided",
            };
            words.push(format!(
                "{} of {} requests within the limits (95 % interval {} to {}, required {}): {answer}",
                attained.good,
                attained.all,
                percent(low),
                percent(high),
                percent(self.told.attainment)
            ));
        }
        words.join(", ")
    }

    /// The repeat of the scenario of the whole sweep.
    fn capacity(&self, seen: &[Seen], found: Found, measurements: u32) -> Repeat {
        let searched = match self.course.rates {
            Some(_) => Metric::CAPACITY_REQUEST_RATE,
            None => Metric::CAPACITY_CONCURRENCY,
        };
        let at = seen
            .iter()
            .find(|seen| Some(seen.load.number()) == found.capacity);
        let of = |metric| at.and_then(|seen| median(self.of(seen), metric));
        let metrics = [
            (searched, found.capacity),
            (Metric::CAPACITY_THROUGHPUT, of(Metric::THROUGHPUT)),
            (Metric::CAPACITY_GOODPUT, of(Metric::GOODPUT)),
        ];
        let lowest = found
            .fails_at
            .map_or_else(String::new, |load| self.name(load));
        let why = format!("{lowest}, the lowest load, does not meet the limits");
        let facts = [
            ("fails_at", json!(found.fails_at)),
            ("measurements", json!(measurements)),
            ("attainment", json!(self.told.attainment)),
            ("limits", json!(self.told.limits)),
        ];
        search_result(metrics, &why, facts)
    }

    /// Undecided points and contradictory results.
    fn doubts(&self, seen: &[Seen], search: &Search, points: &[Point]) -> Vec<String> {
        let open = seen
            .iter()
            .zip(points)
            .filter(|(_, point)| point.outcome == Outcome::Undecided);
        let open = open.map(|(seen, point)| {
            let attained = self.attained(seen).unwrap_or_default();
            let why = if attained.all < Attained::fewest(self.told.attainment) {
                format!(
                    "{} requests are too few to show {} (at least {} needed); raise `--num-prompts`",
                    attained.all,
                    percent(self.told.attainment),
                    Attained::fewest(self.told.attainment)
                )
            } else {
                format!(
                    "{} of {} requests were within the limits",
                    attained.good, attained.all
                )
            };
            format!(
                "{} is undecided after {} measurements and counts as not met: {why}",
                seen.load.name(),
                point.visits
            )
        });
        let contradictions = search.contradictions(points);
        let contradictions = contradictions.into_iter().map(|(low, high)| {
            format!(
                "not monotone: {} meets the limits but the lower {} does not; the capacity is taken from below both",
                self.name(high),
                self.name(low)
            )
        });
        open.chain(contradictions).collect()
    }

    fn found_in_words(&self, found: Found, search: &Search) -> String {
        let name = |load| self.name(load);
        match (found.capacity, found.fails_at) {
            (Some(low), Some(high)) => format!(
                "{} is the highest load that meets the limits; {} does not",
                name(low),
                name(high)
            ),
            (Some(low), None) => format!(
                "{}, the maximum load, meets the limits: the capacity is at least that; raise `--max-load`",
                name(low)
            ),
            (None, Some(high)) => {
                format!("{}, the lowest load, does not meet the limits", name(high))
            }
            (None, None) => format!(
                "no load between {} and {} was measured",
                search.least, search.most
            ),
        }
    }

    fn in_words(&self, reason: LoadReason) -> String {
        let name = |load| self.name(load);
        match reason {
            LoadReason::Above(load) => format!("upwards, because {} meets the limits", name(load)),
            LoadReason::Below(load) => {
                format!("downwards, because {} does not meet the limits", name(load))
            }
            LoadReason::Between(low, high) => format!(
                "between {}, which meets the limits, and {}, which does not",
                name(low),
                name(high)
            ),
            LoadReason::First => "the first load".to_owned(),
            LoadReason::Again { visits: 1 } => {
                "again, because one measurement is undecided".to_owned()
            }
            LoadReason::Again { visits } => {
                format!("again, because {visits} measurements are undecided")
            }
        }
    }
}
