//! All requests of a latency: the cumulative share of requests, and the shift function, which shows how much slower each
//! quantile became, with its band.

use super::chart_axis::{Plot, mark, span};
use super::number::{self, Axis};
use super::svg::{Point, Scale, Svg, WIDTH};
use crate::metric::Unit;
use crate::report::comparison::{Distribution, ShiftPoint};

const SHARES_HEIGHT: f64 = 270.0;

const SHIFT_HEIGHT: f64 = 250.0;

/// The cumulative share of requests by latency, on both sides. `None` where a side has no samples.
pub(super) fn shares(distribution: &Distribution, title: &str) -> Option<String> {
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
    let plot = Plot {
        x: Scale {
            from,
            to,
            start: 48.0,
            end: WIDTH - 16.0,
        },
        y: Scale {
            from: 0.0,
            to: 1.0,
            start: SHARES_HEIGHT - 34.0,
            end: 16.0,
        },
    };
    let describe = |side: &[f64]| {
        let at = |percent: usize| number::seconds(side[(side.len() - 1) * percent / 100]);
        format!("P50 {}, P95 {}", at(50), at(95))
    };
    let description = format!("baseline {}; candidate {}", describe(base), describe(head));
    let mut svg = Svg::new(SHARES_HEIGHT, title, &description);
    let shares = [0.0, 0.25, 0.5, 0.75, 0.95].into_iter();
    plot.grid(
        &mut svg,
        shares.map(|share| (plot.y.at(share), format!("{:.0} %", share * 100.0))),
    );
    let axis = Axis::of(Unit::Seconds, from, to);
    let ticks = plot.x.round(axis);
    plot.columns(
        &mut svg,
        ticks.map(|tick| (plot.x.at(tick), axis.label(tick))),
    );
    svg.polyline("curve base", curve(base, plot));
    svg.polyline("curve head", curve(head, plot));
    Some(svg.closed())
}

#[expect(clippy::cast_precision_loss, reason = "101 quantiles")]
fn curve(side: &[f64], plot: Plot) -> impl Iterator<Item = Point> {
    let last = (side.len() - 1) as f64;
    let quantiles = side.iter().enumerate();
    quantiles.map(move |(index, value)| plot.at(*value, index as f64 / last))
}

/// How much slower each quantile became. `None` without points.
pub(super) fn shift(points: &[ShiftPoint], title: &str) -> Option<String> {
    if points.is_empty() {
        return None;
    }
    let values = points
        .iter()
        .flat_map(|point| [Some(point.change), point.low, point.high])
        .flatten();
    let (from, to) = span(values.chain([0.0]), false)?;
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
            start: SHIFT_HEIGHT - 34.0,
            end: 30.0,
        },
    };
    // Every quantile has the same room.
    let places = || (0_u32..).map(f64::from).zip(points);
    let mut svg = Svg::new(SHIFT_HEIGHT, title, &described(points));
    plot.rows(&mut svg, Axis::of(Unit::Seconds, from, to), Axis::signed);
    plot.columns(
        &mut svg,
        places().map(|(place, point)| (plot.x.at(place), name(point))),
    );
    let caption = "candidate − baseline; above zero is slower";
    svg.text("tick", "start", (0.0, 14.0), caption);
    let edge = |end: fn(&ShiftPoint) -> Option<f64>| -> Option<Vec<Point>> {
        places()
            .map(|(place, point)| Some(plot.at(place, end(point)?)))
            .collect()
    };
    if let (Some(above), Some(below)) = (edge(|point| point.high), edge(|point| point.low)) {
        svg.polygon("band", above.into_iter().chain(below.into_iter().rev()));
    }
    plot.level(&mut svg, "zero", 0.0);
    let changes = || places().map(|(place, point)| plot.at(place, point.change));
    svg.polyline("curve head", changes());
    for at in changes() {
        mark(&mut svg, "head", false, at);
    }
    Some(svg.closed())
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
