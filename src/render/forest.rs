//! The forest plot: one line for every judged change with its interval, limit and indifference zone, which fits any width.
//!
//! Positions are percentages of the line, so that names, drawing and values are side by side on a wide screen and below each
//! other on a phone, and text is never scaled. The text beside it contains everything that is drawn.

use std::fmt::Write as _;

use serde::Serialize;

use super::number::Axis;
use super::svg::Scale;
use super::view::{Row, RowChart, Sign, View};
use crate::metric::Unit;
use crate::stats::{HIGH_EDGE, LOW_EDGE};

/// The plot.
#[derive(Serialize)]
pub(super) struct Forest {
    lines: Vec<Line>,
    /// Labels of the grid, below the last line.
    axis: String,
}

/// One judgement.
#[derive(Serialize)]
struct Line {
    /// May contain foreign text.
    name: String,
    /// Number of its row in the table.
    place: usize,
    svg: String,
    change: String,
    interval: String,
    sign: Sign,
}

/// `None` without a judged change.
pub(super) fn forest(view: &View) -> Option<Forest> {
    let rows: Vec<(usize, &Row, RowChart)> = view
        .rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| Some((place, row, row.chart?)))
        .collect();
    let charts: Vec<RowChart> = rows.iter().map(|(_, _, chart)| *chart).collect();
    let scale = scale(&charts)?;
    let ticks: Vec<f64> = scale.round(axis(scale)).collect();
    let lines = rows.into_iter().map(|(place, row, chart)| Line {
        name: row.title(view.several_scenarios),
        place,
        svg: line(chart, row.sign.tone, scale, &ticks),
        change: row.change.clone(),
        interval: row.interval.clone(),
        sign: row.sign.clone(),
    });
    Some(Forest {
        lines: lines.collect(),
        axis: labels(scale, &ticks),
    })
}

/// From percent of change to percent of the line. `None` without a change.
fn scale(charts: &[RowChart]) -> Option<Scale> {
    if charts.is_empty() {
        return None;
    }
    // A value far outside the zone is cut at the edge: only its direction matters.
    let limits = charts.iter().filter_map(|chart| chart.limit);
    let widest = limits.fold(0.05, f64::max);
    let reach = |end: fn(&RowChart) -> f64, least: f64| {
        let ends = charts.iter().map(|chart| end(chart).abs());
        ends.fold(least, f64::max).min(4.0 * widest)
    };
    Some(Scale {
        from: -reach(|chart| chart.low.min(0.0), widest),
        to: reach(|chart| chart.high.max(0.0), 1.8 * widest),
        start: 0.0,
        end: 100.0,
    })
}

fn axis(scale: Scale) -> Axis {
    Axis::of(Unit::Ratio, scale.from, scale.to)
}

fn line(chart: RowChart, tone: &str, scale: Scale, ticks: &[f64]) -> String {
    let mut svg = String::from("<svg aria-hidden=\"true\">");
    if let Some(limit) = chart.limit {
        let (begin, end) = (scale.at(LOW_EDGE * limit), scale.at(HIGH_EDGE * limit));
        let _ = write!(
            svg,
            "<rect class=\"zone\" x=\"{begin:.2}%\" y=\"4\" width=\"{:.2}%\" height=\"24\"/>",
            end - begin
        );
    }
    for tick in ticks {
        upright(&mut svg, "grid", scale.at(*tick), 0, 32);
    }
    upright(&mut svg, "zero", scale.at(0.0), 0, 32);
    if let Some(limit) = chart.limit {
        upright(&mut svg, "limit", scale.at(limit), 4, 28);
    }
    let [low, value, high] = [chart.low, chart.value, chart.high].map(|change| scale.at(change));
    let _ = write!(
        svg,
        "<line class=\"interval {tone}\" x1=\"{low:.2}%\" y1=\"16\" x2=\"{high:.2}%\" y2=\"16\"/>"
    );
    // An end beyond the plot is an arrow.
    for (beyond, at, arrow) in [
        (chart.low < scale.from, low, "M-8 16l9-6v12z"),
        (chart.high > scale.to, high, "M8 16l-9-6v12z"),
    ] {
        if beyond {
            let _ = write!(
                svg,
                "<svg class=\"arrow\" x=\"{at:.2}%\"><path class=\"estimate {tone}\" d=\"{arrow}\"/></svg>"
            );
        }
    }
    let _ = write!(
        svg,
        "<circle class=\"estimate {tone}\" cx=\"{value:.2}%\" cy=\"16\" r=\"5\"/></svg>"
    );
    svg
}

fn upright(svg: &mut String, class: &str, at: f64, top: u8, bottom: u8) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{at:.2}%\" y1=\"{top}\" x2=\"{at:.2}%\" y2=\"{bottom}\"/>"
    );
}

fn labels(scale: Scale, ticks: &[f64]) -> String {
    let mut svg = String::from("<svg aria-hidden=\"true\">");
    let axis = axis(scale);
    for tick in ticks {
        let at = scale.at(*tick);
        // A label at the edge stays within the page; the last one may have no room on a phone.
        let (class, anchor) = match at {
            ..4.0 => ("tick", "start"),
            96.0.. => ("tick last", "end"),
            _ => ("tick", "middle"),
        };
        let _ = write!(
            svg,
            "<text class=\"{class}\" x=\"{at:.2}%\" y=\"14\" text-anchor=\"{anchor}\">{}</text>",
            axis.signed(*tick)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(low: f64, value: f64, high: f64) -> RowChart {
        RowChart {
            value,
            low,
            high,
            limit: Some(0.05),
        }
    }

    #[test]
    fn an_end_beyond_the_plot_is_an_arrow() {
        let charts = [chart(-0.01, 0.01, 0.03), chart(0.1, 0.6, 0.9)];
        let scale = scale(&charts).unwrap();
        let [inside, beyond] = charts.map(|chart| line(chart, "good", scale, &[0.0]));
        assert_eq!(inside.matches("class=\"arrow\"").count(), 0, "{inside}");
        assert_eq!(beyond.matches("class=\"arrow\"").count(), 1, "{beyond}");
        assert!(beyond.contains("cx=\"100.00%\""), "{beyond}");
    }

    #[test]
    fn without_judgements_there_is_no_plot() {
        assert!(scale(&[]).is_none());
    }
}
