//! The highest load that meets its limits: brackets by doubling or halving, then bisects.

use crate::stats::Outcome;

/// Factor by which a load grows or shrinks until the capacity is bracketed.
const FACTOR: f64 = 2.0;

/// Significant digits of rates: `request_rate=3.364` is a readable name.
const DIGITS: i32 = 4;

/// All measurements of one load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Requests in flight, or requests per second.
    pub load: f64,
    /// Whether it meets its limits, by all its measurements together.
    pub outcome: Outcome,
    /// Number of measurements.
    pub visits: u32,
}

/// The set of possible loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Whole numbers: requests in flight.
    Whole,
    /// Any number: requests per second.
    Real,
}

/// The settings of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The set of possible loads.
    pub grain: Grain,
    /// The first load.
    pub start: f64,
    /// The lowest load that is tried.
    pub least: f64,
    /// The highest load that is tried.
    pub most: f64,
    /// It ends when the lowest load that fails is above the highest that meets by at most this share (or by 1, for
    /// whole numbers).
    pub precision: f64,
    /// The most measurements of an undecided point; if still undecided, it counts as not met.
    pub most_visits: u32,
}

/// The reason for measuring a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadReason {
    /// It is the first load.
    First,
    /// It was measured, and the outcome is undecided.
    Again {
        /// Number of measurements so far.
        visits: u32,
    },
    /// This lower load meets the limits.
    Above(f64),
    /// This higher load does not meet the limits.
    Below(f64),
    /// It is between a load that meets the limits and one that does not.
    Between(f64, f64),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Measure this load.
    Measure {
        /// Which.
        load: f64,
        /// Why.
        why: LoadReason,
    },
    /// The search is over.
    Done(Found),
}

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The highest load that met the limits; `None` if the lowest one did not.
    pub capacity: Option<f64>,
    /// The lowest load above it that did not; `None` if the highest permitted load met them.
    pub fails_at: Option<f64>,
}

impl Search {
    /// The next step after everything in `points`: one entry per load, in any order.
    pub fn next(&self, points: &[Point]) -> Step {
        let Found {
            capacity: low,
            fails_at: high,
        } = self.bracket(points);
        // An undecided point outside the bracket does not change the result.
        let inside =
            |load: f64| low.is_none_or(|low| load > low) && high.is_none_or(|high| load < high);
        if let Some(open) = points
            .iter()
            .find(|point| self.is_open(point) && inside(point.load))
        {
            return Step::Measure {
                load: open.load,
                why: LoadReason::Again {
                    visits: open.visits,
                },
            };
        }
        let (load, why) = match (low, high) {
            (None, None) => (self.start.clamp(self.least, self.most), LoadReason::First),
            (Some(low), None) => ((low * FACTOR).min(self.most), LoadReason::Above(low)),
            (None, Some(high)) => ((high / FACTOR).max(self.least), LoadReason::Below(high)),
            (Some(low), Some(high)) => ((low * high).sqrt(), LoadReason::Between(low, high)),
        };
        let load = self.rounded(load, why);
        // A load that rounds to an end of the bracket ends the search.
        if self.is_close(low, high) || !inside(load) {
            return Step::Done(Found {
                capacity: low,
                fails_at: high,
            });
        }
        Step::Measure { load, why }
    }

    /// The highest load that meets the limits below the lowest one that does not. A load that meets them above one that does not is
    /// not the capacity: see [`Search::contradictions`].
    pub fn bracket(&self, points: &[Point]) -> Found {
        let of = |outcome: Outcome| {
            let exhausted = outcome == Outcome::Fail;
            points.iter().filter(move |point| {
                point.outcome == outcome
                    || exhausted && point.outcome == Outcome::Undecided && !self.is_open(point)
            })
        };
        let high = of(Outcome::Fail)
            .map(|point| point.load)
            .min_by(f64::total_cmp);
        let met = of(Outcome::Pass).map(|point| point.load);
        let low = met
            .filter(|load| high.is_none_or(|high| *load < high))
            .max_by(f64::total_cmp);
        Found {
            capacity: low,
            fails_at: high,
        }
    }

    /// Undecided, and may be measured again.
    fn is_open(&self, point: &Point) -> bool {
        point.outcome == Outcome::Undecided && point.visits < self.most_visits
    }

