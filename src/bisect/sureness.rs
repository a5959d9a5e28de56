//! How often a search of so many steps goes astray, and how often it then names somebody all the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the errors of one search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sureness {
    /// Probability, at most, that one step is wrong about a commit outside of the zone around its limit.
    pub step_error: f64,
    /// Steps that decided.
    pub steps: u32,
    /// Probability, at most, that any of them is wrong: 1 − (1 − step error)^steps.
    pub astray: f64,
    /// Probability, at most, that a commit is named which changes nothing that matters: it must pass for guilty in the
    /// confirmation, whose evidence is its own.
    pub wrong_name: f64,
}

impl Sureness {
    /// Of a search whose steps are wrong that often.
    pub fn of(step_error: f64, steps: u32) -> Self {
        let right = 1.0 - step_error;
        Self {
            step_error,
            steps,
            astray: 1.0 - right.powf(f64::from(steps)),
            wrong_name: step_error,
        }
    }
}

/// Steps that a search among so many commits takes, about.
pub fn steps_for(commits: usize) -> u32 {
    commits.max(1).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_steps_at_the_gates_level_would_go_astray_one_time_in_eight() {
        assert!((Sureness::of(0.02, 7).astray - 0.132).abs() < 1e-3);
        assert!((Sureness::of(0.001, 7).astray - 0.007).abs() < 1e-4);
        assert!(Sureness::of(0.001, 0).astray.abs() < 1e-12);
    }

    #[test]
    fn the_steps_of_a_search_are_the_logarithm_of_its_commits() {
        let steps = [0, 1, 2, 3, 40, 64, 65].map(steps_for);
        assert_eq!(steps, [0, 0, 1, 2, 6, 6, 7]);
    }
}
