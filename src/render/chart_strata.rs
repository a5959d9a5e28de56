//! Where it became slower: one bar per kind of request, right of zero where it is slower.

use std::fmt::Write as _;

use super::chart_axis::{LINE, cut, span};
use super::number;
use super::svg::{Scale, WIDTH, open};
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
    let mut svg = open(bottom + 22.0, title, &cut(&words.join("; "), 2000));
    for tick in scale.ticks() {
        let x = scale.at(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"22\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + LINE,
            number::signed_percent(tick)
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{:.1}\" y=\"14\">← faster</text>\
         <text class=\"tick\" x=\"{:.1}\" y=\"14\" text-anchor=\"end\">slower →</text>",
        scale.start, scale.end
    );
    let zero = scale.at(0.0);
    let mut y = 26.0 + ROW / 2.0;
    for part in parts {
        let end = scale.at(part.value);
        let side = if part.value > 0.0 { "slower" } else { "faster" };
        let name = format!("{} · {} requests", part.requests_with, part.requests);
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"0\" y=\"{:.1}\">{}</text>\
             <rect class=\"bar {side}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\"/>\
             <text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y + 4.0,
            sanitize::html(&cut(&sanitize::line(&name), 48)),
            zero.min(end),
            y - 6.0,
            (end - zero).abs().max(1.0),
            WIDTH - VALUES + 14.0,
            y + 4.0,
            sanitize::html(&part.change)
        );
        y += ROW;
    }
    let _ = write!(
        svg,
        "<line class=\"zero\" x1=\"{zero:.1}\" y1=\"22\" x2=\"{zero:.1}\" y2=\"{bottom:.1}\"/></svg>"
    );
    Some(svg)
}
