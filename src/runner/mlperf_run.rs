//! Measures a scenario of MLPerf Inference: once, or at the rates of a search.

use super::load_points::{Points, search_result};
use crate::config::LoadPoint;
use crate::event::SweepEvent;
use crate::failure::Failure;
use crate::inputs::mlperf_course::{MlperfCourse, Peak};
use crate::metric::Metric;
use crate::mlperf::{MlperfReport, Reason, Tried, reasons};
use crate::record::format::{Repeat, SWEEP};
use crate::stats::{Outcome, number};
use crate::sweep::{Grain, Point, Search, Step};

/// Lowest and highest rate of a search.
const RATES: (f64, f64) = (0.001, 1e4);

/// Measures the scenario once, or searches the highest valid rate.
pub(crate) async fn measure(
    course: &MlperfCourse,
    points: &mut Points<'_>,
) -> Result<MlperfReport, Failure> {
    let required = &course.required;
    if let (Some(_), Some(limits)) = (course.peak, required.limits) {
        let asked = format!(
            "P{} of TTFT up to {} s and of TPOT up to {} s",
            required.percentile * 100.0,
            limits.ttft,
            limits.tpot
        );
        points.searches(&asked, true);
    }
    points.arm.start(0, 1).await?;
    let measured = match course.peak {
        Some(peak) => search_peak(course, points, peak).await,
        None => once(course, points, course.first, false).await,
    };
    points.end(measured, 0, 1).await
}

async fn once(
    course: &MlperfCourse,
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
    let model = &course.plan.served_model_name;
    let of = (course.scenario, course.task, model.as_str());
    let report = MlperfReport::of(of, rate, course.required, repeat);
    points.arm.context.emit(SweepEvent::Valid {
        load: load.name(),
        valid: report.valid,
        reasons: report.reasons.clone(),
    });
    Ok(report)
}

/// The report of the highest valid rate, or of the lowest measured rate.
async fn search_peak(
    course: &MlperfCourse,
    points: &mut Points<'_>,
    peak: Peak,
) -> Result<MlperfReport, Failure> {
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
        let load = match search.next(&known) {
            Step::Done(found) => break found,
            Step::Measure { load, .. } => load,
        };
        let point = LoadPoint::of(load, Some(1.0));
        let report = once(course, points, point, true).await?;
        known.push(Point {
            load,
            outcome: if report.valid {
                Outcome::Pass
            } else {
                Outcome::Fail
            },
            visits: 1,
        });
        // A reason that is independent of the rate ends the search.
        let reasons = reasons(&course.required, &report.seen);
        reports.push(report);
        if !reasons.iter().all(Reason::is_of_load) {
            points.arm.context.emit(SweepEvent::NoRateHelps);
            break search.bracket(&known);
        }
    };
    let tried: Vec<Tried> = known
        .iter()
        .map(|point| Tried {
            target_qps: point.load,
            valid: point.outcome == Outcome::Pass,
        })
        .collect();
    let metric = (Metric::CAPACITY_REQUEST_RATE, found.capacity);
    let measurements = ("measurements", number(tried.len() as u64).into());
    let why = "no measured rate is valid";
    points.add(SWEEP, search_result([metric], why, [measurements]))?;
    let of = |rate: Option<f64>| {
        let mut reports = reports.iter();
        reports.find(|report| rate.is_some() && report.target_qps == rate)
    };
    let report = of(found.capacity)
        .or_else(|| of(found.fails_at))
        .or(reports.last());
    let report = report.ok_or_else(|| Failure::usage("no rate was measured"))?;
    Ok(MlperfReport {
        tried,
        ..report.clone()
    })
}
