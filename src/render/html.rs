//! One self-contained HTML file: no script, no network access, light and dark, for screens and paper.

use serde::Serialize;

use super::charts::{Charts, Figure};
use super::drawn::{self, Shown};
use super::forest::{self, Forest};
use super::page::{self, TemplateError};
use super::view::View;
use super::{chart_repeats, chart_requests, curve};
use crate::report::comparison::{Comparison, Distribution};

const TEMPLATE: &str = include_str!("../../templates/report.html");

#[derive(Serialize)]
struct Page<'a> {
    view: &'a View,
    forest: Option<Forest>,
    /// The repeats of every row, if they are drawn.
    repeats: Vec<Option<String>>,
    distributions: Vec<Requests>,
    curves: Vec<Figure>,
    charts: Charts,
    /// Number of scenarios without charts, to keep the page small.
    undrawn: usize,
    /// Number of scenarios with charts.
    drawn: usize,
    /// Number of scenarios without rows.
    unlisted: usize,
}

/// All requests of one latency in one scenario.
#[derive(Serialize)]
struct Requests {
    title: String,
    svg: String,
    shift: Option<String>,
    /// Whether the shift has a band.
    banded: bool,
}

/// The report of a comparison, smaller than 1 MB: charts are left out first, then the rows of scenarios whose rules hold.
pub fn report(comparison: &Comparison) -> Result<String, TemplateError> {
    let mut view = View::of(comparison);
    let mut shown = Shown::all(comparison);
    loop {
        let page = page_of(comparison, &view, &shown)?;
        if page.len() <= drawn::LARGEST || !shown.reduce(page.len()) {
            return Ok(page);
        }
        shown.restrict(&mut view, comparison);
    }
}

/// The page with the rows of this view and the charts of the drawn scenarios.
fn page_of(
    comparison: &Comparison,
    view: &View,
    shown: &Shown<'_>,
) -> Result<String, TemplateError> {
    let repeats = view.rows.iter().map(|row| {
        let is_drawn = shown.is_drawn(&row.scenario);
        is_drawn.then(|| chart_repeats::repeats(row)).flatten()
    });
    let distributions = comparison.distributions.iter();
    let distributions = distributions.filter(|of| shown.is_drawn(&of.scenario));
    let page = Page {
        forest: forest::forest(view),
        repeats: repeats.collect(),
        distributions: distributions
            .filter_map(|distribution| requests(distribution, view.several_scenarios))
            .collect(),
        curves: comparison.curves.iter().flat_map(curve::panels).collect(),
        charts: Charts::of(comparison, view, shown),
        undrawn: shown.undrawn(),
        unlisted: shown.unlisted(),
        drawn: shown.drawn,
        view,
    };
    page::page("report.html", TEMPLATE, &page)
}

fn requests(distribution: &Distribution, several_scenarios: bool) -> Option<Requests> {
    let latency = distribution.latency.to_uppercase();
    let title = if several_scenarios {
        format!("{latency} at {}", distribution.scenario)
    } else {
        format!("{latency} of all requests")
    };
    Some(Requests {
        svg: chart_requests::shares(distribution, &title)?,
        shift: chart_requests::shift(&distribution.shift, &format!("Shift of {title}")),
        banded: distribution.shift.iter().all(|point| point.low.is_some()),
        title,
    })
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
            page::page("only.html", template, &Only { warning }).unwrap()
        };
        insta::assert_snapshot!(shown("first-run", Some("https://example.org/w#first-run")), @r##"<li>run <code>a</code> <span class="soft">(<a href="https:&#x2f;&#x2f;example.org&#x2f;w#first-run">first-run</a>)</span></li>"##);
        insta::assert_snapshot!(shown("<b>", None), @r#"<li>run <code>a</code> <span class="soft">(&lt;b&gt;)</span></li>"#);
    }
}
