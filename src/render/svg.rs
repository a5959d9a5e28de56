//! Charts as inline SVG with text alternatives. Colours are CSS classes, so that both themes and paper work.

use std::fmt::Write as _;

use super::chart_axis::round;
use super::number::{self, Axis};
use crate::metric::Unit;
use crate::report::comparison::Distribution;
use crate::text::sanitize;

/// Width of the drawing, in SVG units.
pub(super) const WIDTH: f64 = 760.0;

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
        // The extent of an axis is too large to draw: the file contains numbers near the largest float.
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
            // Adding zero removes the sign of a zero.
            .map(|index| (first + f64::from(index)) * step + 0.0)
            .filter(|tick| *tick <= self.to + 1e-12)
            .collect()
    }
}

pub(super) fn open(height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg role=\"img\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" preserveAspectRatio=\"xMinYMin meet\">\
         <title>{}</title><desc>{}</desc>",
        sanitize::html(title),
        sanitize::long_html(description)
    )
}

/// The cumulative share of requests by latency, on both sides. `None` where a side has no samples.
pub(super) fn ecdf(distribution: &Distribution, title: &str) -> Option<String> {
    let (base, head) = (&distribution.baseline, &distribution.candidate);
    if base.len() < 2 || head.len() < 2 {
        return None;
    }
    // The slowest 1 % would stretch the axis and compress the rest.
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
    let axis = Axis::of(Unit::Seconds, from, to);
    for tick in round(x, axis) {
        let at = x.at(tick);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"256\" text-anchor=\"middle\">{}</text>",
            axis.label(tick)
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
