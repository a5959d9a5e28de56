//! Chooses the scenarios with charts and rows, so that a page with many scenarios stays small.

use std::collections::HashMap;

use super::by_scenario;
use super::view::View;
use super::view_row::voids;
use crate::report::comparison::{Comparison, Judgement, Status};

/// Largest size of a page in bytes: it opens quickly, also from an artifact on a phone.
pub(super) const LARGEST: usize = 1_000_000;

/// The scenarios with charts and rows.
pub(super) struct Shown<'a> {
    /// The place of every scenario with rows: first those with a rule that does not hold, then the others, each in their order.
    places: HashMap<&'a str, usize>,
    /// Number of scenarios with charts.
    pub(super) drawn: usize,
    /// Number of scenarios with rows in the tables.
    listed: usize,
}

impl<'a> Shown<'a> {
    /// All scenarios.
    pub(super) fn all(comparison: &'a Comparison) -> Self {
        let holds = |row: &&Judgement| matches!(row.status, Status::Pass | Status::Improved);
        let mut scenarios = by_scenario(&comparison.judgements, |row| &row.scenario);
        scenarios.sort_by_key(|(_, rows)| rows.iter().all(holds));
        let names = scenarios.into_iter().map(|(name, _)| name);
        let places: HashMap<&str, usize> = names.zip(0..).collect();
        Self {
            drawn: places.len(),
            listed: places.len(),
            places,
        }
    }

    /// Leaves out scenarios after a page of `bytes` bytes was too large: their charts first, then their rows. `false` if none is
    /// left.
    pub(super) fn reduce(&mut self, bytes: usize) -> bool {
        let count = if self.drawn > 0 {
            &mut self.drawn
        } else {
            &mut self.listed
        };
        let is_reduced = *count > 0;
        let fitting = count.saturating_mul(LARGEST) / bytes.max(1);
        *count = fitting.min(count.saturating_sub(1));
        is_reduced
    }

    /// Keeps the rows and figures of the listed scenarios; the lines about the whole comparison stay.
    pub(super) fn restrict(&self, view: &mut View, comparison: &Comparison) {
        view.strata.retain(|of| self.is_drawn(&of.scenario));
        view.rows.retain(|of| self.is_listed(&of.scenario));
        view.measurements.retain(|of| self.is_listed(&of.scenario));
        view.server_figures
            .retain(|of| self.is_listed(&of.scenario));
        let rows = comparison.judgements.iter();
        let listed = rows.filter(|of| self.is_listed(&of.scenario));
        view.voids = voids(listed, view.several_scenarios);
    }

    /// Number of scenarios without charts.
    pub(super) fn undrawn(&self) -> usize {
        self.places.len() - self.drawn
    }

    /// Number of scenarios without rows.
    pub(super) fn unlisted(&self) -> usize {
        self.places.len() - self.listed
    }

    pub(super) fn is_drawn(&self, scenario: &str) -> bool {
        self.is_among(self.drawn, scenario)
    }

    fn is_listed(&self, scenario: &str) -> bool {
        self.is_among(self.listed, scenario)
    }

    /// A scenario without rows is shown while none is left out.
    fn is_among(&self, first: usize, scenario: &str) -> bool {
        let place = self.places.get(scenario);
        first == self.places.len() || place.is_some_and(|place| *place < first)
    }
}
