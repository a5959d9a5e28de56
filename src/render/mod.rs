//! Renderers of a comparison. They decide nothing.
//!
//! [`view`] turns a comparison into words and numbers as text, once; the renderers only arrange them. `number` is the
//! only place where a number becomes text.

use std::collections::HashMap;

pub mod bisect;
mod chart_axis;
mod chart_history;
mod chart_repeats;
mod chart_requests;
mod chart_strata;
mod chart_timeline;
mod charts;
mod columns;
mod comparison_view;
mod curve;
mod drawing;
mod drawn;
mod explanation;
mod forest;
pub mod history;
pub mod html;
pub mod junit;
mod limited;
pub mod markdown;
pub mod mlperf;
pub mod number;
pub mod page;
mod svg;
pub mod sweep;
pub mod terminal;
pub mod view;
mod view_figures;
mod view_lines;
mod view_row;

/// The short name of a commit.
pub(crate) fn short_commit(commit: &str) -> String {
    commit.chars().take(10).collect()
}

/// The name, with its scenario where there are several; foreign text.
fn at_scenario(name: &str, scenario: &str, several_scenarios: bool) -> String {
    if several_scenarios {
        format!("{name} at {scenario}")
    } else {
        name.to_owned()
    }
}

/// The items of every scenario, in the order of the first item of each.
fn by_scenario<T>(items: &[T], scenario: impl Fn(&T) -> &String) -> Vec<(&str, Vec<&T>)> {
    let mut groups: Vec<(&str, Vec<&T>)> = Vec::new();
    let mut places = HashMap::new();
    for item in items {
        let name = scenario(item).as_str();
        let place = *places.entry(name).or_insert(groups.len());
        if place == groups.len() {
            groups.push((name, Vec::new()));
        }
        groups[place].1.push(item);
    }
    groups
}
