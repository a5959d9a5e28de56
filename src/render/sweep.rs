//! The result of a sweep for the terminal, as JSON and HTML. Renderers decide nothing.

use comfy_table::{CellAlignment, Table, presets};
use minijinja::value::Serde;
use serde::Serialize;

use super::curve::{self, Line, Panel, Spot};
use super::html::{self, HtmlError};
use super::number;
use super::terminal::wrapped;
use super::view::Fact;
use crate::metric::{Metric, Unit};
use crate::report::comparison::{CurvePoint, CurveSide, LoadCurve};
use crate::sweep::{Capacity, SweepPoint, SweepReport};
use crate::text::count::count;
use crate::text::sanitize;

const TEMPLATE: &str = include_str!("../../templates/sweep.html");

/// Shown where there is no value.
const NOTHING: &str = "–";

/// `perfgate.sweep/1`, indented.
pub fn json(report: &SweepReport) -> String {
    let text = serde_json::to_string_pretty(report);
    // Serialisation cannot fail: all keys are strings, and the writer is memory.
    text.map(|text| text + "\n").unwrap_or_default()
}

/// One row of the table, in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct RowText {
    load: String,
    throughput: String,
    latencies: [String; 4],
    goodput: String,
    within: String,
    mark: String,
}

/// The latencies of the table.
const LATENCIES: [Metric; 4] = [
    Metric::TTFT_P50,
    Metric::TTFT_P95,
    Metric::TPOT_P50,
    Metric::TPOT_P95,
];

impl RowText {
    fn of(point: &SweepPoint) -> Self {
        let figure = |metric: Metric| {
            point.metric(metric).map_or_else(
                || NOTHING.to_owned(),
                |value| number::value(value, metric.unit()),
            )
        };
        // The column head has the unit.
        let bare = |metric: Metric| {
            let text = figure(metric);
            text.split_once(' ')
                .map_or_else(|| text.clone(), |(digits, _)| digits.to_owned())
        };
        Self {
            load: load(point),
            throughput: bare(Metric::THROUGHPUT),
            latencies: LATENCIES.map(figure),
            goodput: bare(Metric::GOODPUT),
            within: point.within.map_or_else(String::new, |within| {
                let share = f64::from(within.good) / f64::from(within.all.max(1));
                let sign = match within.met {
                    Some(true) => "✓",
                    Some(false) => "✕",
                    None => "?",
                };
                format!("{} {sign}", number::percent(share))
            }),
            mark: mark(point),
        }
    }
}

fn load(point: &SweepPoint) -> String {
    point
        .load
        .map_or_else(|| "all".to_owned(), |load| load.to_string())
}

