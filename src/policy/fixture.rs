//! Runs for the tests of this module.

use crate::record::{self, Run};

/// A run on an H100 with these repeats, each as JSON.
pub(super) fn run_of(repeats: &[String]) -> Run {
    let json = format!(
        r#"{{"schema":"perfgate.result/1","environment":{{"gpus":[{{"name":"H100"}}]}},"workload":{{"digest":"sha256:a"}},
            "scenarios":[{{"name":"concurrency=64","repeats":[{}]}}]}}"#,
        repeats.join(",")
    );
    record::parse("test.json", json.as_bytes()).unwrap()
}
