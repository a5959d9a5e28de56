//! Draws server starts with the noise and the correlations of the accepted sessions.

use std::f64::consts::TAU;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use crate::compare::{SideValues, orientation, same_fingerprint};
use crate::metric::{Metric, Unit};
use crate::policy::rule::Policy;
use crate::policy::{assumed, step};
use crate::record::Run;
use crate::record::format::{Repeat, ResultFile};
use crate::stats::{self, Noise};
use crate::trial::StoredBaseline;

/// The noise of one metric with a rule in one scenario, as standard deviations relative to its value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CellNoise {
    pub(crate) scenario: String,
    pub(crate) metric: Metric,
    /// Between starts of one session.
    pub(crate) repeat: f64,
    /// Between sessions.
    pub(crate) host: f64,
    /// Sessions that it was learnt from; 0: too few, so it is assumed.
    pub(crate) sessions: u32,
}

/// One metric with a rule in one scenario.
struct Cell {
    /// Index of its scenario in the baseline.
    scenario: usize,
    metric: Metric,
    /// The log of its value in the baseline, larger is worse.
    level: f64,
    noise: Noise,
    /// The logs of the repeats of every session.
    sessions: Vec<Vec<f64>>,
}

impl Cell {
    /// Whether a slower server changes it.
    fn moves(&self) -> bool {
        match self.metric.unit() {
            Unit::Seconds => self.metric != Metric::STARTUP,
            Unit::RequestsPerSecond | Unit::TokensPerSecond => true,
            Unit::Bytes | Unit::Tokens | Unit::Ratio | Unit::Count => false,
        }
    }
}

/// The machine of the accepted runs, as far as their values tell.
pub(crate) struct Machine {
    /// The baseline without its measurements.
    bare: ResultFile,
    /// A repeat of each of its scenarios, without values.
    repeats: Vec<Repeat>,
    /// Number of the baseline's repeats.
    pub(crate) stored_repeats: u32,
    cells: Vec<Cell>,
    /// What each repeat of the sessions deviated from its session, per cell, in units of the cell's deviation; empty if there are too
    /// few to know how metrics move together.
    deviations: Vec<Vec<f64>>,
    chance: Chance,
}

/// The level of every cell on one day.
pub(crate) struct Day(Vec<f64>);

impl Machine {
    /// The machine of these accepted runs; `policy` names the metrics that matter.
    pub(crate) fn of(stored: &StoredBaseline, policy: &Policy, seed: u64) -> Self {
        let mut bare = stored.run.file.clone();
        (bare.price, bare.promotion) = (None, None);
        let mut repeats = Vec::new();
        for scenario in &mut bare.scenarios {
            let all = std::mem::take(&mut scenario.repeats);
            let counting = all.into_iter().rfind(|repeat| repeat.void.is_none());
            repeats.push(Repeat {
                requests: counting.and_then(|repeat| repeat.requests),
                ..Repeat::default()
            });
        }
        let cells = cells(stored, policy);
        let is_learnt = cells.iter().any(|cell| cell.noise.is_learnt());
        Self {
            bare,
            repeats,
            stored_repeats: stored.run.counting_repeats().max(1),
            deviations: if is_learnt {
                deviations(&cells)
            } else {
                Vec::new()
            },
            cells,
            chance: Chance(Pcg64Mcg::seed_from_u64(seed)),
        }
    }

    /// The noise of every rule.
    pub(crate) fn noise(&self) -> Vec<CellNoise> {
        let of = |cell: &Cell| CellNoise {
            scenario: self.bare.scenarios[cell.scenario].name.clone(),
            metric: cell.metric,
            repeat: cell.noise.repeat,
            host: cell.noise.host,
            sessions: cell.noise.sessions,
        };
        self.cells.iter().map(of).collect()
    }

    /// A day on a host.
    pub(crate) fn day(&mut self) -> Day {
        let host = self.together(|cell| cell.noise.host);
        let levels = self.cells.iter().zip(host);
        Day(levels.map(|(cell, host)| cell.level + host).collect())
    }

    /// Adds a repeat to a result: of a version that is slower by that share, on that server start.
    pub(crate) fn repeat(
        &mut self,
        run: &mut ResultFile,
        day: &Day,
        slower: f64,
        start: Option<&str>,
    ) {
        let noise = self.together(|cell| cell.noise.repeat);
        let number = self.chance.number();
        for (scenario, bare) in run.scenarios.iter_mut().zip(&self.repeats) {
            scenario.repeats.push(Repeat {
                id: Some(format!("drawn-{number:x}")),
                start: start.map(str::to_owned),
                ..bare.clone()
            });
        }
        for ((cell, level), noise) in self.cells.iter().zip(&day.0).zip(noise) {
            let effect = if cell.moves() { slower.ln_1p() } else { 0.0 };
            let value = (orientation(cell.metric) * (level + noise + effect)).exp();
            let repeats = &mut run.scenarios[cell.scenario].repeats;
            if let Some(repeat) = repeats.last_mut() {
                repeat
                    .metrics
                    .insert(cell.metric.id().to_owned(), Some(value));
            }
        }
    }

