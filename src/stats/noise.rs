//! The noise of a metric, learnt from the ledger (`docs/concepts/mathematics.md`, "Noise"): empirical Bayes.
//!
//! Three repeats of one session give a poor estimate of its noise; thirty accepted sessions give a good one.

use std::collections::BTreeSet;

use statrs::function::gamma::digamma;

use super::huber::huber_location;
use super::number;
use super::quantile::{mean, median};
use super::trigamma::{inverse_trigamma, trigamma};

/// The fewest sessions for learning the noise; with fewer it is assumed.
pub const FEWEST_SESSIONS: usize = 5;

/// The most sessions used; older ones are ignored.
pub const MOST_SESSIONS: usize = 30;

/// Repeats further than this many deviations from their session are clipped before the noise is learnt.
const WINSORISE_AT: f64 = 4.0;

/// A median absolute deviation times this is a standard deviation, for normal values.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// The largest weight of the ledger in repeats (ν₀): noise changes from day to day.
const MOST_DEGREES: f64 = 20.0;

/// Smallest noise of one start: repeats that are equal to the last digit are copies or rounded.
const LEAST_NOISE: f64 = 1e-4;

/// Smallest noise between hosts or days as a share of s₀, because only a few differences are known.
const LEAST_HOST_SHARE: f64 = 0.25;

/// The prior noise, before today's repeats, as standard deviations of logs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Between repeats of one session (s₀).
    pub repeat: f64,
    /// Degrees of freedom of `repeat` (ν₀).
    pub degrees_of_freedom: f64,
    /// Between hosts or days (τ), shared by all repeats of one session.
    pub host: f64,
    /// Sessions of the ledger that it was learnt from (H); 0 if it is assumed.
    pub sessions: u32,
}

impl Noise {
    /// Without a ledger: 2 % between repeats with the weight of one repeat, and half of it between hosts.
    pub const ASSUMED: Self = Self {
        repeat: 0.02,
        degrees_of_freedom: 1.0,
        host: 0.01,
        sessions: 0,
    };

    /// The same for a metric whose only noise is rounding to steps of this relative size (memory).
    pub fn of_rounding(step: f64) -> Self {
        Self {
            repeat: rounding(step),
            host: rounding(step) / 2.0,
            ..Self::ASSUMED
        }
    }

    /// Whether it comes from a ledger.
    pub fn is_learnt(&self) -> bool {
        self.sessions > 0
    }

    /// Learns from the logs of accepted sessions, oldest first; the last 30 count. The metric is reported in steps of the relative size
    /// `step`, and the noise is at least that of rounding, so that a constant metric does not have zero variance.
    ///
    /// `None` for fewer than [`FEWEST_SESSIONS`] sessions with at least two values.
    pub fn learn(sessions: &[Vec<f64>], step: f64) -> Option<Self> {
        let recent = &sessions[sessions.len().saturating_sub(MOST_SESSIONS)..];
        let sessions: Vec<Vec<f64>> = winsorised(recent)
            .into_iter()
            .filter(|session| session.len() >= 2)
            .collect();
        if sessions.len() < FEWEST_SESSIONS {
            return None;
        }
        let least = LEAST_NOISE.max(rounding(step));
        let (variance, degrees_of_freedom) = moderated(&sessions, least)?;
        Some(Self {
            repeat: variance.sqrt(),
            degrees_of_freedom,
            host: host_variance(&sessions, variance)?.sqrt(),
            sessions: u32::try_from(sessions.len()).unwrap_or(u32::MAX),
        })
    }
}

/// Standard deviation of a value that is uniform within one step.
fn rounding(step: f64) -> f64 {
    step / 12.0_f64.sqrt()
}

/// A ledger of so many sessions …
const FLEET_SESSIONS: usize = 8;

/// … from so many hosts contains how much hosts differ.
const FLEET_HOSTS: usize = 5;

/// Sessions of a host that make it known.
const SESSIONS_OF_KNOWN_HOST: usize = 3;

/// Whether the noise between the stored baseline's host and today's is known. Without a ledger both must be the same host; a ledger
/// must have three sessions of each, or be of a fleet.
pub fn is_host_known<Host: Ord>(
    noise: &Noise,
    of_sessions: &[Host],
    of_baseline: &Host,
    todays: &Host,
) -> bool {
    if !noise.is_learnt() {
        return of_baseline == todays;
    }
    let hosts: BTreeSet<&Host> = of_sessions.iter().collect();
    let is_fleet = of_sessions.len() >= FLEET_SESSIONS && hosts.len() >= FLEET_HOSTS;
    let is_known = |host: &Host| {
        let own = of_sessions.iter().filter(|other| *other == host);
        own.count() >= SESSIONS_OF_KNOWN_HOST
    };
    is_fleet || (is_known(of_baseline) && is_known(todays))
}

