//! The world that is simulated: starts of servers on hosts with good and bad days, with drift, outliers and heavy-tailed requests, and
//! a main branch that changes now and then (`docs/concepts/mathematics.md`, "Calibration"). Values are logs; larger is worse.

use std::sync::OnceLock;

use perfgate::stats::{base_starts_first, number};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Share of requests that stall, and how much slower they are at least and at most, in standard deviations of requests.
const STALLS: f64 = 0.015;
const STALL: (f64, f64) = (4.0, 20.0);

/// Standard deviation of the log of the P95 of 400 requests, as a share of the requests' own.
const P95_SHARE: f64 = 0.148;

/// How many P95 of each number of requests are drawn beforehand.
const POOL: usize = 60_000;

/// Share of starts that are outliers, and how much slower they are at least and at most.
const OUTLIERS: f64 = 0.03;
const OUTLIER: (f64, f64) = (0.05, 0.15);

/// Share of a start's own variance that drifts from start to start, and the correlation of neighbours.
const DRIFTING: f64 = 0.3;
const DRIFT_CORRELATION: f64 = 0.6;

/// Probability that main changed for good between two sessions of the ledger, and by how much.
const STEP_PROBABILITY: f64 = 0.1;
const STEP: f64 = 0.03;

/// Starts of the baseline and of each session.
pub(crate) const STORED: usize = 3;

/// Candidate starts of a gate that has no base version.
pub(crate) const ALONE: usize = 10;

/// What is true in a simulated gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct World {
    /// Standard deviation of one start; half of its variance comes from the requests.
    pub(crate) noise: f64,
    /// Today's noise as a multiple of `noise`; the ledger knows nothing of it.
    pub(crate) today: f64,
    /// How much slower the stored baseline's host was than today's and the ledger's.
    pub(crate) stored_slower: f64,
    /// Whether the files show that the stored baseline is of another host.
    pub(crate) is_host_unknown: bool,
    /// Deviation between hosts if every session is on another one.
    pub(crate) fleet: f64,
    /// Accepted sessions in the ledger, beside the baseline; 0: no ledger.
    pub(crate) sessions: usize,
    /// Requests of which the P95 is taken.
    pub(crate) requests: Requests,
    pub(crate) bend: Bend,
    /// The metric is reported in steps of the first size, with this offset.
    pub(crate) rounding: Option<(f64, f64)>,
    /// Whether the rule is on a metric whose steps perfgate knows.
    pub(crate) is_declared: bool,
}

/// What happens to starts beside noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bend {
    Nothing,
    /// A neighbour slows starts 2 and 3 of every 4 after the first.
    Neighbour(f64),
    /// Each start is that much slower than the one before it.
    Drift(f64),
    /// From one of the starts 2 to 13 on, the machine is that much slower.
    MachineStep(f64),
    /// All starts, those of the ledger too, are at random that much faster or slower.
    Modes(f64),
    /// The same of the candidate's starts only.
    ModesOfCandidate(f64),
    /// The candidate's starts are that many times as noisy as the base's.
    NoisyCandidate(f64),
    /// A quarter of the candidate's starts is that much slower.
    SomeSlow(f64),
}

/// A number of requests whose P95 are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requests {
    N100,
    N150,
    N400,
}

impl Default for World {
    fn default() -> Self {
        Self {
            noise: 0.01,
            today: 1.0,
            stored_slower: 0.0,
            is_host_unknown: false,
            fleet: 0.0,
            sessions: 20,
            requests: Requests::N400,
            bend: Bend::Nothing,
            rounding: None,
            is_declared: false,
        }
    }
}

/// Chance, reproducible from a seed.
pub(crate) struct Chance {
    random: Pcg64Mcg,
    /// Box and Muller give two normal values at once.
    spare: Option<f64>,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Pcg64Mcg::seed_from_u64(seed),
            spare: None,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.random.random::<f64>()
    }

    /// A number from 0 to below `count`, all equally likely.
    fn below(&mut self, count: usize) -> usize {
        let place = self.uniform() * number(count as u64);
        (1..count)
            .filter(|edge| place >= number(*edge as u64))
            .count()
    }

    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// One of two values with equal probability.
    fn either(&mut self, size: f64) -> f64 {
        if self.uniform() < 0.5 { size } else { -size }
    }

    /// 0, or how much slower an outlier is.
    pub(crate) fn outlier(&mut self, share: f64) -> f64 {
        if self.uniform() < share {
            (OUTLIER.0 + (OUTLIER.1 - OUTLIER.0) * self.uniform()).ln_1p()
        } else {
            0.0
        }
    }

    /// The P95 of requests with unit deviation.
    fn p95(&mut self, requests: Requests) -> f64 {
        let pool = requests.pool();
        pool[self.random.random_range(0..pool.len())]
    }

    /// The P95 of 400 requests, with unit deviation.
    pub(crate) fn sampling(&mut self) -> f64 {
        self.p95(Requests::N400) / P95_SHARE
    }
}

