//! The charts of a report, each with its title.

use serde::Serialize;

use super::drawn::Shown;
use super::view::{Part, View};
use super::{at_scenario, chart_history, chart_strata, chart_timeline, short_commit};
use crate::report::comparison::{Comparison, History, Timeline};

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
    pub(super) fn of(comparison: &Comparison, view: &View, shown: &Shown<'_>) -> Self {
        let drawn = || {
            let history = comparison.history.iter();
            history.filter(|of| shown.is_drawn(&of.scenario))
        };
        let history = drawn().filter_map(|history| {
            let metric = history.metric.label();
            let title = at_scenario(metric, &history.scenario, view.several_scenarios);
            let svg = chart_history::history(history, &title)?;
            Some(Figure { title, svg })
        });
        Self {
            history: history.collect(),
            accepted: accepted(drawn()),
            timelines: timelines(&comparison.timelines, shown),
            strata: strata(view),
        }
    }
}

/// Every accepted step once, also if the charts of several metrics show it.
fn accepted<'a>(histories: impl Iterator<Item = &'a History>) -> Vec<String> {
    let sessions = histories.flat_map(|history| &history.sessions);
    let mut steps: Vec<String> = Vec::new();
    for session in sessions {
        let Some(because) = &session.begins_segment else {
            continue;
        };
        let created = session.created.as_deref().unwrap_or_default();
        let day: String = created.chars().take(10).collect();
        let commit = session.commit.as_deref().unwrap_or_default();
        let when = format!("{day} {}", short_commit(commit));
        let step = format!("{}: accepted: {because}", when.trim());
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

fn timelines(timelines: &[Timeline], shown: &Shown<'_>) -> Vec<Timelines> {
    let groups = timelines.chunk_by(|one, other| one.scenario == other.scenario);
    let groups = groups.filter(|group| shown.is_drawn(&group[0].scenario));
    let drawn = groups.filter_map(|group| {
        let figures = group.iter().filter_map(|timeline| {
            let title = chart_timeline::name(timeline.quantity).to_owned();
            let svg = chart_timeline::timeline(timeline, &title)?;
            Some(Figure { title, svg })
        });
        let figures: Vec<Figure> = figures.collect();
        (!figures.is_empty()).then(|| Timelines {
            scenario: group[0].scenario.clone(),
            figures,
        })
    });
    drawn.collect()
}

fn strata(view: &View) -> Vec<Figure> {
    let alike = |one: &Part, other: &Part| {
        (&one.scenario, &one.latency) == (&other.scenario, &other.latency)
    };
    let groups = view.strata.chunk_by(alike);
    let figure = |parts: &[Part]| {
        let first = parts.first()?;
        let title = at_scenario(&first.latency, &first.scenario, view.several_scenarios);
        let svg = chart_strata::strata(parts, &title)?;
        Some(Figure { title, svg })
    };
    groups.filter_map(figure).collect()
}
