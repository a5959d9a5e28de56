//! Writes inline SVG with text alternatives. Colours are CSS classes, so that both themes and paper work.

use std::fmt;
use std::fmt::Write as _;

use super::number::Axis;
use crate::text::sanitize;

/// Width of the drawing, in SVG units.
pub(super) const WIDTH: f64 = 760.0;

/// A position, in SVG units.
pub(super) type Point = (f64, f64);

/// An SVG unit with a decimal, if that is not zero.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.1}", self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// A drawing.
pub(super) struct Svg(String);

impl Svg {
    /// A drawing with its text alternative; both texts may be foreign.
    pub(super) fn new(height: f64, title: &str, description: &str) -> Self {
        Self(format!(
            "<svg role=\"img\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" preserveAspectRatio=\"xMinYMin meet\">\
             <title>{}</title><desc>{}</desc>",
            sanitize::html(title),
            sanitize::long_html(description)
        ))
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): Point, (x2, y2): Point) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(Short);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    pub(super) fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = Point>) {
        let points = joined(points);
        self.add(format_args!(
            "<polyline class=\"{class}\" points=\"{points}\"/>"
        ));
    }

    pub(super) fn polygon(&mut self, class: &str, points: impl IntoIterator<Item = Point>) {
        let points = joined(points);
        self.add(format_args!(
            "<polygon class=\"{class}\" points=\"{points}\"/>"
        ));
    }

    pub(super) fn rect(&mut self, class: &str, (x, y): Point, (width, height): Point) {
        let [x, y, width, height] = [x, y, width, height].map(Short);
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        ));
    }

    pub(super) fn circle(&mut self, class: &str, (x, y): Point, radius: f64) {
        let [x, y, radius] = [x, y, radius].map(Short);
        self.add(format_args!(
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
        ));
    }

    /// Text that ends, begins or has its middle there; it may be foreign.
    pub(super) fn text(&mut self, class: &str, anchor: &str, (x, y): Point, text: &str) {
        let (x, y, text) = (Short(x), Short(y), sanitize::html(text));
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    pub(super) fn path(&mut self, class: &str, path: &str) {
        self.add(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
    }

    /// A path with a text that is shown when the pointer is on it; the text may be foreign.
    pub(super) fn titled_path(&mut self, class: &str, path: &str, title: &str) {
        let title = sanitize::html(title);
        self.add(format_args!(
            "<path class=\"{class}\" d=\"{path}\"><title>{title}</title></path>"
        ));
    }

    fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        let _ = self.0.write_fmt(element);
    }

    /// The whole drawing.
    pub(super) fn closed(self) -> String {
        self.0 + "</svg>"
    }
}

fn joined(points: impl IntoIterator<Item = Point>) -> String {
    let points = points.into_iter();
    let points: Vec<String> = points
        .map(|(x, y)| format!("{},{}", Short(x), Short(y)))
        .collect();
    points.join(" ")
}

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

    /// Round values in the unit of the axis.
    pub(super) fn round(self, axis: Axis) -> impl Iterator<Item = f64> {
        let factor = axis.factor();
        let counted = Self {
            from: self.from / factor,
            to: self.to / factor,
            ..self
        };
        let ticks = counted.ticks().into_iter();
        ticks
            .map(move |tick| tick * factor)
            .filter(move |tick| axis.can_be(*tick))
    }
}
