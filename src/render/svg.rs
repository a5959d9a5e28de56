//! Charts as inline SVG with text alternatives. Colours are CSS classes, so that both themes and paper work.

use std::fmt::Write as _;

use super::inert;
use super::number;
use super::view::{Row, RowChart, View};
use crate::policy::comparison::Distribution;
use crate::stats::{HIGH_EDGE, LOW_EDGE};

/// Width of the drawing, in SVG units.
pub(super) const WIDTH: f64 = 760.0;

/// Room for names at the left of the forest plot.
const NAMES: f64 = 210.0;

/// Room for values at its right.
const VALUES: f64 = 150.0;

/// Height of one line of it.
const LINE: f64 = 34.0;

/// A scale from values to SVG units.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) start: f64,
    pub(super) end: f64,
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        // An axis without an extent that can be drawn, of a file with numbers near the largest that there are.
        let share = if share.is_nan() { 0.0 } else { share };
        (self.start + share * (self.end - self.start))
            .clamp(self.start.min(self.end), self.start.max(self.end))
    }

    /// Round values within, at most seven.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let span = self.to - self.from;
        let raw = span / 6.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= raw);
        let step = step.unwrap_or(raw);
        let first = (self.from / step).ceil();
        (0..8)
            // Adding zero takes the sign from a zero.
            .map(|index| (first + f64::from(index)) * step + 0.0)
            .filter(|tick| *tick <= self.to + 1e-12)
            .collect()
    }
}

/// Every judged change with its interval, zone and limit. `None` where nothing was judged.
pub(super) fn forest(view: &View) -> Option<String> {
    let rows: Vec<(&Row, RowChart)> = view
        .rows
        .iter()
        .filter_map(|row| Some((row, row.chart?)))
        .collect();
    if rows.is_empty() {
        return None;
    }
    // What lies far outside the zone needs to be seen to be outside, not how far.
    let widest = rows
        .iter()
        .filter_map(|(_, chart)| chart.limit)
        .fold(0.05, f64::max);
    let reach = |ends: fn(&RowChart) -> f64, bound: f64| {
        rows.iter()
            .map(|(_, chart)| ends(chart).abs())
            .fold(bound, f64::max)
            .min(4.0 * widest)
    };
    let scale = Scale {
        from: -reach(|chart| chart.low.min(0.0), widest),
        to: reach(|chart| chart.high.max(0.0), 1.8 * widest),
        start: NAMES,
        end: WIDTH - VALUES,
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let height = 46.0 + LINE * rows.len() as f64 + 30.0;
    let mut svg = open(
        height,
        "Change of every judged metric with its 95 % interval",
        &describe(&rows),
    );
    let bottom = height - 34.0;
    for tick in scale.ticks() {
        let x = scale.at(tick);
        let label = number::signed_percent(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"30\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 16.0
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{:.1}\" y=\"18\" text-anchor=\"start\">← better</text>\
         <text class=\"tick\" x=\"{:.1}\" y=\"18\" text-anchor=\"end\">worse →</text>",
        scale.start, scale.end
    );
    for (index, (row, chart)) in rows.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
        let y = 46.0 + LINE * index as f64;
        forest_line(&mut svg, row, *chart, scale, y, view.several_scenarios);
    }
    let zero = scale.at(0.0);
    let _ = write!(
        svg,
        "<line class=\"zero\" x1=\"{zero:.1}\" y1=\"30\" x2=\"{zero:.1}\" y2=\"{bottom:.1}\"/></svg>"
    );
    Some(svg)
}

fn forest_line(svg: &mut String, row: &Row, chart: RowChart, scale: Scale, y: f64, named: bool) {
    let (low, high, value) = (
        scale.at(chart.low),
        scale.at(chart.high),
        scale.at(chart.value),
    );
    if let Some(limit) = chart.limit {
        let (begin, end) = (scale.at(LOW_EDGE * limit), scale.at(HIGH_EDGE * limit));
        let x = scale.at(limit);
        let _ = write!(
            svg,
            "<rect class=\"zone\" x=\"{begin:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <line class=\"limit\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            y - 12.0,
            end - begin,
            24.0,
            y - 12.0,
            y + 12.0
        );
    }
    let tone = row.sign.tone;
    let name = if named {
        format!("{} · {}", row.metric, row.scenario)
    } else {
        row.metric.to_owned()
    };
    let name: String = inert::line(&name).chars().take(34).collect();
    let _ = write!(
        svg,
        "<text class=\"name\" x=\"0\" y=\"{:.1}\">{}</text>\
         <line class=\"interval {tone}\" x1=\"{low:.1}\" y1=\"{y:.1}\" x2=\"{high:.1}\" y2=\"{y:.1}\"/>\
         <circle class=\"estimate {tone}\" cx=\"{value:.1}\" cy=\"{y:.1}\" r=\"5\"/>\
         <text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{} {}</text>",
        y + 5.0,
        inert::html(&name),
        WIDTH - VALUES + 14.0,
        y + 5.0,
        inert::html(&row.change),
        row.sign.word
    );
}

fn describe(rows: &[(&Row, RowChart)]) -> String {
    let words: Vec<String> = rows
        .iter()
        .map(|(row, _)| {
            format!(
                "{} {} {}: {}",
                row.metric, row.change, row.interval, row.sign.word
            )
        })
        .collect();
    words.join("; ")
}

pub(super) fn open(height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg role=\"img\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" preserveAspectRatio=\"xMinYMin meet\">\
         <title>{}</title><desc>{}</desc>",
        inert::html(title),
        inert::html(description)
    )
}