/// s₀² and ν₀ of Smyth's moderated variance (2004, Statistical Applications in Genetics and Molecular Biology 3:3).
fn moderated(sessions: &[Vec<f64>], least: f64) -> Option<(f64, f64)> {
    let mut centred = Vec::new();
    let mut sampling = Vec::new();
    for session in sessions {
        let degrees = number(session.len() as u64) - 1.0;
        let variance = (squares_about_mean(session)? / degrees).max(least.powi(2));
        centred.push(variance.ln() - digamma(degrees / 2.0) + (degrees / 2.0).ln());
        sampling.push(trigamma(degrees / 2.0));
    }
    let centre = mean(&centred)?;
    let spread = squares_about_mean(&centred)? / (number(centred.len() as u64) - 1.0);
    let excess = spread - mean(&sampling)?;
    let degrees = if excess > 0.0 {
        (2.0 * inverse_trigamma(excess)).min(MOST_DEGREES)
    } else {
        MOST_DEGREES
    };
    let variance = (centre + digamma(degrees / 2.0) - (degrees / 2.0).ln()).exp();
    Some((variance.max(least.powi(2)), degrees))
}

/// τ² from differences of successive sessions, by a MAD: one real step of the main branch is not noise.
fn host_variance(sessions: &[Vec<f64>], repeat_variance: f64) -> Option<f64> {
    let scale = repeat_variance.sqrt();
    let locations: Vec<f64> = sessions
        .iter()
        .filter_map(|session| huber_location(session, scale))
        .collect();
    let differences: Vec<f64> = locations
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).abs())
        .collect();
    let deviation = MAD_TO_DEVIATION * median(&differences)?;
    let inverse_sizes: Vec<f64> = sessions
        .iter()
        .map(|session| 1.0 / number(session.len() as u64))
        .collect();
    let of_repeats = 2.0 * repeat_variance * mean(&inverse_sizes)?;
    let between = (deviation.powi(2) - of_repeats) / 2.0;
    Some(between.max((LEAST_HOST_SHARE * scale).powi(2)))
}

/// Repeats further than [`WINSORISE_AT`] deviations from their session's median are set to that distance.
fn winsorised(sessions: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut distances: Vec<f64> = Vec::new();
    for session in sessions {
        let Some(centre) = median(session) else {
            continue;
        };
        let mut own: Vec<f64> = session.iter().map(|value| (value - centre).abs()).collect();
        own.sort_by(f64::total_cmp);
        // For an odd number of values the median is one of them: its distance is zero by construction and is left out.
        distances.extend_from_slice(&own[own.len() % 2..]);
    }
    let Some(deviation) = median(&distances).filter(|deviation| *deviation > 0.0) else {
        return sessions.to_vec();
    };
    let most = WINSORISE_AT * MAD_TO_DEVIATION * deviation;
    let drawn_in = |session: &Vec<f64>| {
        let centre = median(session).unwrap_or(0.0);
        session
            .iter()
            .map(|value| value.clamp(centre - most, centre + most))
            .collect()
    };
    sessions.iter().map(drawn_in).collect()
}

pub(super) fn squares_about_mean(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(count: usize) -> Vec<Vec<f64>> {
        (0..count)
            .map(|session| vec![0.001 * number(session as u64 % 3), 0.010, -0.010])
            .collect()
    }

    #[test]
    fn fewer_than_five_sessions_are_not_enough_to_learn_from() {
        assert_eq!(Noise::learn(&quiet(4), 0.0), None);
        assert!(Noise::learn(&quiet(5), 0.0).is_some());
        let single = vec![vec![1.0]; 20];
        assert_eq!(Noise::learn(&single, 0.0), None, "one repeat has no spread");
    }

    #[test]
    fn old_sessions_are_ignored() {
        let mut sessions = vec![vec![-1.0, 0.0, 1.0]; 20];
        sessions.extend(quiet(MOST_SESSIONS));
        assert_eq!(
            Noise::learn(&sessions, 0.0),
            Noise::learn(&quiet(MOST_SESSIONS), 0.0)
        );
    }

    #[test]
    fn one_outlier_and_one_step_of_main_are_not_taken_for_noise() {
        let plain = Noise::learn(&quiet(20), 0.0).unwrap();
        let mut sessions = quiet(20);
        sessions[3][0] += 0.5;
        for later in &mut sessions[10..] {
            for value in later.iter_mut() {
                *value += 0.3;
            }
        }
        let learnt = Noise::learn(&sessions, 0.0).unwrap();
        assert!(learnt.repeat < 1.5 * plain.repeat, "{learnt:?} {plain:?}");
        assert!(learnt.host < 2.0 * plain.host, "{learnt:?} {plain:?}");
    }

    #[test]
    fn constant_sessions_are_floored_at_the_resolution() {
        let learnt = Noise::learn(&vec![vec![0.5; 3]; 10], 1e-4).unwrap();
        assert!(learnt.repeat >= 1e-4 && learnt.repeat.is_finite() && learnt.host > 0.0);
    }
}
