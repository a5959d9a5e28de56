//! JUnit XML, as CI services and IDEs read it: a test suite per scenario, a test case per rule.
//!
//! It conforms to the schema that Jenkins checks (`junit-10.xsd` of its xUnit plugin), the strictest in use: values are
//! properties of the suite, because a test case must not have any there.

use serde::Serialize;

use super::by_scenario;
use super::page::{TemplateError, page};
use super::view::{Row, View};
use crate::report::comparison::Comparison;

const TEMPLATE: &str = include_str!("../../templates/junit.xml");

#[derive(Serialize)]
struct Report<'a> {
    view: &'a View,
    title: String,
    /// The mismatches, each in a line.
    mismatches: Vec<String>,
    suites: Vec<(&'a str, Vec<Case<'a>>)>,
}

/// A test case. Its name has no limit in it: a CI service finds the case in earlier runs by this name.
#[derive(Serialize)]
struct Case<'a> {
    row: &'a Row,
    figures: String,
}

/// The report.
pub fn report(comparison: &Comparison) -> Result<String, TemplateError> {
    let view = View::of(comparison);
    let case = |row| Case {
        row,
        figures: Row::figures(row),
    };
    let suites = by_scenario(&view.rows, |row| &row.scenario).into_iter();
    let report = Report {
        title: view.title(),
        mismatches: view
            .mismatches
            .iter()
            .map(|pair| pair.in_words(str::to_owned))
            .collect(),
        suites: suites
            .map(|(scenario, rows)| (scenario, rows.into_iter().map(case).collect()))
            .collect(),
        view: &view,
    };
    Ok(page("junit.xml", TEMPLATE, &report)? + "\n")
}
