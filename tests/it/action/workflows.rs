//! The workflows of the examples, of the pages and of this repository: that they fit the action and each other.

use std::path::PathBuf;

use serde_json::Value;

use super::{action, yaml};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> (String, Value) {
    let text = std::fs::read_to_string(root().join("examples/workflows").join(name)).unwrap();
    let workflow = yaml::read(&text);
    (text, workflow)
}

/// All workflows of the examples and of this repository.
fn workflows() -> Vec<(PathBuf, Value)> {
    let folders = [".github/workflows", "examples/workflows"].map(|folder| root().join(folder));
    let files = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    files
        .map(|file| file.unwrap().path())
        .map(|path| {
            let workflow = yaml::read(&std::fs::read_to_string(&path).unwrap());
            (path, workflow)
        })
        .collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &[Value])> {
    let jobs = workflow["jobs"].as_object().unwrap().iter();
    jobs.map(|(name, job)| {
        let steps = job["steps"].as_array().map_or(&[][..], Vec::as_slice);
        (name, steps)
    })
}

fn uses(step: &Value, prefix: &str) -> bool {
    let uses = step["uses"].as_str();
    uses.is_some_and(|uses| uses.starts_with(prefix))
}

/// The bar is read from where the change branched off: in a clone of the last commit alone every gate would end with 6.
#[test]
fn every_workflow_that_measures_what_it_checked_out_fetches_the_history() {
    let gates = |step: &Value| {
        let action = uses(step, "./") || uses(step, "OWNER/perfgate@");
        action && step["with"]["command"].as_str().unwrap_or("gate") == "gate"
    };
    let mut measuring = 0;
    for (path, workflow) in workflows() {
        for (name, steps) in jobs(&workflow) {
            let checkout = steps.iter().find(|step| uses(step, "actions/checkout@"));
            if let (Some(checkout), true) = (checkout, steps.iter().any(gates)) {
                measuring += 1;
                let depth = &checkout["with"]["fetch-depth"];
                assert_eq!(depth, "0", "{}: {name}", path.display());
            }
        }
    }
    assert!(measuring >= 2, "{measuring}");
}

/// Merging what it proposes is a push to the branch that it measures.
#[test]
fn a_workflow_that_proposes_baselines_is_not_started_by_its_own_proposal() {
    let mut proposing = 0;
    for (path, workflow) in workflows() {
        let proposes = |step: &Value| {
            let script = step["run"].as_str().unwrap_or("");
            script.contains("git add -- baselines")
        };
        let is_proposing = jobs(&workflow).any(|(_, steps)| steps.iter().any(proposes));
        if let (true, Some(push)) = (is_proposing, workflow["on"].get("push")) {
            proposing += 1;
            let ignored = &push["paths-ignore"];
            assert_eq!(*ignored, serde_json::json!(["baselines/**"]), "{path:?}");
        }
    }
    assert!(proposing >= 1, "{proposing}");
}

/// A status that nobody writes blocks: where paths were left out, a change of those alone could never be merged.
#[test]
fn the_workflow_of_the_required_status_leaves_out_no_paths() {
    for (path, workflow) in workflows() {
        if workflow["name"] == "perfgate" {
            for (event, filter) in workflow["on"].as_object().unwrap() {
                for key in ["paths", "paths-ignore"] {
                    assert!(filter.get(key).is_none(), "{path:?}: {event}");
                }
            }
        }
    }
}

#[test]
fn the_workflows_after_the_gate_take_what_the_gate_leaves() {
    let artifact = action()["inputs"]["artifact-name"]["default"].clone();
    let artifact = format!("{}-comparison", artifact.as_str().unwrap());
    let (_, gate) = example("perfgate.yml");
    let (label, _) = example("perfgate-label.yml");
    assert!(label.contains("--workflow perfgate.yml "), "{label}");
    assert!(label.contains(&format!("--name {artifact} ")), "{label}");
    let (comment, of_run) = example("perfgate-comment.yml");
    let after = &of_run["on"]["workflow_run"]["workflows"];
    assert_eq!(*after, serde_json::json!([gate["name"]]));
    assert!(
        comment.contains(&format!("?name={artifact}\"")),
        "{comment}"
    );
    let accepted = action()["inputs"]["accept-label"]["default"].clone();
    let accepted = format!("label.name == '{}'", accepted.as_str().unwrap());
    assert!(label.contains(&accepted), "{label}");
}

/// The YAML of a page, block by block.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let blocks = text.split("\n```yaml\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap().to_owned())
        .collect()
}

/// The page that shows the workflow.
const PAGE: &str = "docs/reference/action.md";

#[test]
fn the_workflow_that_the_page_shows_is_that_of_the_examples() {
    let (_, gate) = example("perfgate.yml");
    let shown = blocks(PAGE).into_iter().map(|block| yaml::read(&block));
    let shown: Vec<Value> = shown.filter(|block| block.get("jobs").is_some()).collect();
    assert_eq!(shown.len(), 1, "{PAGE}");
    for key in ["name", "permissions", "jobs"] {
        assert_eq!(shown[0][key], gate[key], "{PAGE}: {key}");
    }
}

/// A job that is not tested is not a recipe: other pages show parts of steps, and link to the examples for whole workflows.
#[test]
fn no_other_page_shows_a_workflow_of_its_own() {
    let folders = ["docs/guides", "docs/concepts", "docs/reference"].into_iter();
    let entries = folders.flat_map(|folder| {
        let names = std::fs::read_dir(root().join(folder)).unwrap();
        names.map(move |entry| format!("{folder}/{}", entry.unwrap().file_name().display()))
    });
    for page in entries.chain(["README.md".to_owned()]) {
        if page == PAGE {
            continue;
        }
        for block in blocks(&page) {
            let is_workflow = block.lines().any(|line| line == "jobs:" || line == "on:");
            assert!(!is_workflow, "{page}: {block}");
        }
    }
}