impl Requests {
    pub(crate) fn of(requests: usize) -> Option<Self> {
        let all = [(100, Self::N100), (150, Self::N150), (400, Self::N400)];
        let found = all.into_iter().find(|(number, _)| *number == requests);
        found.map(|(_, requests)| requests)
    }

    /// Centred P95 of that many requests of unit deviation, some of which stall.
    fn pool(self) -> &'static [f64] {
        static POOLS: [OnceLock<Vec<f64>>; 3] = [const { OnceLock::new() }; 3];
        let (place, requests) = match self {
            Self::N100 => (0, 100),
            Self::N150 => (1, 150),
            Self::N400 => (2, 400),
        };
        POOLS[place].get_or_init(|| {
            let mut chance = Chance::new(11);
            let mut pool: Vec<f64> = (0..POOL).map(|_| chance.fresh_p95(requests)).collect();
            let mean = pool.iter().sum::<f64>() / number(POOL as u64);
            for value in &mut pool {
                *value -= mean;
            }
            pool
        })
    }
}

impl Chance {
    fn fresh_p95(&mut self, requests: usize) -> f64 {
        let request = |_| {
            let stall = if self.uniform() < STALLS {
                STALL.0 + (STALL.1 - STALL.0) * self.uniform()
            } else {
                0.0
            };
            self.normal() + stall
        };
        let mut values: Vec<f64> = (0..requests).map(request).collect();
        *values
            .select_nth_unstable_by(requests * 95 / 100, f64::total_cmp)
            .1
    }
}

/// All that may be measured in one gate, of a candidate that is not slower.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawn {
    /// The ledger, with the stored baseline as its last session.
    pub(crate) ledger: Vec<Vec<f64>>,
    pub(crate) baseline: Vec<f64>,
    pub(crate) today: Today,
    /// The same on a second machine, which is 6 % slower.
    pub(crate) again: Today,
    /// Candidate starts of a gate without the base version.
    pub(crate) alone: Today,
}

/// Today's starts: one of the candidate, then pairs (base, candidate).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Today {
    pub(crate) candidate: Vec<f64>,
    pub(crate) pairs: Vec<(f64, f64)>,
}

/// Whose starts are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    Today,
}

impl World {
    /// Everything that a gate with that many pairs could measure; `seed` also draws the order in each pair.
    pub(crate) fn draw(&self, seed: u64, pairs: u32) -> Drawn {
        let chance = &mut Chance::new(seed);
        let (mut level, mut ledger) = (0.0, Vec::new());
        for _ in 0..self.sessions {
            if chance.uniform() < STEP_PROBABILITY {
                level += chance.either(STEP);
            }
            ledger.push(self.session(chance, level));
        }
        let baseline = self.session(chance, level + self.stored_slower.ln_1p());
        if self.sessions > 0 {
            ledger.push(baseline.clone());
        }
        let today = level + self.day(chance);
        let on_today = self.alternating(chance, today, seed, pairs);
        let alone = self.starts(chance, When::Today, today, &[true; ALONE]);
        let second = level + self.day(chance) + 0.06_f64.ln_1p();
        Drawn {
            ledger,
            baseline,
            today: on_today,
            again: self.alternating(chance, second, seed, pairs),
            alone: Today {
                candidate: alone,
                pairs: Vec::new(),
            },
        }
    }

    /// What one day on one host adds.
    fn day(&self, chance: &mut Chance) -> f64 {
        (0.5 * self.noise).hypot(self.fleet) * chance.normal()
    }

    /// A session of the ledger, as it is reported.
    fn session(&self, chance: &mut Chance, level: f64) -> Vec<f64> {
        let level = level + self.day(chance);
        let starts = self.starts(chance, When::Before, level, &[false; STORED]);
        starts.into_iter().map(|log| self.reported(log)).collect()
    }

