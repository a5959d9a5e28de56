//! `perfgate.bisect/1`: the frozen format of the result of a search, with all its steps and its error probabilities. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::report::price::Price;

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.bisect/1";

/// The end of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BisectOutcome {
    /// One commit, confirmed against its parent.
    Found,
    /// The search ended at one commit, but it is not beyond a limit against its parent.
    NotConfirmed,
    /// Several commits are left, because some could not be judged.
    Several,
}

/// The purpose of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The good end against itself.
    GoodEnd,
    /// The bad end against the good one.
    BadEnd,
    /// A commit of the search against the good end.
    Search,
    /// The commit found against its parent.
    Confirmation,
}

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// No regression beyond a limit.
    Good,
    /// A regression beyond a limit.
    Bad,
    /// The evidence does not decide.
    Undecided,
    /// Its build failed.
    BuildFailed,
    /// Its server did not start or did not keep running.
    TargetFailed,
    /// It has no readable configuration.
    NoConfiguration,
}

impl StepOutcome {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Undecided => "undecided",
            Self::BuildFailed => "build fails",
            Self::TargetFailed => "does not serve",
            Self::NoConfiguration => "no configuration",
        }
    }
}

/// A commit, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commit {
    /// Full object name.
    pub id: String,
    /// Who wrote it; foreign text.
    pub author: String,
    /// First line of its message; foreign text.
    pub subject: String,
}

impl Commit {
    /// The first characters of its name.
    pub fn short(&self) -> &str {
        self.id.get(..10).unwrap_or(&self.id)
    }
}

/// The change that decided a step; positive is worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepChange {
    /// Which metric.
    pub metric: Metric,
    /// In which scenario.
    pub scenario: String,
    /// The estimate, 0.08 for 8 % worse.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Two-sided confidence of the interval.
    pub confidence: f64,
}

/// One judged commit and its cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The purpose.
    pub role: Role,
    /// The commit.
    pub commit: Commit,
    /// What it was compared with: a commit, an image or a file; foreign text.
    pub against: String,
    /// The outcome.
    pub answer: StepOutcome,
    /// The reason, in a sentence.
    pub reason: String,
    /// The change that decided it; absent where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<StepChange>,
    /// Wall time of building and measuring.
    pub seconds: f64,
    /// Servers that were started.
    pub server_starts: u32,
    /// What its measurements cost, without the build; absent where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Whether its stored result was reused.
    pub reused: bool,
}

/// The cost of the whole search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Wall time of building and measuring.
    pub seconds: f64,
    /// Servers that were started.
    pub server_starts: u32,
    /// What the measurements cost; absent where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl Cost {
    /// The cost of these steps; reused results cost nothing.
    pub fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        steps
            .filter(|step| !step.reused)
            .fold(Self::default(), |sum, step| Self {
                seconds: sum.seconds + step.seconds,
                server_starts: sum.server_starts + step.server_starts,
                price: Price::both(sum.price, step.price),
            })
    }
}

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BisectReport {
    /// `perfgate.bisect/1`.
    pub schema: String,
    /// Its end.
    pub outcome: BisectOutcome,
    /// The good end.
    pub good: Commit,
    /// The bad end.
    pub bad: Commit,
    /// The commit at which it ended; absent if several are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Whether that commit is a merge. Unless only first parents were followed, no single change on either side is guilty.
    #[serde(default)]
    pub is_merge: bool,
    /// Full object names of its parents; the first one is the parent that it was compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// Whether only first parents were followed, so that merged commits were not judged separately.
    #[serde(default)]
    pub first_parent: bool,
    /// The commits that remain, if several are left; one of them is guilty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Commit>,
    /// Both ends and every step in their order, the confirmation last.
    pub steps: Vec<Step>,
    /// The cost of all steps.
    pub cost: Cost,
    /// Its error probabilities.
    pub sureness: Sureness,
}

impl BisectReport {
    /// Whether the bad end does not serve, so that the search is for the commit that broke the server start.
    pub fn is_for_the_start(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.role == Role::BadEnd && step.answer == StepOutcome::TargetFailed)
    }

    /// The confirmation, if any.
    pub fn confirmation(&self) -> Option<&Step> {
        let mut steps = self.steps.iter().rev();
        steps.find(|step| step.role == Role::Confirmation)
    }
}

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
