//! Where it became slower: one bar per kind of request, right of zero where it is slower.

use super::chart_axis::{LINE, cut, span};
use super::number;
use super::svg::{Scale, Svg, WIDTH};
use super::view::Part;
use crate::text::sanitize;

/// Room for the names of the groups.
const NAMES: f64 = 310.0;

/// Room for values at the right.
const VALUES: f64 = 90.0;

/// Height of a bar with its gap.
const ROW: f64 = 24.0;

/// The bars of one latency in one scenario. `None` without bars.
pub(super) fn strata(parts: &[Part], title: &str) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    let (from, to) = span(
        parts.iter().map(|part| part.value).chain([-0.01, 0.01]),
        false,
    )?;
    let scale = Scale {
        from,
        to,
        start: NAMES,
        end: WIDTH - VALUES,
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of rows")]
    let bottom = 26.0 + ROW * parts.len() as f64;
    let words: Vec<String> = parts
        .iter()
        .map(|part| format!("{}: {}", part.requests_with, part.change))
        .collect();
    let mut svg = Svg::new(bottom + 22.0, title, &cut(&words.join("; "), 2000));
    for tick in scale.ticks() {
        let x = scale.at(tick);
        svg.line("grid", (x, 22.0), (x, bottom));
        let label = number::signed_percent(tick);
        svg.text("tick", "middle", (x, bottom + LINE), &label);
    }
    svg.text("tick", "start", (scale.start, 14.0), "← faster");
    svg.text("tick", "end", (scale.end, 14.0), "slower →");
    let zero = scale.at(0.0);
    let mut y = 26.0 + ROW / 2.0;
    for part in parts {
        let name = format!("{} · {} requests", part.requests_with, part.requests);
        let name = cut(&sanitize::line(&name), 48);
        svg.text("tick", "start", (0.0, y + 4.0), &name);
        let end = scale.at(part.value);
        let class = if part.value > 0.0 {
            "bar slower"
        } else {
            "bar faster"
        };
        let length = (end - zero).abs().max(1.0);
        svg.rect(class, (zero.min(end), y - 6.0), (length, 12.0));
        let value = (WIDTH - VALUES + 14.0, y + 4.0);
        svg.text("name", "start", value, &part.change);
        y += ROW;
    }
    svg.line("zero", (zero, 22.0), (zero, bottom));
    Some(svg.closed())
}