/// The share of requests that were at most so slow, on both sides. `None` where a side has no samples.
pub(super) fn ecdf(distribution: &Distribution, title: &str) -> Option<String> {
    let (base, head) = (&distribution.baseline, &distribution.candidate);
    if base.len() < 2 || head.len() < 2 {
        return None;
    }
    // The slowest hundredth stretches the axis and squeezes the rest.
    let ends = |share: usize| [base, head].map(|side| side[(side.len() - 1) * share / 100]);
    let (from, to) = (ends(0)[0].min(ends(0)[1]), ends(99)[0].max(ends(99)[1]));
    if from.is_nan() || to.is_nan() || to <= from {
        return None;
    }
    let x = Scale {
        from,
        to,
        start: 48.0,
        end: WIDTH - 16.0,
    };
    let y = Scale {
        from: 0.0,
        to: 1.0,
        start: 236.0,
        end: 16.0,
    };
    let describe = |side: &[f64]| {
        let at = |percent: usize| number::seconds(side[(side.len() - 1) * percent / 100]);
        format!("P50 {}, P95 {}", at(50), at(95))
    };
    let description = format!("baseline {}; candidate {}", describe(base), describe(head));
    let mut svg = open(270.0, title, &description);
    for share in [0.0, 0.25, 0.5, 0.75, 0.95] {
        let at = y.at(share);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            x.start,
            x.end,
            x.start - 6.0,
            at + 4.0,
            share * 100.0
        );
    }
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"256\" text-anchor=\"middle\">{}</text>",
            number::tick(tick)
        );
    }
    for (class, side) in [("base", base), ("head", head)] {
        let _ = write!(
            svg,
            "<polyline class=\"curve {class}\" points=\"{}\"/>",
            curve(side, x, y)
        );
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn curve(side: &[f64], x: Scale, y: Scale) -> String {
    #[expect(clippy::cast_precision_loss, reason = "101 quantiles")]
    let last = (side.len() - 1) as f64;
    let mut points = String::new();
    for (index, value) in side.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "101 quantiles")]
        let share = index as f64 / last;
        let _ = write!(points, "{:.1},{:.1} ", x.at(*value), y.at(share));
    }
    points
}