fn mark(point: &SweepPoint) -> String {
    let marks = [(point.is_capacity, "capacity"), (point.is_knee, "knee")];
    let marks: Vec<&str> = marks
        .into_iter()
        .filter_map(|(is, word)| is.then_some(word))
        .collect();
    marks.join(", ")
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
    let mut table = Table::new();
    let mut head = vec![load_unit(report).to_owned(), "tok/s".to_owned()];
    head.extend(LATENCIES.map(|metric| metric.label().to_owned()));
    if limited {
        head.extend(["goodput".to_owned(), "in SLO".to_owned()]);
    }
    head.push(String::new());
    table.load_style(presets::NOTHING).set_header(head);
    for point in &report.points {
        let row = RowText::of(point);
        let mut cells = vec![row.load, row.throughput];
        cells.extend(row.latencies);
        if limited {
            cells.extend([row.goodput, row.within]);
        }
        cells.push(row.mark);
        table.add_row(cells);
    }
    let marks = if limited { 8 } else { 6 };
    for index in 0..=marks {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 1));
            if index < marks {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    let lines: Vec<String> = table
        .lines()
        .map(|line| format!(" {}\n", line.trim_end()))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let marked = index
            .checked_sub(1)
            .and_then(|index| report.points.get(index));
        let bold = color && marked.is_some_and(|point| point.is_capacity || point.is_knee);
        if bold {
            text.push_str(&format!("\u{1b}[1m{}\u{1b}[0m\n", line.trim_end()));
        } else {
            text.push_str(line);
        }
    }
    text.push('\n');
    for fact in facts(report) {
        text.push_str(&wrapped(&format!(
            "{}: {}",
            fact.name,
            sanitize::line(&fact.value)
        )));
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
        facts.push(Fact {
            name: "limits",
            value: format!(
                "{} for at least {} of all requests, with 95 % confidence",
                limits.join(", "),
                number::percent(attainment)
            ),
        });
    }
    facts.push(Fact {
        name: "knee",
        value: match report.knee {
            Some(knee) => {
                format!("{knee} {unit}: beyond it, more load adds more latency than throughput")
            }
            None => "none: the curve has no clear bend, or the loads are too close to each other"
                .to_owned(),
        },
    });
    if report.capacities.is_empty() {
        facts.push(Fact {
            name: "ended",
            value: report.ended.clone(),
        });
    } else {
        let found: Vec<String> = report
            .capacities
            .iter()
            .map(|capacity| capacity_in_words(*capacity, unit))
            .collect();
        facts.push(Fact {
            name: "capacity",
            value: found.join("; "),
        });
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
struct Page {
    style: &'static str,
    version: &'static str,
    title: String,
    headline: String,
    unit: &'static str,
    limited: bool,
    rows: Vec<RowText>,
    facts: Vec<Fact>,
    warnings: Vec<String>,
    panels: Vec<PanelText>,
}

#[derive(Serialize)]
struct PanelText {
    title: &'static str,
    svg: String,
}

/// One self-contained page: charts, table, result.
pub fn html(report: &SweepReport) -> Result<String, HtmlError> {
    let name = report
        .name
        .as_deref()
        .or(report.model.as_deref())
        .unwrap_or("unnamed");
    let limit =
        |pick: fn(&crate::sweep::Limits) -> Option<f64>| report.limits.as_ref().and_then(pick);
    let panels = [
        (Metric::TTFT_P95, limit(|limits| limits.ttft)),
        (Metric::TPOT_P95, limit(|limits| limits.tpot)),
        (Metric::E2E_P95, limit(|limits| limits.e2e)),
    ];
    let panels = panels.into_iter().filter_map(|(metric, limit)| {
        let title = metric.label();
        let line = Line {
            name: "",
            class: "head",
            spots: spots(&report.points, metric),
        };
        let svg = curve::panel(&Panel {
            latency: title,
            limit,
            lines: vec![line],
        })?;
        Some(PanelText { title, svg })
    });
    let page = Page {
        style: html::STYLE,
        version: env!("CARGO_PKG_VERSION"),
        title: name.to_owned(),
        headline: headline(report),
        unit: load_unit(report),
        limited: report.limits.is_some(),
        rows: report.points.iter().map(RowText::of).collect(),
        facts: facts(report),
        warnings: report.warnings.clone(),
        panels: panels.collect(),
    };
    html::page("sweep.html", TEMPLATE, Serde(&page))
}

fn headline(report: &SweepReport) -> String {
    let unit = load_unit(report);
    let at_most = report
        .points
        .iter()
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
            mark: mark(point),
        })
    });
    spots.collect()
}

/// The panels of a comparison's curve.
pub(super) fn comparison_panels(curve: &LoadCurve) -> Vec<(&'static str, String)> {
    let line = |name, class, side: &CurveSide, latency: fn(&CurvePoint) -> Option<f64>| {
        let same = |one: Option<f64>, other: f64| one.is_some_and(|one| (one - other).abs() < 1e-9);
        let spots = side.points.iter().filter_map(|point| {
            let marks = [
                (same(side.capacity, point.load), "capacity"),
                (same(side.knee, point.load), "knee"),
            ];
            let marks: Vec<&str> = marks
                .into_iter()
                .filter_map(|(is, word)| is.then_some(word))
                .collect();
            Some(Spot {
                load: point.load.to_string(),
                throughput: point.throughput,
                latency: latency(point)?,
                mark: marks.join(", "),
            })
        });
        Line {
            name,
            class,
            spots: spots.collect(),
        }
    };
    let ttft: fn(&CurvePoint) -> Option<f64> = |point| point.ttft;
    let latencies = [("TTFT P95", ttft), ("TPOT P95", |point| point.tpot)];
    let panels = latencies.into_iter().filter_map(|(title, latency)| {
        let lines = vec![
            line("baseline", "base", &curve.baseline, latency),
            line("candidate", "head", &curve.candidate, latency),
        ];
        let svg = curve::panel(&Panel {
            latency: title,
            limit: None,
            lines,
        })?;
        Some((title, svg))
    });
    panels.collect()
}
