//! What holds of the repository itself: lengths of files, schemas, the baseline that README uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use perfgate::code::Code;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder with its text.
pub(crate) fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
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
    // The standard rules come from no file.
    for rule in &mut policy.rules {
        rule.place = None;
    }
    assert_eq!(policy, perfgate::policy::rule::Policy::standard());
    perfgate::record::load(&root().join("baselines/demo/simulated-gpu-80gb.json")).unwrap();
}