    /// A result without repeats.
    pub(crate) fn begin(&self) -> ResultFile {
        self.bare.clone()
    }

    /// A normal value for every cell with that deviation, correlated as the sessions are.
    fn together(&mut self, deviation: impl Fn(&Cell) -> f64) -> Vec<f64> {
        let mut values = vec![0.0; self.cells.len()];
        if self.deviations.is_empty() {
            values.fill_with(|| self.chance.normal());
        } else {
            // A sum of the observed deviations with normal weights has their covariance.
            let share = stats::number(self.deviations.len() as u64).sqrt().recip();
            for observed in &self.deviations {
                let weight = self.chance.normal() * share;
                for (value, deviation) in values.iter_mut().zip(observed) {
                    *value += weight * deviation;
                }
            }
        }
        let scaled = values.into_iter().zip(&self.cells);
        scaled
            .map(|(value, cell)| value * deviation(cell))
            .collect()
    }
}

/// The metrics with a rule in the scenarios of the baseline.
fn cells(stored: &StoredBaseline, policy: &Policy) -> Vec<Cell> {
    // Sessions of other hardware or workload tell nothing, as in a gate.
    let fitting = stored.ledger.iter();
    let fitting: Vec<&Run> = fitting
        .filter(|session| same_fingerprint(session, &stored.run))
        .collect();
    let mut cells = Vec::new();
    for (index, scenario) in stored.run.scenarios.iter().enumerate() {
        for rule in policy.rules_for(&scenario.name) {
            let metric = rule.metric;
            let side = SideValues::of(metric, Some(scenario));
            let Some(level) = stats::median(&side.logs) else {
                continue;
            };
            let step = step(metric, (orientation(metric) * level).exp());
            let of_session =
                |run: &&Run| SideValues::of(metric, run.scenario(&scenario.name)).repeats();
            let sessions: Vec<Vec<(f64, u32)>> = fitting.iter().map(of_session).collect();
            let own = side.repeats();
            let noise = stats::replicates(&own, &own, &sessions, step, assumed(step)).noise;
            let logs = |session: Vec<(f64, u32)>| session.into_iter().map(|(log, _)| log).collect();
            cells.push(Cell {
                scenario: index,
                metric,
                level,
                noise,
                sessions: sessions.into_iter().map(logs).collect(),
            });
        }
    }
    cells
}

/// The deviations of every repeat from its session, each cell scaled to a mean square of 1; a cell that never changes stays 0.
fn deviations(cells: &[Cell]) -> Vec<Vec<f64>> {
    let sessions = cells.iter().map(|cell| cell.sessions.len()).max();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for session in 0..sessions.unwrap_or(0) {
        let of = |cell: &Cell| cell.sessions.get(session).cloned().unwrap_or_default();
        let logs: Vec<Vec<f64>> = cells.iter().map(of).collect();
        let repeats = logs.iter().map(Vec::len).max().unwrap_or(0);
        if repeats < 2 {
            continue;
        }
        let means: Vec<f64> = logs
            .iter()
            .map(|logs| stats::mean(logs).unwrap_or(0.0))
            .collect();
        rows.extend((0..repeats).map(|repeat| {
            let of =
                |(logs, mean): (&Vec<f64>, &f64)| logs.get(repeat).map_or(0.0, |log| log - mean);
            logs.iter().zip(&means).map(of).collect()
        }));
    }
    let count = stats::number(rows.len() as u64);
    for cell in 0..cells.len() {
        let squares: f64 = rows.iter().map(|row| row[cell].powi(2)).sum();
        let scale = (squares / count).sqrt();
        if scale > 0.0 {
            for row in &mut rows {
                row[cell] /= scale;
            }
        }
    }
    rows
}

/// Chance, reproducible from a seed.
struct Chance(Pcg64Mcg);

impl Chance {
    fn number(&mut self) -> u64 {
        self.0.random::<u64>()
    }

    /// A standard normal value (Box and Muller).
    fn normal(&mut self) -> f64 {
        let [one, other] = [self.0.random::<f64>(), self.0.random::<f64>()];
        (-2.0 * (1.0 - one).ln()).sqrt() * (TAU * other).cos()
    }
}
