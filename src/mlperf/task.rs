//! The tasks and their limits.

use serde::{Deserialize, Serialize};

/// Limits of a query at the percentile, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Limits {
    /// Time to first token.
    pub ttft: f64,
    /// Time per output token after the first.
    pub tpot: f64,
}

/// One task of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// Its name, `llama2-70b`.
    pub name: &'static str,
    /// Samples of its data set that a run draws from; the fewest for Offline.
    pub samples: u64,
    /// Limits of the Server scenario.
    pub server: Limits,
    /// Limits of the Interactive scenario, where the task has one.
    pub interactive: Option<Limits>,
}

const fn limits(ttft: f64, tpot: f64) -> Limits {
    Limits { ttft, tpot }
}

/// The tasks, with the limits of `loadgen/mlperf.conf` and `inference_rules.adoc` of MLCommons as of July 2026.
pub const TASKS: [Task; 6] = [
    Task {
        name: "llama2-70b",
        samples: 24_576,
        server: limits(2.0, 0.2),
        interactive: Some(limits(0.45, 0.04)),
    },
    Task {
        name: "mixtral-8x7b",
        samples: 15_000,
        server: limits(2.0, 0.2),
        interactive: None,
    },
    Task {
        name: "llama3.1-405b",
        samples: 8_313,
        server: limits(6.0, 0.175),
        interactive: Some(limits(4.5, 0.08)),
    },
    Task {
        name: "llama3.1-8b",
        samples: 13_368,
        server: limits(2.0, 0.1),
        interactive: Some(limits(0.5, 0.03)),
    },
    Task {
        name: "deepseek-r1",
        samples: 4_388,
        server: limits(2.0, 0.08),
        interactive: Some(limits(1.5, 0.015)),
    },
    Task {
        name: "gpt-oss-120b",
        samples: 6_396,
        server: limits(3.0, 0.08),
        interactive: Some(limits(2.0, 0.015)),
    },
];

impl Task {
    /// The task of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TASKS.iter().find(|task| task.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_found_by_its_name_and_interactive_is_the_stricter_one() {
        for task in &TASKS {
            assert_eq!(Task::named(task.name), Some(task));
            let stricter =
                |limits: Limits| limits.ttft < task.server.ttft && limits.tpot < task.server.tpot;
            assert!(task.interactive.is_none_or(stricter), "{}", task.name);
        }
    }
}
