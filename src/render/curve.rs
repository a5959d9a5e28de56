//! Throughput against latency: one panel per latency, one line per run.

use std::fmt::Write as _;

use super::number::{self, Axis};
use super::svg::{Scale, WIDTH, open};
use crate::metric::Unit;
use crate::text::sanitize;

/// Height of a panel, in SVG units.
const HEIGHT: f64 = 330.0;

/// A latency that spreads over more than this factor has a logarithmic axis: otherwise a growing queue would compress
/// everything else into a line.
const LOGARITHMIC_FROM: f64 = 5.0;

/// Smallest width of a label's character, and height of a line of labels.
const CHARACTER: (f64, f64) = (7.5, 13.0);

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

/// The axes of a panel.
struct Axes {
    x: Scale,
    y: Scale,
    logarithmic: bool,
}

impl Axes {
    /// `None` if all values are equal.
    fn of(panel: &Panel<'_>) -> Option<Self> {
        let spots = || panel.lines.iter().flat_map(|line| &line.spots);
        let widest = spots().map(|spot| spot.throughput).max_by(f64::total_cmp)?;
        let high = spots().map(|spot| spot.latency).max_by(f64::total_cmp)?;
        let low = spots().map(|spot| spot.latency).min_by(f64::total_cmp)?;
        if !(widest > 0.0 && low > 0.0 && high.is_finite() && widest.is_finite()) {
            return None;
        }
        // A limit far above all points does not extend the axis.
        let limit = panel
            .limit
            .filter(|limit| *limit > low / 3.0 && *limit < high * 3.0);
        let (low, high) = limit.map_or((low, high), |limit| (low.min(limit), high.max(limit)));
        let least = spots().map(|spot| spot.throughput).min_by(f64::total_cmp)?;
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
        Some(Self {
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
            logarithmic,
        })
    }

    fn y(&self, latency: f64) -> f64 {
        self.y.at(if self.logarithmic {
            latency.ln()
        } else {
            latency
        })
    }

    fn label(&self, latency: f64) -> String {
        if self.logarithmic {
            number::tick(latency)
        } else {
            Axis::of(Unit::Seconds, self.y.from, self.y.to).label(latency)
        }
    }

    fn y_ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return self.y.ticks();
        }
        let (low, high) = (self.y.from.exp(), self.y.to.exp());
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
    let scale = if axes.logarithmic {
        ", logarithmic"
    } else {
        ""
    };
    let title = format!("{} over throughput", panel.latency);
    let mut svg = open(HEIGHT, &title, &described(panel));
    for tick in axes.y_ticks() {
        let at = axes.y(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            axes.x.start,
            axes.x.end,
            axes.x.start - 8.0,
            at + 4.0,
            axes.label(tick)
        );
    }
    for tick in axes.x.ticks() {
        let at = axes.x.at(tick);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            axes.y.start + 18.0,
            number::plain(tick)
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"0\" y=\"14\">{}{scale}</text>\
         <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">output tokens/s →</text>",
        sanitize::html(panel.latency),
        axes.x.end,
        HEIGHT - 8.0
    );
    if let Some(limit) = panel.limit {
        draw_limit(&mut svg, limit, &axes);
    }
    let mut labels = Vec::new();
    for line in &panel.lines {
        draw(&mut svg, line, &axes, &mut labels);
    }
    svg.push_str("</svg>");
    Some(svg)
}

fn draw_limit(svg: &mut String, limit: f64, axes: &Axes) {
    let value = if axes.logarithmic { limit.ln() } else { limit };
    let text = format!("limit {}", number::tick(limit));
    if (axes.y.from..=axes.y.to).contains(&value) {
        let at = axes.y(limit);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{:.1}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            axes.x.start,
            axes.x.end,
            axes.x.start + 6.0,
            at - 5.0
        );
    } else {
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"14\" text-anchor=\"end\">{text}, outside this chart</text>",
            axes.x.end
        );
    }
}

fn draw(svg: &mut String, line: &Line<'_>, axes: &Axes, labels: &mut Vec<Label>) {
    let class = line.class;
    let place = |spot: &Spot| (axes.x.at(spot.throughput), axes.y(spot.latency));
    let points: Vec<String> = line
        .spots
        .iter()
        .map(place)
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let _ = write!(
        svg,
        "<polyline class=\"curve {class}\" points=\"{}\"/>",
        points.join(" ")
    );
    // Marked points get their labels first.
    let mut spots: Vec<&Spot> = line.spots.iter().collect();
    spots.sort_by_key(|spot| spot.mark.is_empty());
    for spot in spots {
        let (x, y) = place(spot);
        if class == "base" {
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>",
                x - 4.0,
                y - 4.0
            );
        } else {
            let _ = write!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"
            );
        }
        if !spot.mark.is_empty() {
            let _ = write!(
                svg,
                "<circle class=\"ring {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>"
            );
        }
        let text = if spot.mark.is_empty() {
            spot.load.clone()
        } else {
            format!("{} {}", spot.load, spot.mark)
        };
        #[expect(clippy::cast_precision_loss, reason = "a few characters")]
        let width = CHARACTER.0 * text.chars().count() as f64;
        let label = Label {
            left: x + 6.0 - width,
            right: x + 6.0,
            // Baseline labels are below the points, so that the labels of two similar runs do not overlap.
            y: if class == "base" { y + 20.0 } else { y - 12.0 },
        };
        if !spot.mark.is_empty() || !labels.iter().any(|other| label.touches(other)) {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                label.right,
                label.y,
                sanitize::html(&text)
            );
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
        !beside && (self.y - other.y).abs() < CHARACTER.1
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
