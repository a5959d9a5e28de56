//! What a comparison publishes of the rules that judged it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a rule's limit is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The merge is blocked.
    Block,
    /// The report says so; nothing is blocked.
    Warn,
    /// Blocks until an analysis report is given.
    Report,
}

/// Where something stands that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The file as it was given.
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
