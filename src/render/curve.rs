//! Throughput against latency: one panel per latency, one line per run.

use super::chart_axis::{Plot, mark, width};
use super::charts::Figure;
use super::number::{self, Axis, extent};
use super::svg::{Scale, Svg, WIDTH};
use crate::metric::Unit;
use crate::report::comparison::{CurvePoint, CurveSide, LoadCurve};

/// Height of a panel, in SVG units.
const HEIGHT: f64 = 330.0;

/// A latency that spreads over more than this factor has a logarithmic axis: otherwise a growing queue would compress
/// everything else into a line.
const LOGARITHMIC_FROM: f64 = 5.0;

/// Height of a line of labels.
const LABEL_LINE: f64 = 13.0;

/// If all points are beyond this share of the highest throughput, the axis begins near them.
const CLOSE_TOGETHER: f64 = 0.4;

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel<'a> {
    /// `TTFT P95`.
    pub(super) latency: &'a str,
    /// The limit of each request, in seconds.
    pub(super) limit: Option<f64>,
    /// The runs, the accepted one first.
    pub(super) lines: Vec<Line<'a>>,
}

/// The line of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    /// `baseline`, or empty for a single run.
    pub(super) name: &'a str,
    /// CSS class: `base` is dashed with squares, `head` solid with circles.
    pub(super) class: &'static str,
    /// By rising load.
    pub(super) spots: Vec<Spot>,
}

/// One load point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spot {
    /// The load, `64`.
    pub(super) load: String,
    /// Output tokens per second.
    pub(super) throughput: f64,
    /// In seconds.
    pub(super) latency: f64,
    /// Its mark: `knee`, `capacity`, or empty.
    pub(super) mark: String,
}

/// The marks of a load in words.
pub(super) fn marks(is_capacity: bool, is_knee: bool) -> String {
    let marks = [(is_capacity, "capacity"), (is_knee, "knee")];
    let marks = marks.into_iter().filter(|(is, _)| *is);
    let words: Vec<&str> = marks.map(|(_, word)| word).collect();
    words.join(", ")
}

/// The panels of a comparison's curve, each with its title.
pub(super) fn panels(curve: &LoadCurve) -> impl Iterator<Item = Figure> {
    let ttft: fn(&CurvePoint) -> Option<f64> = |point| point.ttft;
    let latencies = [("TTFT P95", ttft), ("TPOT P95", |point| point.tpot)];
    latencies.into_iter().filter_map(|(title, latency)| {
        let line = |name, class, side: &CurveSide| Line {
            name,
            class,
            spots: spots(side, latency),
        };
        let svg = panel(&Panel {
            latency: title,
            limit: None,
            lines: vec![
                line("baseline", "base", &curve.baseline),
                line("candidate", "head", &curve.candidate),
            ],
        })?;
        let title = format!("{title} over the {}", curve.load.replace('_', " "));
        Some(Figure { title, svg })
    })
}

fn spots(side: &CurveSide, latency: fn(&CurvePoint) -> Option<f64>) -> Vec<Spot> {
    let same = |one: Option<f64>, other: f64| one.is_some_and(|one| (one - other).abs() < 1e-9);
    let spots = side.points.iter().filter_map(|point| {
        let (is_capacity, is_knee) = (same(side.capacity, point.load), same(side.knee, point.load));
        Some(Spot {
            load: point.load.to_string(),
            throughput: point.throughput,
            latency: latency(point)?,
            mark: marks(is_capacity, is_knee),
        })
    });
    spots.collect()
}

/// The axes of a panel.
struct Axes {
    plot: Plot,
    logarithmic: bool,
}

