//! Steps of a series: E-divisive with the energy statistic (Matteson and James 2014, Journal of the American
//! Statistical Association 109:505), exponent 1, significance by permutation. It assumes no distribution, and finds a step
//! in the level as well as in the spread.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64Mcg;

use super::number;

/// The fewest values on a side for estimating its level.
const SHORTEST: usize = 3;

/// Permutations of the values drawn for every test.
const PERMUTATIONS: u32 = 499;

/// Most permutations with a step at least as large that leave a step significant: p ≤ 0.01. Strict, because many series are tested
/// often.
const MOST_AS_STEPPED: u32 = 4;

/// A step in a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value after the step.
    pub at: usize,
    /// p-value: the share of permutations with a step at least as large.
    pub p_value: f64,
}

/// Seed of the permutations, so that all reports find the same steps.
const DEFAULT_SEED: u64 = 20_261_128;

/// The steps in the level of a series, found in its logs, so that the size of a step is relative. A series with a value of zero
/// has no steps.
pub fn level_steps(values: &[f64]) -> Vec<ChangePoint> {
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    change_points(&logs, DEFAULT_SEED)
}

/// The steps of a series, in its order. Equal seeds give equal steps. A series with fewer than six values, or with a value that
/// is not finite, has none.
pub fn change_points(values: &[f64], seed: u64) -> Vec<ChangePoint> {
    let mut found = Vec::new();
    if values.iter().all(|value| value.is_finite()) {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        divide(values, 0, &mut random, &mut found);
    }
    found.sort_by_key(|point| point.at);
    found
}

/// A value, and the sum of its distances to all others, which no permutation changes.
#[derive(Clone, Copy)]
struct Placed {
    value: f64,
    away: f64,
}

fn divide(values: &[f64], offset: usize, random: &mut Pcg64Mcg, found: &mut Vec<ChangePoint>) {
    let away = |one: &f64| values.iter().map(|other| (one - other).abs()).sum();
    let placed = values.iter().map(|value| Placed {
        value: *value,
        away: away(value),
    });
    let mut placed: Vec<Placed> = placed.collect();
    let Some((at, strength)) = best_split(&placed) else {
        return;
    };
    let mut at_least_as_stepped = 0;
    for _ in 0..PERMUTATIONS {
        placed.shuffle(random);
        if best_split(&placed).is_some_and(|(_, other)| other >= strength) {
            at_least_as_stepped += 1;
            // Most series have no step: a few permutations show it.
            if at_least_as_stepped > MOST_AS_STEPPED {
                return;
            }
        }
    }
    found.push(ChangePoint {
        at: offset + at,
        p_value: f64::from(at_least_as_stepped + 1) / f64::from(PERMUTATIONS + 1),
    });
    divide(&values[..at], offset, random, found);
    divide(&values[at..], offset + at, random, found);
}

/// The split with the largest scaled energy distance between its sides, and that distance. `None` for a series that is too
/// short or constant.
fn best_split(values: &[Placed]) -> Option<(usize, f64)> {
    let count = values.len();
    if count < 2 * SHORTEST {
        return None;
    }
    let total = values.iter().map(|placed| placed.away).sum::<f64>() / 2.0;
    // Sums of distances within the sides, updated while values move from the right side to the left.
    let (mut left, mut right) = (0.0, total);
    let mut best: Option<(usize, f64)> = None;
    for at in 1..count {
        let moved = values[at - 1];
        let to_left: f64 = values[..at - 1]
            .iter()
            .map(|other| (moved.value - other.value).abs())
            .sum();
        left += to_left;
        right -= moved.away - to_left;
        if at < SHORTEST || count - at < SHORTEST {
            continue;
        }
        let (before, after) = (number(at as u64), number((count - at) as u64));
        let across = (total - left - right) * 2.0 / (before * after);
        let within = left * 2.0 / (before * (before - 1.0)) + right * 2.0 / (after * (after - 1.0));
        let strength = (across - within) * before * after / (before + after);
        if best.is_none_or(|(_, strongest)| strength > strongest) {
            best = Some((at, strength));
        }
    }
    best.filter(|(_, strength)| *strength > 0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEED: u64 = 7;

    /// Values that look like noise of 1 about a level.
    fn level(level: f64, count: usize) -> impl Iterator<Item = f64> {
        (0..count).map(move |index| level + [0.3, -0.9, 0.8, -0.2, 0.1, -0.6, 0.9, -0.4][index % 8])
    }

    fn steps(values: &[f64]) -> Vec<usize> {
        change_points(values, SEED)
            .iter()
            .map(|point| point.at)
            .collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let values: Vec<f64> = level(10.0, 12).chain(level(13.0, 9)).collect();
        assert_eq!(steps(&values), [12]);
    }

    #[test]
    fn two_steps_are_found_in_their_order() {
        let values: Vec<f64> = level(10.0, 10)
            .chain(level(14.0, 10))
            .chain(level(11.0, 10))
            .collect();
        assert_eq!(steps(&values), [10, 20]);
    }

    #[test]
    fn one_outlier_is_not_a_step() {
        let mut values: Vec<f64> = level(10.0, 20).collect();
        values[11] = 30.0;
        assert!(steps(&values).is_empty());
    }

    #[test]
    fn a_short_or_constant_series_has_no_step() {
        assert!(steps(&[1.0, 1.0, 1.0, 9.0, 9.0]).is_empty());
        assert!(steps(&[2.0; 30]).is_empty());
        assert!(steps(&[1.0, f64::NAN, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]).is_empty());
    }

    #[test]
    fn noise_alone_steps_seldom() {
        use rand::RngExt as _;
        let mut random = Pcg64Mcg::seed_from_u64(11);
        let stepped = (0..100).filter(|_| {
            let values: Vec<f64> = (0..25).map(|_| random.random::<f64>()).collect();
            !change_points(&values, SEED).is_empty()
        });
        let stepped = stepped.count();
        assert!(stepped <= 5, "{stepped} of 100 series without a step");
    }

    proptest! {
        #[test]
        fn scale_and_place_of_a_series_move_no_step(
            values in prop::collection::vec(0.0..1.0f64, 0..24), factor in 0.5..4.0f64
        ) {
            // A power of two changes no rounding.
            let factor = factor.log2().round().exp2();
            let scaled: Vec<f64> = values.iter().map(|value| value * factor).collect();
            prop_assert_eq!(steps(&values), steps(&scaled));
        }
    }
}
