//! The result of a sweep for the terminal, as JSON and HTML. Renderers decide nothing.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::charts::Figure;
use super::curve::{self, Line, Panel, Spot, marks};
use super::number::{self, or_dash};
use super::page::{TemplateError, page};
use super::terminal::{aligned, wrapped};
use super::view::Fact;
use crate::metric::{Metric, Unit};
use crate::sweep::{Capacity, SweepPoint, SweepReport};
use crate::text::count::count;
use crate::text::sanitize;

const TEMPLATE: &str = include_str!("../../templates/sweep.html");

/// `perfgate.sweep/1`, indented.
pub fn json(report: &SweepReport) -> String {
    crate::json::pretty(report)
}

/// The latencies of the table.
const LATENCIES: [Metric; 4] = [
    Metric::TTFT_P50,
    Metric::TTFT_P95,
    Metric::TPOT_P50,
    Metric::TPOT_P95,
];

/// The cells of one row: load, throughput, latencies, with limits goodput and the share inside them, marks.
fn cells(point: &SweepPoint, limited: bool) -> Vec<String> {
    let figure = |metric: Metric| {
        or_dash(point.metric(metric), |value| {
            number::value(value, metric.unit())
        })
    };
    // The column head has the unit.
    let bare = |metric: Metric| {
        let text = figure(metric);
        let digits = text.split(' ').next();
        digits.unwrap_or_default().to_owned()
    };
    let mut cells = vec![load(point), bare(Metric::THROUGHPUT)];
    cells.extend(LATENCIES.map(figure));
    if limited {
        let within = point.within.map(|within| {
            let share = f64::from(within.good) / f64::from(within.all.max(1));
            let sign = match within.met {
                Some(true) => "✓",
                Some(false) => "✕",
                None => "?",
            };
            format!("{} {sign}", number::percent(share))
        });
        cells.extend([bare(Metric::GOODPUT), within.unwrap_or_default()]);
    }
    cells.push(marks(point.is_capacity, point.is_knee));
    cells
}

fn load(point: &SweepPoint) -> String {
    point
        .load
        .map_or_else(|| "all".to_owned(), |load| load.to_string())
}

/// `in flight`, or `requests/s`.
fn load_unit(report: &SweepReport) -> &'static str {
    if report.load == "concurrency" {
        "in flight"
    } else {
        "req/s"
    }
}

/// A table of 80 columns, followed by the result.
pub fn text(report: &SweepReport, color: bool) -> String {
    let limited = report.limits.is_some();
    let mut header = vec![load_unit(report), "tok/s"];
    header.extend(LATENCIES.map(Metric::label));
    if limited {
        header.extend(["goodput", "in SLO"]);
    }
    let numbers = header.len();
    header.push("");
    let mut table = aligned(&header);
    table.add_rows(report.points.iter().map(|point| cells(point, limited)));
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index < numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    let points = std::iter::once(None).chain(report.points.iter().map(Some));
    for (line, point) in table.lines().zip(points) {
        let marked = point.is_some_and(|point| point.is_capacity || point.is_knee);
        let line = format!(" {}", line.trim_end());
        text.push_str(&if color && marked {
            format!("\u{1b}[1m{line}\u{1b}[0m\n")
        } else {
            format!("{line}\n")
        });
    }
    text.push('\n');
    for Fact { name, value } in facts(report) {
        text.push_str(&wrapped(&format!("{name}: {}", sanitize::line(&value))));
    }
    for warning in &report.warnings {
        text.push_str(&wrapped(&format!("warning: {}", sanitize::line(warning))));
    }
    text
}