impl Axes {
    /// `None` if all values are equal.
    fn of(panel: &Panel<'_>) -> Option<Self> {
        let spots = || panel.lines.iter().flat_map(|line| &line.spots);
        let (least, widest) = extent(spots().map(|spot| spot.throughput));
        let (low, high) = extent(spots().map(|spot| spot.latency));
        if !(widest > 0.0 && low > 0.0 && high.is_finite() && widest.is_finite()) {
            return None;
        }
        // A limit far above all points does not extend the axis.
        let limit = panel
            .limit
            .filter(|limit| *limit > low / 3.0 && *limit < high * 3.0);
        let (low, high) = limit.map_or((low, high), |limit| (low.min(limit), high.max(limit)));
        let from = if least > CLOSE_TOGETHER * widest {
            least - 0.3 * (widest - least)
        } else {
            0.0
        };
        let logarithmic = high / low >= LOGARITHMIC_FROM;
        let (bottom, top) = if logarithmic {
            ((low / 1.25).ln(), (high * 1.25).ln())
        } else {
            (0.0, high * 1.15)
        };
        let plot = Plot {
            x: Scale {
                from,
                to: widest * 1.08,
                start: 74.0,
                end: WIDTH - 20.0,
            },
            y: Scale {
                from: bottom,
                to: top,
                start: HEIGHT - 46.0,
                end: 30.0,
            },
        };
        Some(Self { plot, logarithmic })
    }

    /// The latency in the unit of the axis.
    fn scaled(&self, latency: f64) -> f64 {
        if self.logarithmic {
            latency.ln()
        } else {
            latency
        }
    }

    fn label(&self, latency: f64) -> String {
        if self.logarithmic {
            number::tick(latency)
        } else {
            Axis::of(Unit::Seconds, self.plot.y.from, self.plot.y.to).label(latency)
        }
    }

    fn y_ticks(&self) -> Vec<f64> {
        let y = self.plot.y;
        if !self.logarithmic {
            return y.ticks();
        }
        let (low, high) = (y.from.exp(), y.to.exp());
        let mut ticks = Vec::new();
        let mut power = 10_f64.powf(low.log10().floor());
        while power <= high {
            ticks.extend([1.0, 2.0, 5.0].map(|step| step * power));
            power *= 10.0;
        }
        ticks.retain(|tick| (low..=high).contains(tick));
        ticks
    }
}

/// The panel. `None` without a point that has a latency.
pub(super) fn panel(panel: &Panel<'_>) -> Option<String> {
    let axes = Axes::of(panel)?;
    let plot = axes.plot;
    let scale = if axes.logarithmic {
        ", logarithmic"
    } else {
        ""
    };
    let title = format!("{} over throughput", panel.latency);
    let mut svg = Svg::new(HEIGHT, &title, &described(panel));
    let latencies = axes.y_ticks().into_iter();
    plot.grid(
        &mut svg,
        latencies.map(|tick| (plot.y.at(axes.scaled(tick)), axes.label(tick))),
    );
    let throughputs = plot.x.ticks().into_iter();
    plot.columns(
        &mut svg,
        throughputs.map(|tick| (plot.x.at(tick), number::plain(tick))),
    );
    let caption = format!("{}{scale}", panel.latency);
    svg.text("tick", "start", (0.0, 14.0), &caption);
    let below = (plot.x.end, HEIGHT - 8.0);
    svg.text("tick", "end", below, "output tokens/s →");
    if let Some(limit) = panel.limit {
        draw_limit(&mut svg, limit, &axes);
    }
    let mut labels = Vec::new();
    for line in &panel.lines {
        draw(&mut svg, line, &axes, &mut labels);
    }
    Some(svg.closed())
}

fn draw_limit(svg: &mut Svg, limit: f64, axes: &Axes) {
    let Plot { x, y } = axes.plot;
    let value = axes.scaled(limit);
    let text = format!("limit {}", number::tick(limit));
    if (y.from..=y.to).contains(&value) {
        axes.plot.level(svg, "limit", value);
        svg.text("tick", "start", (x.start + 6.0, y.at(value) - 5.0), &text);
    } else {
        let text = format!("{text}, outside this chart");
        svg.text("tick", "end", (x.end, 14.0), &text);
    }
}

