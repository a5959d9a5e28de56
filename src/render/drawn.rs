//! Which scenarios have charts, so that a page of many stays small.

use crate::policy::comparison::{Comparison, Status};

/// Bytes of a page that opens at once, also from an artifact on a phone.
pub(super) const LARGEST: usize = 1_000_000;

/// All scenarios with rows: first those whose rules do not hold, then the others, each in their order.
pub(super) fn by_weight(comparison: &Comparison) -> Vec<&str> {
    let holds = |scenario: &str| {
        let mut rows = comparison.judgements.iter();
        rows.all(|row| {
            row.scenario != scenario || matches!(row.status, Status::Pass | Status::Improved)
        })
    };
    let mut names: Vec<&str> = Vec::new();
    for row in &comparison.judgements {
        if !names.contains(&row.scenario.as_str()) {
            names.push(&row.scenario);
        }
    }
    names.sort_by_cached_key(|name| holds(name));
    names
}

/// The comparison with what charts are made of in these scenarios alone.
pub(super) fn only(comparison: &Comparison, drawn: &[&str]) -> Comparison {
    let mut reduced = comparison.clone();
    let is_drawn = |scenario: &str| drawn.contains(&scenario);
    reduced.distributions.retain(|of| is_drawn(&of.scenario));
    reduced.timelines.retain(|of| is_drawn(&of.scenario));
    reduced.history.retain(|of| is_drawn(&of.scenario));
    reduced.strata.retain(|of| is_drawn(&of.scenario));
    reduced
}

/// How many are drawn next, after a page of that many bytes was too large.
pub(super) fn fewer(drawn: usize, bytes: usize) -> usize {
    let fitting = drawn.saturating_mul(LARGEST) / bytes.max(1);
    fitting.min(drawn.saturating_sub(1))
}
