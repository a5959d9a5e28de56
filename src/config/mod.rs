//! Parses `perfgate.yaml` and `thresholds.yaml` into valid types and reports every problem at once.

mod address;
mod arguments;
mod extra_body;
mod fields;
mod headers;
mod node;
mod plan;
mod problem;
mod question;
mod read_dataset;
mod read_docker;
mod read_extras;
mod read_framework;
mod read_load;
mod read_plan;
mod read_policy;
mod read_server;
pub mod schema;
mod secret;
mod unit;
mod yaml;

pub use crate::text::name::{is_safe_name, safe_name};
pub use address::{ServerUrl, WrongUrl, is_of_this_machine};
pub use arguments::option_value;
pub use extra_body::{
    ExtraBody, STREAM_OPTIONS, WrongExtraBody, check_extra_body, extra_body_of, usage_per_chunk,
};
pub use headers::{Headers, WrongHeader};
pub use plan::*;
pub use problem::{Code, ConfigProblem, Problems};
pub use question::{CombinedPlan, combine};
pub use read_plan::read_plan;
pub use read_policy::read_policy;
pub use read_server::SIMULATOR_OPTIONS;

use crate::report::price::Budget;

/// A duration from the command line, `250ms`.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    unit::duration(text).map_err(unit::UnitError::in_words)
}

/// A size from the command line, `8GiB`, in bytes.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    unit::bytes(text).map_err(unit::UnitError::in_words)
}

/// A percentage from the command line, `5%`, as a ratio.
pub fn parse_percentage(text: &str) -> Result<f64, String> {
    unit::percentage(text).map_err(unit::UnitError::in_words)
}

/// A budget from the command line, `0.5gpu-h` or `20m`.
pub fn parse_budget(text: &str) -> Result<Budget, String> {
    unit::budget(text).map_err(unit::UnitError::in_words)
}

/// GPUs from the command line: `all`, `none`, `2`, or ids as in `0,1`.
pub fn parse_gpus(text: &str) -> Result<GpuRequest, String> {
    read_docker::gpus(text)
        .or_else(|| read_docker::gpu_ids(text))
        .ok_or_else(|| "write all, none, a number of GPUs, or ids as in 0,1".to_owned())
}

/// A data set from the command line: `synthetic` or a path.
pub fn dataset_named(name: &str) -> Dataset {
    read_dataset::dataset_named(name.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_plan_or_a_list_of_problems(text in "([a-z_]{1,8}: ?|- |\\{|\\}|\\[|\\]|\n|  |[0-9.]{1,3}|\"|&a |\\*a|---|!t |A_KEY|=|://|@|\t|env: |\\PC){0,40}") {
            if let Err(problems) = read_plan("perfgate.yaml", &text) {
                prop_assert!(!problems.problems.is_empty());
                let _ = problems.to_string();
            }
            if let Err(problems) = read_policy("thresholds.yaml", &text) {
                prop_assert!(!problems.problems.is_empty());
                let _ = problems.to_string();
            }
        }
    }
}