fn draw(svg: &mut Svg, line: &Line<'_>, axes: &Axes, labels: &mut Vec<Label>) {
    let class = line.class;
    let place = |spot: &Spot| axes.plot.at(spot.throughput, axes.scaled(spot.latency));
    svg.polyline(&format!("curve {class}"), line.spots.iter().map(place));
    // Marked points get their labels first.
    let mut spots: Vec<&Spot> = line.spots.iter().collect();
    spots.sort_by_key(|spot| spot.mark.is_empty());
    for spot in spots {
        let (x, y) = place(spot);
        mark(svg, class, false, (x, y));
        if !spot.mark.is_empty() {
            svg.circle(&format!("ring {class}"), (x, y), 9.0);
        }
        let text = format!("{} {}", spot.load, spot.mark);
        let text = text.trim_end();
        let label = Label {
            left: x + 6.0 - width(text),
            right: x + 6.0,
            // Baseline labels are below the points, so that the labels of two similar runs do not overlap.
            y: if class == "base" { y + 20.0 } else { y - 12.0 },
        };
        if !spot.mark.is_empty() || !labels.iter().any(|other| label.touches(other)) {
            svg.text("tick", "end", (label.right, label.y), text);
            labels.push(label);
        }
    }
}

/// The position of a label.
struct Label {
    left: f64,
    right: f64,
    y: f64,
}

impl Label {
    fn touches(&self, other: &Self) -> bool {
        let beside = self.right < other.left || other.right < self.left;
        !beside && (self.y - other.y).abs() < LABEL_LINE
    }
}

/// Every point in words, for screen readers.
fn described(panel: &Panel<'_>) -> String {
    let line = |line: &Line<'_>| {
        let spots: Vec<String> = line
            .spots
            .iter()
            .map(|spot| {
                let mark = if spot.mark.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", spot.mark)
                };
                format!(
                    "load {}: {}, {}{mark}",
                    spot.load,
                    number::value(spot.throughput, Unit::TokensPerSecond),
                    number::seconds(spot.latency)
                )
            })
            .collect();
        let name = if line.name.is_empty() {
            String::new()
        } else {
            format!("{}: ", line.name)
        };
        format!("{name}{}", spots.join("; "))
    };
    panel.lines.iter().map(line).collect::<Vec<_>>().join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(load: &str, throughput: f64, latency: f64, mark: &str) -> Spot {
        Spot {
            load: load.to_owned(),
            throughput,
            latency,
            mark: mark.to_owned(),
        }
    }

    fn one(spots: Vec<Spot>, limit: Option<f64>) -> Panel<'static> {
        Panel {
            latency: "TTFT P95",
            limit,
            lines: vec![Line {
                name: "",
                class: "head",
                spots,
            }],
        }
    }

    #[test]
    fn marks_and_limits_are_words_and_every_point_is_described() {
        let spots = vec![
            spot("1", 100.0, 0.02, ""),
            spot("16", 900.0, 0.08, "knee"),
            spot("64", 1000.0, 2.0, ""),
        ];
        let svg = panel(&one(spots, Some(0.2))).unwrap();
        assert!(svg.contains(">16 knee</text>") && svg.contains("limit 200 ms"));
        assert!(svg.contains("load 64: 1000 tok/s, 2.00 s") && svg.contains("logarithmic"));
    }

    #[test]
    fn a_limit_far_from_everything_does_not_stretch_the_axis() {
        let spots = vec![spot("1", 100.0, 0.02, ""), spot("16", 900.0, 0.03, "")];
        let svg = panel(&one(spots, Some(9.0))).unwrap();
        assert!(svg.contains("limit 9 s, outside this chart") && !svg.contains("class=\"limit\""));
    }

    #[test]
    fn without_a_latency_there_is_no_panel() {
        assert_eq!(panel(&one(Vec::new(), None)), None);
        assert_eq!(panel(&one(vec![spot("1", 0.0, 0.0, "")], None)), None);
        assert_eq!(panel(&one(vec![spot("1", f64::NAN, 1.0, "")], None)), None);
    }
}
