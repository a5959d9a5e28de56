//! Chooses the scenarios with charts, so that a page with many scenarios stays small.

use std::collections::HashSet;

use super::by_scenario;
use super::view::View;
use crate::report::comparison::{Comparison, Judgement, Status};

/// Largest size of a page in bytes: it opens quickly, also from an artifact on a phone.
pub(super) const LARGEST: usize = 1_000_000;

/// All scenarios with rows: first those with a rule that does not hold, then the others, each in their order.
pub(super) fn by_weight(comparison: &Comparison) -> Vec<&str> {
    let holds = |row: &&Judgement| matches!(row.status, Status::Pass | Status::Improved);
    let mut scenarios = by_scenario(&comparison.judgements, |row| &row.scenario);
    scenarios.sort_by_key(|(_, rows)| rows.iter().all(holds));
    scenarios.into_iter().map(|(name, _)| name).collect()
}

/// The comparison with chart data of these scenarios only.
pub(super) fn only(comparison: &Comparison, drawn: &[&str]) -> Comparison {
    let mut reduced = comparison.clone();
    let drawn: HashSet<&str> = drawn.iter().copied().collect();
    let is_drawn = |scenario: &str| drawn.contains(scenario);
    reduced.distributions.retain(|of| is_drawn(&of.scenario));
    reduced.timelines.retain(|of| is_drawn(&of.scenario));
    reduced.history.retain(|of| is_drawn(&of.scenario));
    reduced.strata.retain(|of| is_drawn(&of.scenario));
    reduced
}

/// Keeps the rows and figures of these scenarios; the lines about the whole comparison stay.
pub(super) fn list_only(view: &mut View, listed: &[&str]) {
    let listed: HashSet<&str> = listed.iter().copied().collect();
    let is_listed = |scenario: &str| listed.contains(scenario);
    view.rows.retain(|row| is_listed(&row.scenario));
    view.measurements.retain(|of| is_listed(&of.scenario));
    view.server_figures.retain(|of| is_listed(&of.scenario));
}

/// The number of scenarios to draw after a page of `bytes` bytes was too large.
pub(super) fn fewer(drawn: usize, bytes: usize) -> usize {
    let fitting = drawn.saturating_mul(LARGEST) / bytes.max(1);
    fitting.min(drawn.saturating_sub(1))
}
