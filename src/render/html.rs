//! One self-contained HTML file: no script, no network access, light and dark, for screens and paper.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use super::charts::{Charts, Figure};
use super::forest::{self, Forest};
use super::view::{Row, View};
use super::{chart_repeats, chart_shift, drawn, svg};
use crate::report::comparison::Comparison;
use crate::text::sanitize;

const TEMPLATE: &str = include_str!("../../templates/report.html");
pub(super) const STYLE: &str = concat!(
    include_str!("../../templates/report.css"),
    include_str!("../../templates/charts.css")
);

/// Sections in separate files, by the name that the template includes.
const PARTS: [(&str, &str); 9] = [
    (
        "forest.html",
        include_str!("../../templates/report/forest.html"),
    ),
    (
        "history.html",
        include_str!("../../templates/report/history.html"),
    ),
    (
        "judgements.html",
        include_str!("../../templates/report/judgements.html"),
    ),
    (
        "server.html",
        include_str!("../../templates/report/server.html"),
    ),
    (
        "shift.html",
        include_str!("../../templates/report/shift.html"),
    ),
    (
        "strata.html",
        include_str!("../../templates/report/strata.html"),
    ),
    (
        "timelines.html",
        include_str!("../../templates/report/timelines.html"),
    ),
    (
        "voids.html",
        include_str!("../../templates/report/voids.html"),
    ),
    (
        "warning.html",
        include_str!("../../templates/report/warning.html"),
    ),
];

/// The page cannot be made: the template does not match the view, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the HTML template failed: {0}")]
pub struct HtmlError(#[from] minijinja::Error);

#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    version: &'static str,
    view: &'a View,
    forest: Option<Forest>,
    rows: Vec<RowPage<'a>>,
    distributions: Vec<Distribution>,
    curves: Vec<Figure>,
    charts: Charts,
    /// Number of scenarios without charts, to keep the page small.
    undrawn: usize,
    /// Number of scenarios with charts.
    drawn: usize,
    /// Number of scenarios without rows.
    unlisted: usize,
}

#[derive(Serialize)]
struct RowPage<'a> {
    row: &'a Row,
    points: Option<String>,
}

/// All requests of one latency in one scenario.
#[derive(Serialize)]
struct Distribution {
    title: String,
    svg: String,
    shift: Option<String>,
    /// Whether the shift has a band.
    banded: bool,
}

/// The report of a comparison, smaller than 1 MB: charts are left out first, then the rows of scenarios whose rules hold.
pub fn report(comparison: &Comparison) -> Result<String, HtmlError> {
    let all = drawn::by_weight(comparison);
    let mut drawn = all.len();
    let mut listed = all.len();
    loop {
        let page = drawn_for(comparison, &all, drawn, listed)?;
        let largest = drawn::LARGEST;
        if page.len() <= largest || listed == 0 {
            return Ok(page);
        }
        if drawn > 0 {
            drawn = drawn::fewer(drawn, page.len());
        } else {
            listed = drawn::fewer(listed, page.len());
        }
    }
}

/// The page with charts and rows of the first scenarios.
fn drawn_for(
    comparison: &Comparison,
    all: &[&str],
    drawn: usize,
    listed: usize,
) -> Result<String, HtmlError> {
    let (drawn, left_out) = all.split_at(drawn.min(all.len()));
    let (listed, unlisted) = all.split_at(listed.min(all.len()));
    let mut reduced;
    let comparison = if left_out.is_empty() {
        comparison
    } else {
        reduced = drawn::only(comparison, drawn);
        if !unlisted.is_empty() {
            reduced = drawn::listing(reduced, listed);
        }
        &reduced
    };
    let view = View::of(comparison);
    let points = |row: &Row| {
        let is_drawn = drawn.contains(&row.scenario.as_str());
        is_drawn.then(|| chart_repeats::repeats(row)).flatten()
    };
    let rows = view.rows.iter().map(|row| RowPage {
        row,
        points: points(row),
    });
    let rows = rows.collect();
    let distributions = view.distributions.iter().filter_map(|distribution| {
        let latency = distribution.latency.to_uppercase();
        let title = if view.several_scenarios {
            format!("{latency} at {}", distribution.scenario)
        } else {
            format!("{latency} of all requests")
        };
        Some(Distribution {
            svg: svg::ecdf(distribution, &title)?,
            shift: chart_shift::shift(&distribution.shift, &format!("Shift of {title}")),
            banded: distribution.shift.iter().all(|point| point.low.is_some()),
            title,
        })
    });
    let curves = comparison.curves.iter().flat_map(|curve| {
        let of = curve.load.replace('_', " ");
        let panels = super::sweep::comparison_panels(curve).into_iter();
        panels.map(move |(latency, svg)| Figure {
            title: format!("{latency} over the {of}"),
            svg,
        })
    });
    let page = Page {
        style: STYLE,
        version: env!("CARGO_PKG_VERSION"),
        forest: forest::forest(&view),
        rows,
        distributions: distributions.collect(),
        curves: curves.collect(),
        charts: Charts::of(comparison, &view),
        undrawn: left_out.len(),
        unlisted: unlisted.len(),
        drawn: drawn.len(),
        view: &view,
    };
    self::page("report.html", TEMPLATE, Serde(&page))
}

/// A rendered template with the parts that all pages share.
pub(super) fn page(
    name: &'static str,
    template: &'static str,
    content: Serde<impl Serialize>,
) -> Result<String, HtmlError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("clean", |text: &str| sanitize::line(text));
    environment.add_filter("coded", |text: &str| {
        Value::from_safe_string(sanitize::html_with_code(text))
    });
    for (name, part) in PARTS {
        environment.add_template(name, part)?;
    }
    environment.add_template(name, template)?;
    Ok(environment.get_template(name)?.render(content)?)
}

#[cfg(test)]
mod tests {
    use super::super::view::WarningText;
    use super::*;

    #[derive(Serialize)]
    struct Only {
        warning: WarningText,
    }

    #[test]
    fn the_code_of_a_warning_links_to_its_explanation_and_foreign_codes_are_text() {
        let shown = |code: &str, address: Option<&str>| {
            let warning = WarningText {
                message: "run `a`".to_owned(),
                code: code.to_owned(),
                address: address.map(str::to_owned),
            };
            let template = r#"{% include "warning.html" %}"#;
            page("only.html", template, Serde(&Only { warning })).unwrap()
        };
        insta::assert_snapshot!(shown("first-run", Some("https://example.org/w#first-run")), @r##"<li>run <code>a</code> <span class="soft">(<a href="https:&#x2f;&#x2f;example.org&#x2f;w#first-run">first-run</a>)</span></li>"##);
        insta::assert_snapshot!(shown("<b>", None), @r#"<li>run <code>a</code> <span class="soft">(&lt;b&gt;)</span></li>"#);
    }
}