    /// Loads that meet the limits above the lowest load that does not: chance, or a server that is not monotone.
    pub fn contradictions(&self, points: &[Point]) -> Vec<(f64, f64)> {
        let Some(high) = self.bracket(points).fails_at else {
            return Vec::new();
        };
        let above = points
            .iter()
            .filter(|point| point.outcome == Outcome::Pass && point.load > high);
        above.map(|point| (high, point.load)).collect()
    }

    fn is_close(&self, low: Option<f64>, high: Option<f64>) -> bool {
        match (low, high) {
            (Some(low), Some(high)) => {
                let step = match self.grain {
                    Grain::Whole => 1.0,
                    Grain::Real => 0.0,
                };
                high - low <= (self.precision * low).max(step)
            }
            (Some(low), None) => low >= self.most,
            (None, Some(high)) => high <= self.least,
            (None, None) => false,
        }
    }

    /// A load that can be sent and named, strictly inside its bracket.
    fn rounded(&self, load: f64, why: LoadReason) -> f64 {
        match (self.grain, why) {
            // Never an end of the bracket, for any rounding of the middle.
            (Grain::Whole, LoadReason::Between(low, high)) => {
                load.round().clamp(low + 1.0, (high - 1.0).max(low + 1.0))
            }
            (Grain::Whole, _) => load.floor().max(1.0),
            (Grain::Real, _) => significant(load),
        }
    }
}

