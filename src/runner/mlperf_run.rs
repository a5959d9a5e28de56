//! Measures a scenario of MLPerf Inference: once, or at the rates of a search.

use super::load_points::Points;
use crate::clock;
use crate::config::LoadPoint;
use crate::event::SweepEvent;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::inputs::mlperf_course::{MlperfCourse, Peak};
use crate::metric::Metric;
use crate::mlperf::{MlperfReport, Tried, reasons};
use crate::record::format::{Repeat, SWEEP};
use crate::record::telemetry::Telemetry;
use crate::stats::{Outcome, number};
use crate::sweep::{Grain, Point, Search, Step};

/// Lowest and highest rate of a search.
const RATES: (f64, f64) = (0.001, 1e4);

/// A scenario to measure.
pub(crate) struct MlperfRun<'a> {
    pub(crate) course: &'a MlperfCourse,
}

impl MlperfRun<'_> {
    /// Measures the scenario once, or searches the highest valid rate.
    pub(crate) async fn measure(&self, points: &mut Points<'_>) -> Result<MlperfReport, Failure> {
        if let (Some(_), Some(limits)) = (self.course.peak, self.course.required.limits) {
            let asked = format!(
                "P{} of TTFT up to {} s and of TPOT up to {} s",
                self.course.required.percentile * 100.0,
                limits.ttft,
                limits.tpot
            );
            points.searches(&asked, true);
        }
        points.start(0, 1).await?;
        let measured = match self.course.peak {
            Some(peak) => self.peak(points, peak).await,
            None => self.once(points, self.course.first, false).await,
        };
        points.end(measured, 0, 1).await
    }

    async fn once(
        &self,
        points: &mut Points<'_>,
        load: LoadPoint,
        adaptive: bool,
    ) -> Result<MlperfReport, Failure> {
        points.measure(load, adaptive).await?;
        let nothing = Repeat::default();
        let repeat = points.repeats(load).last().unwrap_or(&nothing);
        let rate = match load {
            LoadPoint::Rate { per_second, .. } => Some(per_second),
            LoadPoint::Concurrency(_) | LoadPoint::Trace { .. } => None,
        };
        let report = MlperfReport::of(
            (
                self.course.scenario,
                self.course.task,
                &self.course.plan.served_model_name,
            ),
            rate,
            self.course.required,
            repeat,
        );
        points.events().emit(SweepEvent::Valid {
            load: load.name(),
            valid: report.valid,
            reasons: report.reasons.iter().map(ToString::to_string).collect(),
        });
        Ok(report)
    }

    /// The report of the highest valid rate, or of the lowest measured rate.
    async fn peak(&self, points: &mut Points<'_>, peak: Peak) -> Result<MlperfReport, Failure> {
        let required = self.course.required;
        let search = Search {
            grain: Grain::Real,
            start: peak.start,
            least: RATES.0,
            most: RATES.1,
            precision: peak.precision,
            most_visits: 1,
        };
        let mut reports: Vec<MlperfReport> = Vec::new();
        let mut known: Vec<Point> = Vec::new();
        let found = loop {
            match search.next(&known) {
                Step::Done(found) => break found,
                Step::Measure { load, .. } => {
                    let point = LoadPoint::of(load, Some(1.0));
                    let report = self.once(points, point, true).await?;
                    let outcome = if report.valid {
                        Outcome::Pass
                    } else {
                        Outcome::Fail
                    };
                    // A reason that is independent of the rate ends the search.
                    let in_vain = reasons(&required, &report.seen)
                        .iter()
                        .any(|reason| !reason.is_of_load());
                    known.push(Point {
                        load,
                        outcome,
                        visits: 1,
                    });
                    reports.push(report);
                    if in_vain {
                        points.events().emit(SweepEvent::NoRateHelps);
                        break search_ended(&known);
                    }
                }
            }
        };
        let tried: Vec<Tried> = known
            .iter()
            .map(|point| Tried {
                target_qps: point.load,
                valid: point.outcome == Outcome::Pass,
            })
            .collect();
        points.add(SWEEP, capacity(found.capacity, &tried))?;
        let of = |rate: Option<f64>| {
            let mut reports = reports.iter();
            reports.find(|report| rate.is_some() && report.target_qps == rate)
        };
        let report = of(found.capacity)
            .or_else(|| of(found.fails_at))
            .or(reports.last());
        let report = report
            .cloned()
            .ok_or_else(|| Failure::message(ExitStatus::Usage, "no rate was measured"))?;
        Ok(MlperfReport { tried, ..report })
    }
}

/// The result of a search that ends early.
fn search_ended(known: &[Point]) -> crate::sweep::Found {
    let of = |outcome: Outcome| known.iter().filter(move |point| point.outcome == outcome);
    crate::sweep::Found {
        capacity: of(Outcome::Pass)
            .map(|point| point.load)
            .max_by(f64::total_cmp),
        fails_at: of(Outcome::Fail)
            .map(|point| point.load)
            .min_by(f64::total_cmp),
    }
}

/// The peak in the form of the result file, for comparisons.
fn capacity(peak: Option<f64>, tried: &[Tried]) -> Repeat {
    let id = Metric::CAPACITY_REQUEST_RATE.id().to_owned();
    let not_measured = match peak {
        Some(_) => None,
        None => Some((id.clone(), "no measured rate is valid".to_owned())),
    };
    let measurements = number(tried.len() as u64);
    Repeat {
        started: Some(clock::timestamp()),
        metrics: [(id, peak)].into(),
        not_measured: not_measured.into_iter().collect(),
        telemetry: Telemetry {
            rest: [("measurements".to_owned(), measurements.into())].into(),
            ..Telemetry::default()
        },
        ..Repeat::default()
    }
}
