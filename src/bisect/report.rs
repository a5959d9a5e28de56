//! `perfgate.bisect/1`: what a search found, with every step that it took.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sureness::Sureness;
use crate::metric::Metric;

/// The value of `schema` that this version writes.
pub const SCHEMA: &str = "perfgate.bisect/1";

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BisectOutcome {
    /// One commit, confirmed against its parent.
    Found,
    /// The search ended at one commit, and measured against its parent it is not beyond a limit.
    NotConfirmed,
    /// Commits that could not be judged leave several.
    Several,
}

/// What was measured for what.
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

/// What a step said of its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// No regression beyond a limit.
    Good,
    /// A regression beyond a limit.
    Bad,
    /// The evidence does not decide.
    Undecided,
    /// It was not built.
    BuildFailed,
    /// Its server did not start, or did not last.
    TargetFailed,
    /// It has no configuration that can be read.
    NoConfiguration,
}

impl StepOutcome {
    /// As people read it.
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

/// A commit as people know it.
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

/// One commit that was judged, and what that cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What for.
    pub role: Role,
    /// Which commit.
    pub commit: Commit,
    /// With what it was compared: a commit, an image or a file; foreign text.
    pub against: String,
    /// What came of it.
    pub answer: StepOutcome,
    /// Why, in a sentence.
    pub reason: String,
    /// The change that decided it; absent where nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<StepChange>,
    /// Wall time of building and measuring.
    pub seconds: f64,
    /// Servers that were started.
    pub server_starts: u32,
    /// Whether it was measured earlier and only asked again.
    pub reused: bool,
}

/// What the whole search cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Wall time of building and measuring.
    pub seconds: f64,
    /// Servers that were started.
    pub server_starts: u32,
}

impl Cost {
    /// Of those steps; what was only asked again had been paid before.
    pub fn of<'a>(steps: impl Iterator<Item = &'a Step>) -> Self {
        steps
            .filter(|step| !step.reused)
            .fold(Self::default(), |sum, step| Self {
                seconds: sum.seconds + step.seconds,
                server_starts: sum.server_starts + step.server_starts,
            })
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BisectReport {
    /// `perfgate.bisect/1`.
    pub schema: String,
    /// How it ended.
    pub outcome: BisectOutcome,
    /// Where it began.
    pub good: Commit,
    /// Where it ended.
    pub bad: Commit,
    /// The commit at which it ended; absent where several are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// Whether that one is a merge. Unless only first parents were followed, no single change on either side is guilty.
    #[serde(default)]
    pub is_merge: bool,
    /// Full names of its parents, the one that it was compared with first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// Whether only first parents were followed, so that nothing that a merge brought was judged by itself.
    #[serde(default)]
    pub first_parent: bool,
    /// The commits among which the guilty one is, where several are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Commit>,
    /// Both ends and every step in their order, the confirmation last.
    pub steps: Vec<Step>,
    /// What all of them cost.
    pub cost: Cost,
    /// How sure it is.
    pub sureness: Sureness,
}

impl BisectReport {
    /// Whether the bad end does not serve, so that what broke the start is searched for.
    pub fn is_for_the_start(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.role == Role::BadEnd && step.answer == StepOutcome::TargetFailed)
    }

    /// The confirmation, where there was one.
    pub fn confirmation(&self) -> Option<&Step> {
        let mut steps = self.steps.iter().rev();
        steps.find(|step| step.role == Role::Confirmation)
    }
}
