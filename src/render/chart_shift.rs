//! The shift function: how much slower each quantile of the requests became, with its band.

use std::fmt::Write as _;

use super::chart_axis::{Plot, mark, span};
use super::number::{self, Axis};
use super::svg::{Scale, WIDTH, open};
use crate::metric::Unit;
use crate::report::comparison::ShiftPoint;

const HEIGHT: f64 = 250.0;

/// `None` without points.
pub(super) fn shift(points: &[ShiftPoint], title: &str) -> Option<String> {
    let values = points
        .iter()
        .flat_map(|point| [Some(point.change), point.low, point.high])
        .flatten()
        .chain([0.0]);
    if points.is_empty() {
        return None;
    }
    let (from, to) = span(values, false)?;
    #[expect(clippy::cast_precision_loss, reason = "a handful of quantiles")]
    let last = points.len() as f64;
    let plot = Plot {
        x: Scale {
            from: -0.5,
            to: last - 0.5,
            start: 84.0,
            end: WIDTH - 16.0,
        },
        y: Scale {
            from,
            to,
            start: HEIGHT - 34.0,
            end: 30.0,
        },
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of quantiles")]
    let x = |place: usize| plot.x.at(place as f64);
    let mut svg = open(HEIGHT, title, &described(points));
    plot.rows(&mut svg, Axis::of(Unit::Seconds, from, to), Axis::signed);
    plot.columns(
        &mut svg,
        points
            .iter()
            .enumerate()
            .map(|(place, point)| (x(place), name(point))),
    );
    svg.push_str(
        "<text class=\"tick\" x=\"0\" y=\"14\">candidate − baseline; above zero is slower</text>",
    );
    let edge = |end: fn(&ShiftPoint) -> Option<f64>| -> Option<Vec<String>> {
        points
            .iter()
            .enumerate()
            .map(|(place, point)| Some(format!("{:.1},{:.1}", x(place), plot.y.at(end(point)?))))
            .collect()
    };
    if let (Some(above), Some(mut below)) = (edge(|point| point.high), edge(|point| point.low)) {
        below.reverse();
        let _ = write!(
            svg,
            "<polygon class=\"band\" points=\"{} {}\"/>",
            above.join(" "),
            below.join(" ")
        );
    }
    plot.level(&mut svg, "zero", 0.0);
    let line: Vec<String> = points
        .iter()
        .enumerate()
        .map(|(place, point)| format!("{:.1},{:.1}", x(place), plot.y.at(point.change)))
        .collect();
    let _ = write!(
        svg,
        "<polyline class=\"curve head\" points=\"{}\"/>",
        line.join(" ")
    );
    for (place, point) in points.iter().enumerate() {
        mark(&mut svg, "head", false, x(place), plot.y.at(point.change));
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn name(point: &ShiftPoint) -> String {
    format!("P{:.0}", point.share * 100.0)
}

/// A few quantiles in words.
fn described(points: &[ShiftPoint]) -> String {
    let words = |point: &ShiftPoint| {
        let band = point.low.zip(point.high).map(|(low, high)| {
            format!(
                " [{} … {}]",
                number::signed_seconds(low),
                number::signed_seconds(high)
            )
        });
        format!(
            "{} {}{}",
            name(point),
            number::signed_seconds(point.change),
            band.unwrap_or_default()
        )
    };
    let shown = ["P10", "P50", "P90", "P95", "P99"];
    let words: Vec<String> = points
        .iter()
        .filter(|point| shown.contains(&name(point).as_str()))
        .map(words)
        .collect();
    format!("candidate − baseline: {}", words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(share: f64, change: f64, band: Option<f64>) -> ShiftPoint {
        ShiftPoint {
            share,
            change,
            low: band.map(|half| change - half),
            high: band.map(|half| change + half),
        }
    }

    #[test]
    fn the_band_is_drawn_and_described_where_there_is_one() {
        let svg = shift(
            &[
                point(0.5, 0.001, Some(0.0005)),
                point(0.95, 0.004, Some(0.002)),
            ],
            "TTFT",
        )
        .unwrap();
        assert!(svg.contains("class=\"band\"") && svg.contains("class=\"zero\""));
        assert!(svg.contains("P95 +4.00 ms [+2.00 ms … +6.00 ms]"), "{svg}");
        let bare = shift(&[point(0.5, 0.001, None)], "TTFT").unwrap();
        assert!(!bare.contains("class=\"band\"") && bare.contains("P50 +1.00 ms"));
    }

    #[test]
    fn without_points_there_is_no_chart() {
        assert_eq!(shift(&[], "TTFT"), None);
    }
}
