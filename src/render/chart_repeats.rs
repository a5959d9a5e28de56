//! The repeats of both sides as points in run order; alternating pairs side by side, joined by a line.

use super::chart_axis::{cut, mark, span};
use super::svg::{Scale, Svg, WIDTH};
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
    let description = format!(
        "baseline: {}; candidate: {}",
        row.repeats_in_words(0),
        row.repeats_in_words(1)
    );
    let title = format!("{}: every repeat", row.metric);
    let mut svg = Svg::new(height, &title, &cut(&description, 2000));
    let mut y = LINE / 2.0 + 4.0;
    svg.path("grid", &guides(lines.len(), scale, y));
    for Line { name, points } in lines {
        if !name.is_empty() {
            svg.text("name", "start", (0.0, y + 5.0), &name);
        }
        if let [Some((_, one)), Some((_, other))] = points[..] {
            svg.line("join", (scale.at(one.value), y), (scale.at(other.value), y));
        }
        let mut texts = Vec::new();
        for (class, point) in points.into_iter().flatten() {
            let at = (scale.at(point.value), y);
            mark(&mut svg, class, point.void.is_some(), at);
            texts.push(point.in_words());
        }
        let texts = cut(&sanitize::line(&texts.join(" → ")), TEXT);
        svg.text("tick", "start", (WIDTH - TEXTS, y + 4.0), &texts);
        y += LINE;
    }
    Some(svg.closed())
}

/// A faint line below each row of points, all in one path: a page of many scenarios has thousands.
fn guides(count: usize, scale: Scale, first: f64) -> String {
    let lines = (0_u32..).map(f64::from).take(count);
    lines
        .map(|line| {
            let y = first + line * LINE;
            format!("M{:.0} {y:.0}H{:.0}", scale.start, scale.end)
        })
        .collect()
}

/// One line of the chart.
struct Line<'a> {
    name: String,
    points: Vec<Option<(&'static str, &'a Point)>>,
}

/// A line per pair, after the candidate's starts beside the pairs.
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
    let alone = row.points[1].iter().filter(|point| point.number == 0);
    let alone = alone.map(|point| Line {
        name: "alone".to_owned(),
        points: vec![Some(("head", point))],
    });
    alone.chain((1..=last.unwrap_or(0)).map(of_pair)).collect()
}

/// A line per repeat, the baseline's first.
fn sides(row: &Row) -> Vec<Line<'_>> {
    let [baseline, candidate] = row.points.each_ref();
    let sides = [
        ("baseline", "base", baseline),
        ("candidate", "head", candidate),
    ];
    let line = |name: &str, class, place, point| Line {
        name: if place == 0 { name } else { "" }.to_owned(),
        points: vec![Some((class, point))],
    };
    let lines = sides.into_iter().flat_map(|(name, class, points)| {
        let points = points.iter().enumerate();
        points.map(move |(place, point)| line(name, class, place, point))
    });
    lines.collect()
}
