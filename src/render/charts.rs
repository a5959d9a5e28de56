//! The charts of a report, each with its title.

use serde::Serialize;

use super::view::{Part, View};
use super::{chart_history, chart_strata, chart_timeline};
use crate::report::comparison::Comparison;

/// A chart and its title.
#[derive(Serialize)]
pub(super) struct Figure {
    /// May contain foreign text.
    pub(super) title: String,
    /// Inline, with a text alternative.
    pub(super) svg: String,
}

/// The charts beside the judgements.
#[derive(Serialize)]
pub(super) struct Charts {
    history: Vec<Figure>,
    /// Steps that were accepted, with their reasons; foreign text.
    accepted: Vec<String>,
    timelines: Vec<Timelines>,
    strata: Vec<Figure>,
}

/// All timelines of one scenario.
#[derive(Serialize)]
struct Timelines {
    /// Foreign text.
    scenario: String,
    figures: Vec<Figure>,
}

impl Charts {
    pub(super) fn of(comparison: &Comparison, view: &View) -> Self {
        let history = comparison.history.iter().filter_map(|history| {
            let title = titled(history.metric.label(), &history.scenario, view);
            let svg = chart_history::history(history, &title)?;
            Some(Figure { title, svg })
        });
        Self {
            history: history.collect(),
            accepted: accepted(comparison),
            timelines: timelines(comparison),
            strata: strata(view),
        }
    }
}

/// Every accepted step once, also if the charts of several metrics show it.
fn accepted(comparison: &Comparison) -> Vec<String> {
    let sessions = comparison.history.iter().flat_map(|found| &found.sessions);
    let mut steps: Vec<String> = Vec::new();
    for session in sessions {
        let Some(because) = &session.begins_segment else {
            continue;
        };
        let day: String = session
            .created
            .iter()
            .flat_map(|at| at.chars())
            .take(10)
            .collect();
        let commit = session.commit.as_deref().map(super::short_commit);
        let when = [Some(day), commit].into_iter().flatten();
        let when: Vec<String> = when.filter(|word| !word.is_empty()).collect();
        let step = format!("{}: accepted: {because}", when.join(" "));
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

/// The title, with the scenario if there are several.
fn titled(what: &str, scenario: &str, view: &View) -> String {
    if view.several_scenarios {
        format!("{what} at {scenario}")
    } else {
        what.to_owned()
    }
}

fn timelines(comparison: &Comparison) -> Vec<Timelines> {
    let mut groups: Vec<Timelines> = Vec::new();
    for timeline in &comparison.timelines {
        let title = chart_timeline::name(timeline.quantity).to_owned();
        let Some(svg) = chart_timeline::timeline(timeline, &title) else {
            continue;
        };
        let figure = Figure { title, svg };
        match groups.last_mut() {
            Some(group) if group.scenario == timeline.scenario => group.figures.push(figure),
            Some(_) | None => groups.push(Timelines {
                scenario: timeline.scenario.clone(),
                figures: vec![figure],
            }),
        }
    }
    groups
}

fn strata(view: &View) -> Vec<Figure> {
    let alike = |one: &Part, other: &Part| {
        (&one.scenario, &one.latency) == (&other.scenario, &other.latency)
    };
    let groups = view.strata.chunk_by(alike);
    let figure = |parts: &[Part]| {
        let first = parts.first()?;
        let title = titled(&first.latency, &first.scenario, view);
        let svg = chart_strata::strata(parts, &title)?;
        Some(Figure { title, svg })
    };
    groups.filter_map(figure).collect()
}
