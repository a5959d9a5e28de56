//! What holds of the repository itself: directions of dependency, schemas, the baseline that README uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perfgate::code::Code;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Module → what it may use of ours beside itself. Data flows one way; adapters never know each other.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("metric", &[]),
    ("code", &[]),
    ("exit", &[]),
    ("stats", &[]),
    ("workload", &[]),
    ("limits", &[]),
    ("json", &["limits"]),
    ("files", &["limits"]),
    ("hidden", &[]),
    ("secret", &[]),
    ("text", &["hidden"]),
    ("terminal", &["secret", "text"]),
    ("clock", &[]),
    ("http", &[]),
    ("priority", &[]),
    ("process_table", &[]),
    ("measure", &["metric", "stats", "record"]),
    (
        "record",
        &[
            "metric", "measure", "stats", "files", "secret", "json", "limits",
        ],
    ),
    ("sweep", &["metric", "stats", "record"]),
    ("mlperf", &["metric", "stats", "record"]),
    ("bisect", &["metric"]),
    ("compare", &["code", "metric", "stats", "record", "policy"]),
    (
        "policy",
        &[
            "code", "metric", "stats", "record", "sweep", "compare", "exit", "json", "limits",
        ],
    ),
    ("history", &["metric", "stats", "record", "compare"]),
    (
        "config",
        &["code", "metric", "workload", "policy", "json", "limits"],
    ),
    (
        "launch",
        &[
            "metric",
            "config",
            "record",
            "files",
            "secret",
            "text",
            "clock",
            "http",
            "process_table",
        ],
    ),
    (
        "load",
        &[
            "metric", "config", "record", "measure", "stats", "workload", "http", "priority",
            "secret",
        ],
    ),
    (
        "telemetry",
        &[
            "clock",
            "metric",
            "measure",
            "stats",
            "record",
            "http",
            "files",
            "process_table",
        ],
    ),
    ("starter", &["metric"]),
    (
        "baseline",
        &[
            "metric", "config", "record", "files", "clock", "http", "render",
        ],
    ),
    (
        "simulate",
        &["metric", "config", "stats", "clock", "priority"],
    ),
    (
        "publish",
        &[
            "policy", "exit", "files", "clock", "http", "render", "secret", "json", "limits",
        ],
    ),
    (
        "render",
        &[
            "code", "metric", "policy", "record", "stats", "config", "sweep", "mlperf", "bisect",
            "history", "hidden",
        ],
    ),
];

#[test]
fn modules_use_only_what_lies_before_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&root().join("src")) {
        let place = path.strip_prefix(root().join("src")).unwrap();
        let module = place
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| *name == module) else {
            continue;
        };
        // Tests at the foot of a file may use what they like.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for used in code.split("crate::").skip(1) {
            let used: String = used
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            if used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_reach_no_clock_no_files_and_no_network() {
    let pure = [
        "metric", "stats", "workload", "measure", "sweep", "mlperf", "bisect", "compare", "policy",
        "history", "starter",
    ];
    for (path, text) in pure
        .iter()
        .flat_map(|module| sources(&root().join("src").join(module)))
    {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for forbidden in [
            "std::fs",
            "std::env",
            "std::net",
            "std::time::Instant",
            "SystemTime",
            "tokio",
            "reqwest",
            "tracing::",
        ] {
            assert!(
                !code.contains(forbidden),
                "{} uses {forbidden}",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    for (path, text) in sources(&root().join("src"))
        .into_iter()
        .chain(sources(&root().join("tests")))
    {
        assert!(
            text.lines().count() <= 600,
            "{} has {} lines",
            path.display(),
            text.lines().count()
        );
    }
}

#[test]
fn the_committed_schemas_are_those_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::run(folder.path(), &["schema", "--output", "schemas"]).expect(0);
    for entry in root().join("schemas").read_dir().unwrap() {
        let committed = entry.unwrap().path();
        let made = folder
            .path()
            .join("schemas")
            .join(committed.file_name().unwrap());
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert!(
            read(&committed) == read(&made),
            "{} is old: run `perfgate schema --output schemas`",
            committed.display()
        );
    }
}

#[test]
fn the_documentation_has_a_heading_for_each_code() {
    let page = std::fs::read_to_string(root().join("docs/reference/warnings.md")).unwrap();
    let headings: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(headings, codes);
}

#[test]
fn the_files_of_the_demonstration_are_valid() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    perfgate::config::read_plan("perfgate.yaml", &read("perfgate.yaml")).unwrap();
    let mut policy =
        perfgate::config::read_policy("thresholds.yaml", &read("thresholds.yaml")).unwrap();
    // A standard rule stands in no file.
    for rule in &mut policy.rules {
        rule.place = None;
    }
    assert_eq!(policy, perfgate::policy::rule::Policy::standard());
    perfgate::record::load(&root().join("baselines/demo/simulated-gpu-80gb.json")).unwrap();
}
