//! The rules that are compared: perfgate's, with and without the base image, and plain ones.

use perfgate::stats::{
    Answer, Evidence, Levels, Look, Noise, PAIR_LOOKS, Zone, candidate_looks, mean, median, number,
};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::model::{Chance, History, Session, World};

/// The limit of the rule that is simulated.
pub(crate) const LIMIT: f64 = 0.05;

/// α and β of one rule alone.
const LEVELS: Levels = Levels {
    alpha: 0.02,
    beta: 0.05,
};

/// Most repeats of the candidate.
const MOST_REPEATS: u32 = 10;

/// Below this p a plain test calls a difference significant.
const SIGNIFICANT: f64 = 0.05;

/// How a simulated gate decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// perfgate with the base image at hand.
    WithBase,
    /// perfgate with nothing but the stored baseline.
    WithoutBase,
    /// `perfgate compare`: one look at one run.
    Compare,
    /// The medians differ by more than the limit.
    Median,
    /// Mann-Whitney p < 0.05 and over the limit.
    MannWhitney,
    /// Welch's t-test p < 0.05 and over the limit.
    Welch,
}

/// What came of a simulated gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// Server starts that it took.
    pub(crate) starts: u32,
}

impl Rule {
    /// One gate in that world.
    pub(crate) fn gate(self, world: &World, chance: &mut Chance) -> Outcome {
        let history = History::new(world, chance);
        let noise = Noise::learn(&history.ledger, 0.0).unwrap_or(Noise::ASSUMED);
        let mut today = history.today(world, chance);
        let candidate = today.repeats(chance, world.repeats, world.effect);
        let evidence = Evidence {
            baseline: &history.baseline,
            candidate: &candidate,
            pairs: &[],
            noise,
        };
        let first = u32::try_from(world.repeats).unwrap_or(u32::MAX);
        match self {
            Self::Compare => Outcome {
                answer: look(&evidence, Look::only(first)),
                starts: first,
            },
            Self::WithoutBase => without_base(evidence, &mut today, chance, world),
            Self::WithBase => with_base(evidence, &mut today, chance, world),
            Self::Median | Self::MannWhitney | Self::Welch => Outcome {
                answer: self.plain(&history.baseline, &candidate),
                starts: first,
            },
        }
    }

    /// A plain rule on three repeats a side.
    fn plain(self, baseline: &[f64], candidate: &[f64]) -> Answer {
        let centre = |values| median(values).unwrap_or(0.0);
        let over = centre(candidate) - centre(baseline) > LIMIT.ln_1p();
        let sure = match self {
            Self::MannWhitney => mann_whitney(baseline, candidate) < SIGNIFICANT,
            Self::Welch => welch(baseline, candidate) < SIGNIFICANT,
            Self::Median | Self::WithBase | Self::WithoutBase | Self::Compare => true,
        };
        if over && sure {
            Answer::Block
        } else {
            Answer::Pass
        }
    }
}

/// Repeats of the candidate until it is decided.
fn without_base(
    evidence: Evidence<'_>,
    today: &mut Session,
    chance: &mut Chance,
    world: &World,
) -> Outcome {
    let mut candidate = evidence.candidate.to_vec();
    let mut answer = Answer::Open;
    for step in candidate_looks(count(&candidate), MOST_REPEATS) {
        while count(&candidate) < step.at {
            candidate.push(today.repeat(chance, world.effect));
        }
        let evidence = Evidence {
            candidate: &candidate,
            ..evidence
        };
        answer = look(&evidence, step);
        if answer != Answer::Open {
            break;
        }
    }
    Outcome {
        answer,
        starts: count(&candidate),
    }
}

/// The stored baseline, then alternating pairs until it is decided.
fn with_base(
    evidence: Evidence<'_>,
    today: &mut Session,
    chance: &mut Chance,
    world: &World,
) -> Outcome {
    let first = count(evidence.candidate);
    let mut answer = look(&evidence, Look::before_pairs(first));
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for step in PAIR_LOOKS {
        if answer != Answer::Open {
            break;
        }
        while count(&pairs) < step.at {
            pairs.push(pair(today, chance, world.effect, pairs.len()));
        }
        let evidence = Evidence {
            pairs: &pairs,
            ..evidence
        };
        answer = look(&evidence, step);
    }
    Outcome {
        answer,
        starts: first + 2 * count(&pairs),
    }
}

fn count<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

fn look(evidence: &Evidence<'_>, look: Look) -> Answer {
    evidence
        .assess()
        .decide(Zone::of_growth(LIMIT), LEVELS, look)
        .map_or(Answer::Open, |decision| decision.answer)
}

/// A B, then B A, so that a drift does not favour one side.
fn pair(session: &mut Session, chance: &mut Chance, effect: f64, index: usize) -> (f64, f64) {
    if index.is_multiple_of(2) {
        let base = session.repeat(chance, 0.0);
        (base, session.repeat(chance, effect))
    } else {
        let candidate = session.repeat(chance, effect);
        (session.repeat(chance, 0.0), candidate)
    }
}

/// Exact two-sided p of the rank sum, for samples without ties.
pub(crate) fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let wins: usize = one
        .iter()
        .map(|a| other.iter().filter(|b| *b > a).count())
        .sum();
    let (n, m) = (one.len(), other.len());
    // Ways to reach each number of wins, by dynamic programming over the merged order.
    let mut ways = vec![vec![0.0_f64; n * m + 1]; n + 1];
    ways[0][0] = 1.0;
    for place in 0..n + m {
        for taken in (1..=n.min(place + 1)).rev() {
            for count in 0..=n * m {
                // One of `one` at this place is beaten by none of those before it and beats those of `other` before it.
                let before = place + 1 - taken;
                if before <= m && count >= before {
                    let add = ways[taken - 1][count - before];
                    ways[taken][count] += add;
                }
            }
        }
    }
    let total: f64 = ways[n].iter().sum();
    let tail = wins.min(n * m - wins);
    let below: f64 = ways[n][..=tail].iter().sum();
    (2.0 * below / total).min(1.0)
}

/// Two-sided p of Welch's t-test.
pub(crate) fn welch(one: &[f64], other: &[f64]) -> f64 {
    let parts = |values: &[f64]| {
        let count = number(values.len() as u64);
        let centre = mean(values).unwrap_or(0.0);
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        (centre, squares / (count - 1.0) / count, count)
    };
    let ((a, va, na), (b, vb, nb)) = (parts(one), parts(other));
    let degrees = (va + vb).powi(2) / (va.powi(2) / (na - 1.0) + vb.powi(2) / (nb - 1.0));
    let t = (b - a) / (va + vb).sqrt();
    StudentsT::new(0.0, 1.0, degrees).map_or(1.0, |student| 2.0 * student.sf(t.abs()))
}
