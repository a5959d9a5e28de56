//! Worlds with several values for each start: many rules judged together, and measurements that share server starts.

use perfgate::metric::Metric;
use perfgate::record::Run;
use perfgate::stats::base_starts_first;

use super::drive::{CANDIDATE, Form};
use super::model::{Chance, Drawn, STORED, Today};

/// Sessions of the ledger.
const SESSIONS: usize = 20;

/// Pairs that are drawn.
const PAIRS: u32 = 12;

const SCENARIOS: usize = 24;
const METRICS: [Metric; 3] = [Metric::TPOT_P95, Metric::TTFT_P95, Metric::E2E_P95];

/// Every start measures 24 scenarios with three rules each. Half of its variance is shared by all of them, a quarter by the rules of a
/// scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// Cells that are slower, from the first on.
    pub(crate) slower: usize,
}

impl Family {
    pub(crate) fn form() -> Form {
        Form::new(SCENARIOS, &METRICS, 1.0)
    }

    /// One gate; the starts of each list are one after the other, with all cells of a start together.
    pub(crate) fn draw(seed: u64, noise: f64) -> Drawn {
        let chance = &mut Chance::new(seed);
        let session = |chance: &mut Chance| starts(chance, noise, STORED);
        let mut ledger: Vec<Vec<f64>> = (0..SESSIONS).map(|_| session(chance)).collect();
        let baseline = session(chance);
        ledger.push(baseline.clone());
        let today = starts(chance, noise, 1 + 2 * PAIRS as usize);
        let width = SCENARIOS * METRICS.len();
        let (candidate, halves) = today.split_at(width);
        let pairs = halves
            .chunks(2 * width)
            .zip(1..)
            .flat_map(|(pair, number)| {
                let (one, other) = pair.split_at(width);
                let (base, new) = if base_starts_first(seed, number) {
                    (one, other)
                } else {
                    (other, one)
                };
                base.iter().copied().zip(new.iter().copied())
            });
        Drawn {
            ledger,
            baseline,
            today: Today {
                candidate: candidate.to_vec(),
                pairs: pairs.collect(),
            },
            ..Drawn::default()
        }
    }

    /// Today's starts with some cells that much slower.
    pub(crate) fn slower(self, today: &Today, effect: f64) -> Today {
        let mut today = today.clone();
        let width = SCENARIOS * METRICS.len();
        for start in today.candidate.chunks_mut(width) {
            start[..self.slower]
                .iter_mut()
                .for_each(|log| *log += effect.ln_1p());
        }
        for start in today.pairs.chunks_mut(width) {
            start[..self.slower]
                .iter_mut()
                .for_each(|(_, log)| *log += effect.ln_1p());
        }
        today
    }
}

/// Starts of one day, all cells of each.
fn starts(chance: &mut Chance, noise: f64, count: usize) -> Vec<f64> {
    let day = 0.5 * noise * chance.normal();
    let mut logs = Vec::with_capacity(count * SCENARIOS * METRICS.len());
    for _ in 0..count {
        let shared = 0.5_f64.sqrt() * chance.normal();
        let slow = day + chance.outlier(0.015);
        for _ in 0..SCENARIOS {
            let scenario = 0.5 * chance.normal();
            let slow = slow + chance.outlier(0.01);
            for _ in METRICS {
                let own = 0.5_f64.sqrt() * (chance.normal() + chance.sampling());
                logs.push(noise * (shared + scenario + 0.5 * own) + slow + chance.outlier(0.005));
            }
        }
    }
    logs
}

/// Measurements of each start of files whose measurements share starts.
const EACH: usize = 3;

/// Variance of a start over that of a measurement on it.
const START_TO_MEASUREMENT: f64 = 4.0;

/// Files whose measurements share server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// Starts and measurements on each of a session of the ledger, if there is one.
    pub(crate) session: Option<(usize, usize)>,
    /// Starts of baseline and candidate.
    pub(crate) sides: (usize, usize),
}

/// One comparison of such files.
pub(crate) struct Files {
    pub(crate) ledger: Vec<Run>,
    pub(crate) baseline: Run,
    /// The candidate's measurements, start by start.
    candidate: Vec<Vec<f64>>,
}

impl Shared {
    pub(crate) fn starts(self) -> usize {
        self.sides.0 + self.sides.1
    }

    pub(crate) fn draw(self, form: &Form, seed: u64, noise: f64) -> Files {
        let chance = &mut Chance::new(seed);
        let sessions = self.session.iter().flat_map(|session| [*session; SESSIONS]);
        let ledger = sessions.enumerate().map(|(number, (starts, each))| {
            shared_run(form, number, &session(chance, noise, starts, each), 0.0)
        });
        let ledger = ledger.collect();
        let baseline = session(chance, noise, self.sides.0, EACH);
        Files {
            ledger,
            baseline: shared_run(form, SESSIONS, &baseline, 0.0),
            candidate: session(chance, noise, self.sides.1, EACH),
        }
    }
}

impl Files {
    pub(crate) fn candidate(&self, form: &Form, effect: f64) -> Run {
        shared_run(form, CANDIDATE, &self.candidate, effect)
    }
}

fn session(chance: &mut Chance, noise: f64, starts: usize, each: usize) -> Vec<Vec<f64>> {
    let of_start = noise * (START_TO_MEASUREMENT / (1.0 + START_TO_MEASUREMENT)).sqrt();
    let of_measurement = noise * (1.0 / (1.0 + START_TO_MEASUREMENT)).sqrt();
    let day = 0.5 * noise * chance.normal();
    let mut session = Vec::new();
    for _ in 0..starts {
        let start = day + of_start * chance.normal() + chance.outlier(0.015);
        let measurement = |_| {
            let own = 0.5_f64.sqrt() * (chance.normal() + chance.sampling());
            start + of_measurement * own + chance.outlier(0.015)
        };
        session.push((0..each).map(measurement).collect());
    }
    session
}

fn shared_run(form: &Form, number: usize, starts: &[Vec<f64>], effect: f64) -> Run {
    let mut run = form.run(number, &[]);
    for (start, logs) in starts.iter().enumerate() {
        for log in logs {
            form.push(&mut run, &[log + effect.ln_1p()], Some(&start.to_string()));
        }
    }
    run
}