/// Rounded to that many significant digits.
fn significant(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an exponent of ten")]
    let exponent = value.log10().floor() as i32;
    let places = DIGITS - 1 - exponent;
    // Dividing by a power of ten gives the shortest text; multiplying by a negative power does not.
    if places >= 0 {
        let scale = 10_f64.powi(places);
        (value * scale).round() / scale
    } else {
        let scale = 10_f64.powi(-places);
        (value / scale).round() * scale
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONCURRENCY: Search = Search {
        grain: Grain::Whole,
        start: 16.0,
        least: 1.0,
        most: 1024.0,
        precision: 0.05,
        most_visits: 3,
    };

    fn is_same(one: f64, other: f64) -> bool {
        one.total_cmp(&other).is_eq()
    }

    /// Runs the search on a server whose outcome `answer` computes from the load and the number of measurements.
    fn run(
        search: &Search,
        answer: impl Fn(f64, u32) -> Outcome,
    ) -> (Found, Vec<(f64, LoadReason)>) {
        let mut points: Vec<Point> = Vec::new();
        let mut measured = Vec::new();
        loop {
            match search.next(&points) {
                Step::Done(found) => return (found, measured),
                Step::Measure { load, why } => {
                    measured.push((load, why));
                    assert!(measured.len() < 500, "{measured:?}");
                    let visits = measured
                        .iter()
                        .filter(|(known, _)| is_same(*known, load))
                        .count();
                    let visits = u32::try_from(visits).unwrap();
                    points.retain(|point| !is_same(point.load, load));
                    points.push(Point {
                        load,
                        visits,
                        outcome: answer(load, visits),
                    });
                }
            }
        }
    }

    fn step(capacity: f64) -> impl Fn(f64, u32) -> Outcome {
        move |load, _| {
            if load <= capacity {
                Outcome::Pass
            } else {
                Outcome::Fail
            }
        }
    }

    /// The most measurements of a search with these settings: brackets plus bisections.
    fn bound(search: &Search) -> f64 {
        let bracket = (search.most / search.least).log2().ceil() + 2.0;
        let bisect = (FACTOR.ln() / search.precision.ln_1p()).log2().ceil() + 3.0;
        bracket + bisect
    }

    #[test]
    fn a_capacity_is_bracketed_by_doubling_and_then_bisected() {
        let (found, measured) = run(&CONCURRENCY, step(43.0));
        let loads: Vec<f64> = measured.iter().map(|(load, _)| *load).collect();
        assert_eq!(loads, [16.0, 32.0, 64.0, 45.0, 38.0, 41.0, 43.0]);
        assert_eq!(
            found,
            Found {
                capacity: Some(43.0),
                fails_at: Some(45.0)
            }
        );
    }

    #[test]
    fn a_server_that_always_meets_or_never_does_ends_at_the_edge() {
        let always = run(&CONCURRENCY, |_, _| Outcome::Pass).0;
        assert_eq!(
            always,
            Found {
                capacity: Some(1024.0),
                fails_at: None
            }
        );
        let never = run(&CONCURRENCY, |_, _| Outcome::Fail).0;
        assert_eq!(
            never,
            Found {
                capacity: None,
                fails_at: Some(1.0)
            }
        );
    }

    #[test]
    fn an_undecided_point_is_measured_again_up_to_the_bound_and_is_then_not_met() {
        let (found, measured) = run(&CONCURRENCY, |load, _| match load {
            load if load <= 16.0 => Outcome::Pass,
            load if load < 40.0 => Outcome::Undecided,
            _ => Outcome::Fail,
        });
        let again = measured
            .iter()
            .filter(|(load, _)| is_same(*load, 32.0))
            .count();
        assert_eq!(again, 3);
        assert_eq!(found.capacity, Some(16.0));
        // A point decided by another measurement counts with that outcome.
        let (found, _) = run(&CONCURRENCY, |load, visits| match (load, visits) {
            (load, 1) if load > 16.0 && load < 40.0 => Outcome::Undecided,
            (load, _) => step(30.0)(load, 1),
        });
        assert_eq!(found.capacity, Some(30.0));
    }

    #[test]
    fn a_load_that_meets_above_one_that_does_not_is_named_and_is_not_the_capacity() {
        let point = |load, outcome| Point {
            load,
            outcome,
            visits: 1,
        };
        let points = [
            point(8.0, Outcome::Pass),
            point(9.0, Outcome::Fail),
            point(32.0, Outcome::Pass),
        ];
        assert_eq!(CONCURRENCY.contradictions(&points), [(9.0, 32.0)]);
        let Step::Done(found) = CONCURRENCY.next(&points) else {
            panic!("8 and 9 are next to each other");
        };
        assert_eq!(found.capacity, Some(8.0));
    }

    #[test]
    fn rates_are_rounded_to_numbers_that_can_be_read() {
        let rounded: Vec<String> = [3.363_585_66, 1234.56, 98_765.4, 0.001_234_56]
            .map(|rate| significant(rate).to_string())
            .into();
        assert_eq!(rounded, ["3.364", "1235", "98770", "0.001235"]);
    }

    proptest! {
        #[test]
        fn the_search_finds_the_capacity_of_any_step_within_its_precision_and_bound(
            capacity in 0.5_f64..3000.0, start in 1.0_f64..1024.0, precision in 0.005_f64..0.5, whole: bool
        ) {
            let grain = if whole { Grain::Whole } else { Grain::Real };
            let search = Search { grain, start: if whole { start.floor() } else { start }, precision, ..CONCURRENCY };
            let (found, measured) = run(&search, step(capacity));
            #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
            let count = measured.len() as f64;
            prop_assert!(count <= bound(&search), "{count} measurements, bound {}", bound(&search));
            prop_assert!(measured.iter().all(|(load, _)| (1.0..=1024.0).contains(load)));
            match found {
                Found { capacity: Some(low), fails_at: Some(high) } => {
                    prop_assert!(low <= capacity && capacity < high);
                    let step = if whole { 1.0 } else { 0.0 };
                    prop_assert!(high - low <= (precision * low).max(step) + 1e-9);
                }
                Found { capacity: Some(low), fails_at: None } => prop_assert!(low >= 1024.0 && capacity >= 1024.0),
                Found { capacity: None, fails_at: Some(high) } => prop_assert!(high <= 1.0 && capacity < 1.0),
                Found { capacity: None, fails_at: None } => prop_assert!(false, "nothing was measured"),
            }
        }

        #[test]
        fn any_outcomes_end_the_search(seed in prop::collection::vec(0_u8..3, 64), whole: bool) {
            let grain = if whole { Grain::Whole } else { Grain::Real };
            let search = Search { grain, ..CONCURRENCY };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let (found, measured) = run(&search, |load, visits| {
                match seed[(load as usize * 7 + visits as usize) % seed.len()] {
                    0 => Outcome::Pass,
                    1 => Outcome::Fail,
                    _ => Outcome::Undecided,
                }
            });
            prop_assert!(found.capacity.or(found.fails_at).is_some());
            #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
            let count = measured.len() as f64;
            prop_assert!(count <= 3.0 * bound(&search));
        }
    }
}
