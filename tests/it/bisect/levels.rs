//! How often a step of a search is wrong, drawn from the model of noise, with the noise learnt as a search learns it.

use perfgate::bisect::Role;
use perfgate::metric::Metric;
use perfgate::stats::Outcome;
use perfgate::trial::{ErrorsLeft, Evidence, Protocol, SEARCH_LEVELS};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use super::variable;
use crate::calibration::drive::Form;
use crate::calibration::model::Today;

/// Variable that says how many steps are drawn of each kind.
const DRAWS: &str = "PERFGATE_TEST_BISECT_DRAWS";

/// Noise between starts, as in the histories.
const NOISE: f64 = 0.02;

/// Pairs of a step at most.
const PAIRS: u32 = 24;

/// Starts of the good end before the first step: twelve against itself, twelve against the bad end, in threes.
const SESSIONS: usize = 8;

/// What became of the steps of one kind.
#[derive(Debug, Default)]
struct Steps {
    good: u32,
    bad: u32,
    open: u32,
    starts: u32,
}

fn normal(random: &mut Pcg32) -> f64 {
    // Box and Muller.
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn draw(slower: f64, draws: u32, random: &mut Pcg32) -> Steps {
    let form = Form::of_one(Metric::TPOT_P95, 1.0);
    let policy = form.policy();
    let mut steps = Steps::default();
    for _ in 0..draws {
        let ledger: Vec<Vec<f64>> = (0..SESSIONS)
            .map(|_| (0..3).map(|_| NOISE * normal(random)).collect())
            .collect();
        let protocol = Protocol::with_base(PAIRS).of_search(
            Role::Search,
            PAIRS,
            false,
            form.sessions(&ledger),
        );
        let mut start = |effect: f64| effect.ln_1p() + NOISE * normal(random);
        let today = Today {
            candidate: vec![start(slower)],
            pairs: (0..PAIRS).map(|_| (start(0.0), start(slower))).collect(),
        };
        let none = &mut Evidence::default();
        let step = form.drive(&protocol, &policy, ErrorsLeft::ALL, none, &today);
        steps.starts += step.starts;
        match step.outcome {
            Outcome::Pass => steps.good += 1,
            Outcome::Fail => steps.bad += 1,
            Outcome::Undecided => steps.open += 1,
        }
    }
    steps
}

/// `PERFGATE_TEST_BISECT_DRAWS=100000 cargo nextest run --no-capture -E 'test(levels)'` draws so many of each kind.
#[test]
fn the_share_of_wrong_steps_stays_within_the_level_of_the_search() {
    let draws: u32 = variable(DRAWS).map_or(1000, |draws| draws.parse().unwrap());
    let mut random = Pcg32::seed_from_u64(7);
    let most = |share: f64| share * f64::from(draws) + 4.0 * (share * f64::from(draws)).sqrt();
    for (slower, is_guilty) in [(0.0, false), (0.02, false), (0.08, true), (0.15, true)] {
        let steps = draw(slower, draws, &mut random);
        let wrong = if is_guilty { steps.good } else { steps.bad };
        eprintln!(
            "{:>4.0} % slower: {wrong} of {draws} wrong, {} undecided, {:.1} server starts a step",
            100.0 * slower,
            steps.open,
            f64::from(steps.starts) / f64::from(draws)
        );
        assert!(f64::from(wrong) <= most(SEARCH_LEVELS.alpha), "{steps:?}");
        // At the edges of the zone; in its middle there is no right answer.
        assert!(f64::from(steps.open) <= most(0.02), "{steps:?}");
    }
}
