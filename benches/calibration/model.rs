//! The world that is simulated: sessions of repeats with host effects, drift, outliers, heavy-tailed requests and a
//! main branch that changes now and then (`docs/concepts/mathematics.md`, "How we know").

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Requests of a repeat, of which the P95 is taken.
const REQUESTS: usize = 400;

/// Share of requests that stall, and how much slower they are at least and at most, in standard deviations of requests.
const STALLS: f64 = 0.015;
const STALL: (f64, f64) = (4.0, 20.0);

/// Standard deviation of the log of the P95 of [`REQUESTS`] requests, as a share of the requests' own: found by
/// simulation, so that a world has the noise that it is asked for.
const P95_SHARE: f64 = 0.148;

/// Where the log of that P95 lies, in the same unit: taken off, so that more noise is not also a slower server.
const P95_LEVEL: f64 = 1.827;

/// How much slower an outlier repeat is, at least and at most.
const OUTLIER: (f64, f64) = (0.05, 0.15);

/// Correlation of a repeat's drift with the one before it.
const DRIFT_CORRELATION: f64 = 0.6;

/// Probability that main changed for good between two sessions of the ledger, and by how much.
const STEP_PROBABILITY: f64 = 0.1;
const STEP: f64 = 0.03;

/// What is true in a simulated gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    /// Coefficient of variation of one start, request sampling included.
    pub(crate) noise: f64,
    /// Today's noise as a multiple of `noise`; the ledger knows nothing of it.
    pub(crate) today: f64,
    /// How much slower the candidate is.
    pub(crate) effect: f64,
    /// How much slower today's host is than the ledger's and the baseline's.
    pub(crate) slower_host: f64,
    /// Share of the start's variance that drifts from repeat to repeat.
    pub(crate) drift: f64,
    /// Probability that a repeat is an outlier.
    pub(crate) outliers: f64,
    /// Accepted sessions in the ledger.
    pub(crate) sessions: usize,
    /// Repeats of the baseline, of each session, and of the candidate's first look.
    pub(crate) repeats: usize,
}

impl Default for World {
    fn default() -> Self {
        Self {
            noise: 0.01,
            today: 1.0,
            effect: 0.0,
            slower_host: 0.0,
            drift: 0.3,
            outliers: 0.03,
            sessions: 20,
            repeats: 3,
        }
    }
}

/// Chance, reproducible from a seed.
pub(crate) struct Chance(Pcg64Mcg);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    fn uniform(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Two independent standard normal values (Box and Muller).
    fn normals(&mut self) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        (radius * cosine, radius * sine)
    }

    fn normal(&mut self) -> f64 {
        self.normals().0
    }
}

/// One session on one host on one day: repeats are drawn from it one after the other.
pub(crate) struct Session {
    level: f64,
    noise: f64,
    drift: f64,
    outliers: f64,
    state: f64,
}

impl Session {
    /// A session at that level of log latency, with that noise per start.
    pub(crate) fn new(world: &World, chance: &mut Chance, level: f64, noise: f64) -> Self {
        // Hosts differ by half of what starts do.
        let host = 0.5 * world.noise * chance.normal();
        Self {
            level: level + host,
            noise,
            drift: world.drift,
            outliers: world.outliers,
            state: chance.normal(),
        }
    }

    /// The log of one repeat's P95, of a version that much slower.
    pub(crate) fn repeat(&mut self, chance: &mut Chance, effect: f64) -> f64 {
        let rho = DRIFT_CORRELATION;
        self.state = rho * self.state + (1.0 - rho * rho).sqrt() * chance.normal();
        // Half of the variance is the start's, half comes from the requests.
        let half = self.noise * 0.5_f64.sqrt();
        let start =
            half * (self.drift.sqrt() * self.state + (1.0 - self.drift).sqrt() * chance.normal());
        let outlier = if chance.uniform() < self.outliers {
            (OUTLIER.0 + (OUTLIER.1 - OUTLIER.0) * chance.uniform()).ln_1p()
        } else {
            0.0
        };
        self.level + effect.ln_1p() + start + outlier + p95(chance, half / P95_SHARE)
    }

    pub(crate) fn repeats(&mut self, chance: &mut Chance, count: usize, effect: f64) -> Vec<f64> {
        (0..count).map(|_| self.repeat(chance, effect)).collect()
    }
}

/// The log of the P95 of requests whose logs have that standard deviation, some of which stall.
fn p95(chance: &mut Chance, deviation: f64) -> f64 {
    let mut requests = [0.0; REQUESTS];
    for pair in requests.chunks_mut(2) {
        let (one, other) = chance.normals();
        pair[0] = deviation * one;
        pair[1] = deviation * other;
    }
    for request in &mut requests {
        if chance.uniform() < STALLS {
            *request += deviation * (STALL.0 + (STALL.1 - STALL.0) * chance.uniform());
        }
    }
    let rank = REQUESTS * 95 / 100;
    *requests.select_nth_unstable_by(rank, f64::total_cmp).1 - P95_LEVEL * deviation
}

/// The ledger and the stored baseline, which is its last session.
pub(crate) struct History {
    pub(crate) ledger: Vec<Vec<f64>>,
    pub(crate) baseline: Vec<f64>,
    /// Where main stands now.
    pub(crate) level: f64,
}

impl History {
    pub(crate) fn new(world: &World, chance: &mut Chance) -> Self {
        let mut level = 0.0;
        let mut ledger = Vec::new();
        for _ in 0..world.sessions {
            if chance.uniform() < STEP_PROBABILITY {
                level += if chance.uniform() < 0.5 { STEP } else { -STEP };
            }
            let mut session = Session::new(world, chance, level, world.noise);
            ledger.push(session.repeats(chance, world.repeats, 0.0));
        }
        let mut session = Session::new(world, chance, level, world.noise);
        let baseline = session.repeats(chance, world.repeats, 0.0);
        ledger.push(baseline.clone());
        if world.sessions == 0 {
            ledger.clear();
        }
        Self {
            ledger,
            baseline,
            level,
        }
    }

    /// Today's session, on today's host.
    pub(crate) fn today(&self, world: &World, chance: &mut Chance) -> Session {
        let level = self.level + world.slower_host.ln_1p();
        Session::new(world, chance, level, world.noise * world.today)
    }
}
