//! Makes text from a template, with the style, the filters and the parts that all templates share.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::text::sanitize;

const STYLE: &str = concat!(
    include_str!("../../templates/report.css"),
    include_str!("../../templates/charts.css")
);

macro_rules! parts {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../templates/report/", $name)))),*]
    };
}

/// Sections of the report in separate files, by the name that the template includes.
const PARTS: [(&str, &str); 9] = parts![
    "forest.html",
    "history.html",
    "judgements.html",
    "server.html",
    "shift.html",
    "strata.html",
    "timelines.html",
    "voids.html",
    "warning.html"
];

/// The text cannot be made: the template does not match its content, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the template failed: {0}")]
pub struct TemplateError(#[from] minijinja::Error);

/// The rendered template.
pub(super) fn page(
    name: &'static str,
    template: &'static str,
    content: &impl Serialize,
) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_global("style", STYLE);
    environment.add_global("version", env!("CARGO_PKG_VERSION"));
    environment.add_filter("clean", |text: &str| sanitize::line(text));
    environment.add_filter("coded", |text: &str| {
        Value::from_safe_string(sanitize::html_with_code(text))
    });
    environment.add_filter("xml", |text: &str| {
        Value::from_safe_string(sanitize::xml(text))
    });
    for (name, part) in PARTS {
        environment.add_template(name, part)?;
    }
    environment.add_template(name, template)?;
    Ok(environment.get_template(name)?.render(Serde(content))?)
}
