//! The published part of the rules that judge a comparison.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a rule's limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The merge is blocked.
    Block,
    /// The report contains a warning; nothing is blocked.
    Warn,
    /// Blocks until an analysis report is given.
    Report,
}

/// File and line of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file, as given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// What an undecided comparison does after the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInconclusive {
    /// Passes with a warning where the estimate is below the limit, fails where it is not.
    #[default]
    Auto,
    /// Passes with a warning.
    Pass,
    /// Fails with exit code 3.
    Fail,
}
