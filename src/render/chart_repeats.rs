//! The repeats of both sides as points in run order; alternating pairs side by side, joined by a line.

use std::fmt::Write as _;

use super::chart_axis::{cut, mark, span};
use super::svg::{Scale, WIDTH, open};
use super::view::{Point, Row};
use crate::text::sanitize;

/// Room for names at the left.
const NAMES: f64 = 110.0;

/// Room for values and reasons at the right.
const TEXTS: f64 = 270.0;

/// Characters that fit into that room.
const TEXT: usize = 36;

/// Height of one line.
const LINE: f64 = 20.0;

/// `None` without repeats.
pub(super) fn repeats(row: &Row) -> Option<String> {
    let (from, to) = span(row.points.iter().flatten().map(|point| point.value), false)?;
    let scale = Scale {
        from,
        to,
        start: NAMES,
        end: WIDTH - TEXTS - 14.0,
    };
    let lines = if row.paired { pairs(row) } else { sides(row) };
    #[expect(clippy::cast_precision_loss, reason = "a handful of repeats")]
    let height = 12.0 + LINE * lines.len() as f64;
    let words = |points: &[Point]| points.iter().map(text).collect::<Vec<_>>().join(", ");
    let description = format!(
        "baseline: {}; candidate: {}",
        words(&row.points[0]),
        words(&row.points[1])
    );
    let mut svg = open(
        height,
        &format!("{}: every repeat", row.metric),
        &cut(&description, 2000),
    );
    let mut y = LINE / 2.0 + 4.0;
    svg.push_str(&guides(lines.len(), scale, y));
    for Line { name, points } in lines {
        if !name.is_empty() {
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"0\" y=\"{:.1}\">{name}</text>",
                y + 5.0
            );
        }
        if let [Some((_, one)), Some((_, other))] = points[..] {
            let _ = write!(
                svg,
                "<line class=\"join\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>",
                scale.at(one.value),
                scale.at(other.value)
            );
        }
        let mut texts = Vec::new();
        for (class, point) in points.into_iter().flatten() {
            mark(
                &mut svg,
                class,
                point.void.is_some(),
                scale.at(point.value),
                y,
            );
            texts.push(text(point));
        }
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - TEXTS,
            y + 4.0,
            sanitize::html(&cut(&sanitize::line(&texts.join(" → ")), TEXT))
        );
        y += LINE;
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// A faint line below each row of points, all in one path: a page of many scenarios has thousands.
fn guides(count: usize, scale: Scale, first: f64) -> String {
    let mut path = String::from("<path class=\"grid\" d=\"");
    let mut y = first;
    for _ in 0..count {
        let _ = write!(path, "M{:.0} {y:.0}H{:.0}", scale.start, scale.end);
        y += LINE;
    }
    path.push_str("\"/>");
    path
}

/// One line of the chart.
struct Line<'a> {
    name: String,
    points: Vec<Option<(&'static str, &'a Point)>>,
}

/// A line per pair.
fn pairs(row: &Row) -> Vec<Line<'_>> {
    let last = row.points.iter().flatten().map(|point| point.number).max();
    let of_pair = |number: usize| {
        let sides = [("base", &row.points[0]), ("head", &row.points[1])];
        let found = sides.map(|(class, points)| {
            let point = points.iter().find(|point| point.number == number)?;
            Some((class, point))
        });
        Line {
            name: format!("pair {number}"),
            points: found.to_vec(),
        }
    };
    (1..=last.unwrap_or(0)).map(of_pair).collect()
}

/// A line per repeat, the baseline's first.
fn sides(row: &Row) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (name, class, points) in [
        ("baseline", "base", &row.points[0]),
        ("candidate", "head", &row.points[1]),
    ] {
        lines.extend(points.iter().enumerate().map(|(place, point)| Line {
            name: if place == 0 {
                name.to_owned()
            } else {
                String::new()
            },
            points: vec![Some((class, point))],
        }));
    }
    lines
}

fn text(point: &Point) -> String {
    match (&point.void, &point.weight) {
        (Some(reason), _) => format!("{}, void: {reason}", point.text),
        (None, Some(weight)) => format!("{}, {weight}", point.text),
        (None, None) => point.text.clone(),
    }
}
