//! The error probabilities of a search: of a wrong step, of a wrong end, and of naming the wrong commit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper bounds of the error probabilities of one search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sureness {
    /// Of a wrong step, for a commit outside the indifference zone.
    pub step_error: f64,
    /// Steps that decided.
    pub steps: u32,
    /// Of any wrong step: 1 − (1 − step error)^steps.
    pub astray: f64,
    /// Of naming a commit without a relevant regression: the confirmation, which uses new evidence, must be wrong too.
    pub wrong_name: f64,
}

impl Sureness {
    /// The bounds of a search with this step error.
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

/// Approximate number of steps of a search among that many commits.
pub fn steps_for(commits: usize) -> u32 {
    commits.max(1).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_steps_at_the_gates_level_would_be_wrong_one_time_in_eight() {
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
