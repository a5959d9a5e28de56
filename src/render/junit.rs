//! JUnit XML, as CI services and IDEs read it: a test suite per scenario, a test case per rule.
//!
//! It conforms to the schema that Jenkins checks (`junit-10.xsd` of its xUnit plugin), the strictest in use: values are
//! properties of the suite, because a test case must not have any there.

use std::collections::HashMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::view::{Pair, Row, View};
use crate::policy::MergeEffect;
use crate::report::comparison::Comparison;
use crate::text::sanitize;

/// Name of the suite of mismatches.
const COMPARABILITY: &str = "comparability";

type Xml = Writer<Vec<u8>>;

/// A test case: name, result and message.
struct Case<'a> {
    name: String,
    effect: MergeEffect,
    /// The kind of failure.
    kind: &'a str,
    /// The reason, on one line.
    message: String,
    output: String,
}

/// The report. Fails only if writing to memory fails.
pub fn report(comparison: &Comparison) -> io::Result<String> {
    let view = View::of(comparison);
    let suites = suites(&view);
    let count = |effect| {
        let cases = suites.iter().flat_map(|suite| &suite.cases);
        cases.filter(|case| case.effect == effect).count()
    };
    let all: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuites")
        .with_attribute(("name", clean(&format!("perfgate: {}", view.name)).as_str()))
        .with_attribute(("tests", all.to_string().as_str()))
        .with_attribute(("failures", count(MergeEffect::Stops).to_string().as_str()))
        .with_attribute(("errors", "0"))
        .write_inner_content(|xml| suites.iter().try_for_each(|suite| suite.write(xml)))?;
    let text = String::from_utf8(xml.into_inner()).map_err(io::Error::other)?;
    Ok(text + "\n")
}

struct Suite<'a> {
    name: String,
    properties: Vec<(String, String)>,
    cases: Vec<Case<'a>>,
}

fn suites(view: &View) -> Vec<Suite<'_>> {
    let mut suites: Vec<Suite<'_>> = Vec::new();
    if !view.mismatches.is_empty() {
        suites.push(Suite {
            name: COMPARABILITY.to_owned(),
            properties: Vec::new(),
            cases: view.mismatches.iter().map(mismatch).collect(),
        });
    }
    let mut scenarios: Vec<&str> = Vec::new();
    let mut by_scenario: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in &view.rows {
        let rows = by_scenario.entry(&row.scenario).or_default();
        if rows.is_empty() {
            scenarios.push(&row.scenario);
        }
        rows.push(row);
    }
    for scenario in scenarios {
        let of_scenario = by_scenario.remove(scenario).unwrap_or_default();
        let rows = || of_scenario.iter().copied();
        let mut properties = vec![
            ("verdict".to_owned(), view.title()),
            ("headline".to_owned(), view.headline.clone()),
            ("compared".to_owned(), view.identity.clone()),
        ];
        properties.extend(rows().flat_map(values));
        suites.push(Suite {
            name: scenario.to_owned(),
            properties,
            cases: rows().map(case).collect(),
        });
    }
    suites
}

fn mismatch(pair: &Pair) -> Case<'_> {
    Case {
        name: format!("same {}", pair.what),
        effect: MergeEffect::Stops,
        kind: "not comparable",
        message: pair.in_words(),
        output: String::new(),
    }
}

/// `tpot.p95.change` and similar; missing values are left out.
fn values(row: &Row) -> Vec<(String, String)> {
    let values = [
        ("baseline", &row.baseline),
        ("candidate", &row.candidate),
        ("change", &row.change),
        ("interval", &row.interval),
        ("limit", &row.limit),
    ];
    let given = values.into_iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| (format!("{}.{name}", row.id), value.clone()))
        .collect()
}

fn case(row: &Row) -> Case<'_> {
    let place = row.place.as_ref().map(|place| format!("; {place}"));
    Case {
        // Without its limit: a CI service finds the case in earlier runs by this name.
        name: row.metric.to_owned(),
        effect: row.effect,
        kind: row.sign.word,
        message: row.reason.clone(),
        output: format!(
            "{}: {} → {}, worse by {}; {}; {}{}",
            row.sign.word,
            row.baseline,
            row.candidate,
            row.change,
            row.reason,
            row.detail(),
            place.unwrap_or_default()
        ),
    }
}

impl Suite<'_> {
    fn write(&self, xml: &mut Xml) -> io::Result<()> {
        let count = |effect| {
            let cases = self.cases.iter().filter(|case| case.effect == effect);
            cases.count().to_string()
        };
        let name = clean(&self.name);
        xml.create_element("testsuite")
            .with_attribute(("name", name.as_str()))
            .with_attribute(("tests", self.cases.len().to_string().as_str()))
            .with_attribute(("failures", count(MergeEffect::Stops).as_str()))
            .with_attribute(("errors", "0"))
            .with_attribute(("skipped", count(MergeEffect::Open).as_str()))
            .write_inner_content(|xml| {
                self.write_properties(xml)?;
                self.cases
                    .iter()
                    .try_for_each(|case| case.write(&name, xml))
            })?;
        Ok(())
    }

    fn write_properties(&self, xml: &mut Xml) -> io::Result<()> {
        if self.properties.is_empty() {
            return Ok(());
        }
        xml.create_element("properties")
            .write_inner_content(|xml| {
                self.properties.iter().try_for_each(|(name, value)| {
                    xml.create_element("property")
                        .with_attribute(("name", clean(name).as_str()))
                        .with_attribute(("value", clean(value).as_str()))
                        .write_empty()?;
                    Ok(())
                })
            })?;
        Ok(())
    }
}

impl Case<'_> {
    fn write(&self, suite: &str, xml: &mut Xml) -> io::Result<()> {
        let (message, output) = (clean(&self.message), clean(&self.output));
        let outcome = match self.effect {
            MergeEffect::Stops => Some("failure"),
            MergeEffect::Open => Some("skipped"),
            MergeEffect::Warns | MergeEffect::Holds => None,
        };
        xml.create_element("testcase")
            .with_attribute(("name", clean(&self.name).as_str()))
            .with_attribute(("classname", suite))
            .write_inner_content(|xml| {
                if let Some(outcome) = outcome {
                    let of_outcome = xml
                        .create_element(outcome)
                        .with_attribute(("type", self.kind))
                        .with_attribute(("message", message.as_str()));
                    // Some readers show the message, others the text.
                    let text = if self.output.is_empty() {
                        &message
                    } else {
                        &output
                    };
                    of_outcome.write_text_content(BytesText::new(text))?;
                }
                if !self.output.is_empty() {
                    xml.create_element("system-out")
                        .write_text_content(BytesText::new(&output))?;
                }
                Ok(())
            })?;
        Ok(())
    }
}

/// On one line and without the characters that XML 1.0 forbids; the writer escapes the rest.
fn clean(text: &str) -> String {
    let line = sanitize::line(text);
    line.chars()
        .filter(|c| !matches!(c, '\u{FFFE}' | '\u{FFFF}'))
        .collect()
}