    fn alternating(&self, chance: &mut Chance, level: f64, seed: u64, pairs: u32) -> Today {
        let mut is_candidate = vec![true];
        for pair in 1..=pairs {
            let is_base_first = base_starts_first(seed, pair);
            is_candidate.extend([!is_base_first, is_base_first]);
        }
        let starts = self.starts(chance, When::Today, level, &is_candidate);
        let halves = starts[1..].chunks(2).zip(is_candidate[1..].chunks(2));
        Today {
            candidate: vec![starts[0]],
            pairs: halves
                .map(|(halves, is)| {
                    if is[0] {
                        (halves[1], halves[0])
                    } else {
                        (halves[0], halves[1])
                    }
                })
                .collect(),
        }
    }

    /// Starts one after the other.
    fn starts(
        &self,
        chance: &mut Chance,
        when: When,
        level: f64,
        is_candidate: &[bool],
    ) -> Vec<f64> {
        let times = if when == When::Today { self.today } else { 1.0 };
        // Half of the variance is the start's, half comes from the requests.
        let part = self.noise * times * 0.5_f64.sqrt();
        let mut drift = chance.normal();
        let stepped_from = 1 + chance.below(12);
        let mut starts = Vec::with_capacity(is_candidate.len());
        for (place, is_candidate) in is_candidate.iter().enumerate() {
            if place > 0 {
                let rho = DRIFT_CORRELATION;
                drift = rho * drift + (1.0 - rho * rho).sqrt() * chance.normal();
            }
            let own = DRIFTING.sqrt() * drift + (1.0 - DRIFTING).sqrt() * chance.normal();
            let sampling = chance.p95(self.requests) / P95_SHARE;
            let bend = match when {
                When::Before => self.bend.of_ledger(chance),
                When::Today => self
                    .bend
                    .of_today(chance, place, *is_candidate, stepped_from, self),
            };
            starts.push(level + part * (own + sampling) + chance.outlier(OUTLIERS) + bend);
        }
        starts
    }

    /// The log as it is reported.
    pub(crate) fn reported(&self, log: f64) -> f64 {
        self.rounding
            .map_or(log, |(size, offset)| ((log + offset) / size).round() * size)
    }
}

impl Bend {
    fn of_ledger(self, chance: &mut Chance) -> f64 {
        match self {
            Self::Modes(size) => chance.either(size),
            Self::Nothing
            | Self::Neighbour(_)
            | Self::Drift(_)
            | Self::MachineStep(_)
            | Self::ModesOfCandidate(_)
            | Self::NoisyCandidate(_)
            | Self::SomeSlow(_) => 0.0,
        }
    }

    fn of_today(
        self,
        chance: &mut Chance,
        place: usize,
        is_candidate: bool,
        stepped_from: usize,
        world: &World,
    ) -> f64 {
        let applies = |does: bool, size: f64| if does { size } else { 0.0 };
        match self {
            Self::Nothing => 0.0,
            Self::Neighbour(up) => applies(place > 0 && matches!((place - 1) % 4, 1 | 2), up),
            Self::Drift(step) => step * number(place as u64),
            Self::MachineStep(up) => applies(place >= stepped_from, up.ln_1p()),
            Self::Modes(size) => chance.either(size),
            Self::ModesOfCandidate(size) => applies(is_candidate, chance.either(size)),
            Self::NoisyCandidate(times) => {
                let more = (times * times - 1.0).sqrt() * world.noise * chance.normal();
                applies(is_candidate, more)
            }
            Self::SomeSlow(up) => {
                let is_slow = chance.uniform() < 0.25;
                applies(is_candidate && is_slow, up.ln_1p())
            }
        }
    }
}

impl Today {
    /// As a candidate that is that much slower is measured and reported.
    pub(crate) fn slower(&self, world: &World, effect: f64) -> Self {
        let (base, effect) = (|log| world.reported(log), effect.ln_1p());
        let candidate = |log: f64| world.reported(log + effect);
        Self {
            candidate: self.candidate.iter().map(|log| candidate(*log)).collect(),
            pairs: self
                .pairs
                .iter()
                .map(|(one, other)| (base(*one), candidate(*other)))
                .collect(),
        }
    }
}