/// The result, in words.
fn facts(report: &SweepReport) -> Vec<Fact> {
    let unit = load_unit(report);
    let mut facts = Vec::new();
    let mut fact = |name, value| facts.push(Fact { name, value });
    if let (Some(limits), Some(attainment)) = (&report.limits, report.attainment) {
        let named = [
            ("TTFT", limits.ttft),
            ("TPOT", limits.tpot),
            ("E2E", limits.e2e),
        ];
        let limits: Vec<String> = named
            .into_iter()
            .filter_map(|(name, limit)| Some(format!("{name} ≤ {}", number::tick(limit?))))
            .collect();
        fact(
            "limits",
            format!(
                "{} for at least {} of all requests, with 95 % confidence",
                limits.join(", "),
                number::percent(attainment)
            ),
        );
    }
    let knee = report.knee.map_or_else(
        || "none: the curve has no clear bend, or the loads are too close to each other".to_owned(),
        |knee| format!("{knee} {unit}: beyond it, more load adds more latency than throughput"),
    );
    fact("knee", knee);
    if report.capacities.is_empty() {
        fact("ended", report.ended.clone());
    } else {
        let found = report.capacities.iter();
        let found: Vec<String> = found
            .map(|capacity| capacity_in_words(*capacity, unit))
            .collect();
        fact("capacity", found.join("; "));
    }
    facts
}

fn capacity_in_words(capacity: Capacity, unit: &str) -> String {
    let Capacity {
        load,
        fails_at,
        measurements,
    } = capacity;
    let measured = count(measurements, "measurement");
    match (load, fails_at) {
        (Some(load), Some(high)) => {
            format!("{load} {unit} ({high} does not meet the limits; {measured})")
        }
        (Some(load), None) => format!("at least {load} {unit} ({measured})"),
        (None, _) => format!("none: no load meets the limits ({measured})"),
    }
}

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    headline: String,
    unit: &'static str,
    limited: bool,
    rows: Vec<Vec<String>>,
    facts: Vec<Fact>,
    warnings: &'a [String],
    panels: Vec<Figure>,
}

/// One self-contained page: charts, table, result.
pub fn html(report: &SweepReport) -> Result<String, TemplateError> {
    let limited = report.limits.is_some();
    let limits = report.limits.as_ref();
    let panels = [
        (Metric::TTFT_P95, limits.and_then(|limits| limits.ttft)),
        (Metric::TPOT_P95, limits.and_then(|limits| limits.tpot)),
        (Metric::E2E_P95, limits.and_then(|limits| limits.e2e)),
    ];
    let panels = panels.into_iter().filter_map(|(metric, limit)| {
        let svg = curve::panel(&Panel {
            latency: metric.label(),
            limit,
            lines: vec![Line {
                name: "",
                class: "head",
                spots: spots(&report.points, metric),
            }],
        })?;
        let title = metric.label().to_owned();
        Some(Figure { title, svg })
    });
    let points = report.points.iter();
    let content = Page {
        title: report
            .name
            .as_deref()
            .or(report.model.as_deref())
            .unwrap_or("unnamed"),
        headline: headline(report),
        unit: load_unit(report),
        limited,
        rows: points.map(|point| cells(point, limited)).collect(),
        facts: facts(report),
        warnings: &report.warnings,
        panels: panels.collect(),
    };
    page("sweep.html", TEMPLATE, &content)
}

fn headline(report: &SweepReport) -> String {
    let unit = load_unit(report);
    let points = report.points.iter();
    let at_most = points
        .filter_map(|point| Some((point.metric(Metric::THROUGHPUT)?, load(point))))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match report.capacities.first() {
        Some(Capacity {
            load: Some(load),
            fails_at,
            ..
        }) => {
            let least = if fails_at.is_none() { "at least " } else { "" };
            format!("{least}{load} {unit} inside the SLO")
        }
        Some(_) => "no load is inside the SLO".to_owned(),
        None => at_most.map_or_else(
            || "no request succeeded".to_owned(),
            |(throughput, load)| {
                format!(
                    "up to {} at {load} {unit}",
                    number::value(throughput, Unit::TokensPerSecond)
                )
            },
        ),
    }
}

/// The points of the chart: requests sent all at once have no load and no point.
fn spots(points: &[SweepPoint], metric: Metric) -> Vec<Spot> {
    let spots = points.iter().filter_map(|point| {
        Some(Spot {
            load: point.load?.to_string(),
            throughput: point.metric(Metric::THROUGHPUT)?,
            latency: point.metric(metric)?,
            mark: marks(point.is_capacity, point.is_knee),
        })
    });
    spots.collect()
}
