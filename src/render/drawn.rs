//! Chooses the scenarios with charts, so that a page with many scenarios stays small.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::report::comparison::{Comparison, Status};

/// Largest size of a page in bytes: it opens quickly, also from an artifact on a phone.
pub(super) const LARGEST: usize = 1_000_000;

/// All scenarios with rows: first those with a rule that does not hold, then the others, each in their order.
pub(super) fn by_weight(comparison: &Comparison) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let mut holding: HashMap<&str, bool> = HashMap::new();
    for row in &comparison.judgements {
        let holds = matches!(row.status, Status::Pass | Status::Improved);
        match holding.entry(&row.scenario) {
            Entry::Occupied(mut entry) => *entry.get_mut() &= holds,
            Entry::Vacant(entry) => {
                names.push(&row.scenario);
                entry.insert(holds);
            }
        }
    }
    names.sort_by_key(|name| holding.get(name).copied());
    names
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

/// The comparison with the rows and figures of these scenarios only.
pub(super) fn listing(mut comparison: Comparison, listed: &[&str]) -> Comparison {
    let listed: HashSet<&str> = listed.iter().copied().collect();
    let is_listed = |scenario: &str| listed.contains(scenario);
    comparison.judgements.retain(|of| is_listed(&of.scenario));
    comparison.measurements.retain(|of| is_listed(&of.scenario));
    comparison
        .server_figures
        .retain(|of| is_listed(&of.scenario));
    comparison
}

/// The number of scenarios to draw after a page of `bytes` bytes was too large.
pub(super) fn fewer(drawn: usize, bytes: usize) -> usize {
    let fitting = drawn.saturating_mul(LARGEST) / bytes.max(1);
    fitting.min(drawn.saturating_sub(1))
}
