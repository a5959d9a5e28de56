//! Shared parts of charts: the span of an axis, its grid and labels, and shapes that distinguish the sides without colour.

use super::number::{Axis, extent};
use super::svg::{Point, Scale, Svg};

/// Smallest width of a label's character, in SVG units.
const CHARACTER: f64 = 7.5;

/// Height of a line of labels.
pub(super) const LINE: f64 = 15.0;

/// The area between the axes.
#[derive(Clone, Copy)]
pub(super) struct Plot {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Plot {
    /// The position of a value of both axes.
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.x.at(x), self.y.at(y))
    }

    /// Horizontal lines with their labels at the left, at round values; labels of changes have a sign.
    pub(super) fn rows(&self, svg: &mut Svg, axis: Axis, label: fn(Axis, f64) -> String) {
        let labels = self.y.round(axis);
        self.grid(svg, labels.map(|tick| (self.y.at(tick), label(axis, tick))));
    }

    /// Horizontal lines with their labels at the left.
    pub(super) fn grid(&self, svg: &mut Svg, labels: impl Iterator<Item = (f64, String)>) {
        for (y, text) in labels {
            svg.line("grid", (self.x.start, y), (self.x.end, y));
            svg.text("tick", "end", (self.x.start - 8.0, y + 4.0), &text);
        }
    }

    /// Labels below the plot, from the left; a label that would touch the one before it is left out.
    pub(super) fn columns(&self, svg: &mut Svg, labels: impl Iterator<Item = (f64, String)>) {
        let mut free_from = f64::NEG_INFINITY;
        for (x, text) in labels {
            let half = width(&text) / 2.0;
            if x - half < free_from {
                continue;
            }
            free_from = x + half + CHARACTER;
            svg.text("tick", "middle", (x, self.y.start + 18.0), &text);
        }
    }

    /// A horizontal line of that class through the whole plot.
    pub(super) fn level(&self, svg: &mut Svg, class: &str, value: f64) {
        let at = self.y.at(value);
        svg.line(class, (self.x.start, at), (self.x.end, at));
    }
}

/// Width of a text.
pub(super) fn width(text: &str) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few characters")]
    let characters = text.chars().count() as f64;
    CHARACTER * characters
}

/// At most `most` characters, with `…` where the text is cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// An axis with room for all values. `None` without a finite value, or if the values are too large to draw.
pub(super) fn span(values: impl Iterator<Item = f64>, from_zero: bool) -> Option<(f64, f64)> {
    let (mut low, mut high) = extent(values.filter(|value| value.is_finite()));
    if low > high {
        return None;
    }
    if from_zero {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    let size = low.abs().max(high.abs());
    // Small changes are not magnified.
    let margin = ((high - low) * 0.12).max(size * 0.01);
    let margin = if margin > 0.0 { margin } else { 1.0 };
    let bottom = if from_zero && low >= 0.0 {
        0.0
    } else {
        low - margin
    };
    let top = high + margin;
    ((top - bottom).is_finite() && top > bottom).then_some((bottom, top))
}

/// A square for the baseline, a circle for the candidate; hollow where it does not count.
pub(super) fn mark(svg: &mut Svg, class: &str, hollow: bool, (x, y): Point) {
    let void = if hollow { " void" } else { "" };
    let classes = format!("{class}{void}");
    if class == "base" {
        svg.rect(&classes, (x - 4.5, y - 4.5), (9.0, 9.0));
    } else {
        svg.circle(&classes, (x, y), 5.0);
    }
}

/// Moves neighbouring labels apart within both ends, so that none covers another one while there is room.
pub(super) fn apart(places: &mut [f64], low: f64, high: f64) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|one, other| places[*one].total_cmp(&places[*other]));
    let mut least = low;
    for index in &order {
        places[*index] = places[*index].max(least);
        least = places[*index] + LINE;
    }
    let mut most = high;
    for index in order.iter().rev() {
        places[*index] = places[*index].min(most);
        most = places[*index] - LINE;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_move_apart_and_stay_inside() {
        let mut places = [50.0, 52.0, 98.0];
        apart(&mut places, 10.0, 100.0);
        assert_eq!(places.map(|place| place.to_string()), ["50", "65", "98"]);
        let mut crowded = [99.0, 100.0, 101.0];
        apart(&mut crowded, 10.0, 100.0);
        assert_eq!(crowded.map(|place| place.to_string()), ["70", "85", "100"]);
    }

    #[test]
    fn an_axis_has_room_for_all_values_and_for_one_alone() {
        assert_eq!(span([0.0].into_iter(), false), Some((-1.0, 1.0)));
        assert_eq!(span([f64::NAN].into_iter(), false), None);
        assert_eq!(span([f64::MIN, f64::MAX].into_iter(), false), None);
        assert_eq!(span([5.0, 10.0].into_iter(), true), Some((0.0, 11.2)));
    }

    proptest! {
        #[test]
        fn an_axis_contains_all_values(values in prop::collection::vec(any::<f64>(), 0..6), zero in any::<bool>()) {
            if let Some((low, high)) = span(values.iter().copied(), zero) {
                prop_assert!(low < high && (high - low).is_finite());
                for value in values.iter().filter(|value| value.is_finite()) {
                    prop_assert!((low..=high).contains(value));
                }
            }
        }
    }
}
