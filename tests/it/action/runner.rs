//! The steps of action.yml one after the other, as a runner of GitHub Actions runs them: the same shell, files and
//! variables, nothing else inherited. It knows the few expressions that the action uses, and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::yaml;
use crate::support::{program, wait_until, write};

/// A workspace, the runner's own folder, and the action.
pub(super) struct Runner {
    folder: tempfile::TempDir,
    /// Where the action stands.
    pub(super) action: PathBuf,
    /// The repository of the action, as `github.action_repository` names it; empty for `uses: ./`.
    pub(super) repository: &'static str,
    /// What the job's environment has beside the runner's own.
    pub(super) environment: Vec<(String, String)>,
    /// The job is cancelled in this step, once that file is in the workspace.
    pub(super) cancelled_at: Option<(&'static str, &'static str)>,
}

/// What came of a job.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// Exit code of each `run` step that was not skipped, by the step's id.
    pub(super) codes: BTreeMap<String, i32>,
    /// Everything that the steps printed.
    pub(super) log: String,
    /// Outputs of the action.
    pub(super) outputs: BTreeMap<String, String>,
    /// What `uses` steps were handed, with the action as `uses`.
    pub(super) used: Vec<BTreeMap<String, String>>,
    /// Whether the step that uses the action fails.
    pub(super) failed: bool,
    repository: &'static str,
    steps: BTreeMap<String, BTreeMap<String, String>>,
}

impl Runner {
    /// With the binary under test on the PATH.
    pub(super) fn new() -> Self {
        let runner = Self {
            folder: tempfile::tempdir().unwrap(),
            action: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
            repository: "me/perfgate",
            // What the action does with a verdict needs no clock.
            environment: vec![("PERFGATE_SCRIPT".to_owned(), "{}".to_owned())],
            cancelled_at: None,
        };
        for folder in ["workspace", "temporary", "bin"] {
            std::fs::create_dir(runner.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(program(), runner.path().join("bin/perfgate")).unwrap();
        runner
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.path().join("workspace")
    }

    /// A program of this name on the PATH, before all others.
    pub(super) fn put_program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path().join("bin").join(name);
        let _none_before = std::fs::remove_file(&path);
        write(
            &self.path().join("bin"),
            name,
            &format!("#!/bin/bash\n{script}\n"),
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The whole action with these inputs.
    pub(super) fn run(&self, given: &[(&str, &str)]) -> Job {
        let action = yaml::read(&std::fs::read_to_string(self.action.join("action.yml")).unwrap());
        let mut inputs = BTreeMap::new();
        let mut job = Job {
            repository: self.repository,
            ..Job::default()
        };
        for (name, input) in action["inputs"].as_object().unwrap() {
            let given = given.iter().find(|(given, _)| given == name);
            let usual = || evaluate(input["default"].as_str().unwrap_or(""), &inputs, &job);
            let value = given.map_or_else(usual, |(_, value)| (*value).to_owned());
            inputs.insert(name.clone(), value);
        }
        for (name, _) in given {
            assert!(inputs.contains_key(*name), "the action has no input {name}");
        }
        for step in action["runs"]["steps"].as_array().unwrap() {
            self.step(step, &inputs, &mut job);
        }
        for (name, output) in action["outputs"].as_object().unwrap() {
            let value = evaluate(output["value"].as_str().unwrap(), &inputs, &job);
            job.outputs.insert(name.clone(), value);
        }
        job
    }

    fn step(&self, step: &Value, inputs: &BTreeMap<String, String>, job: &mut Job) {
        let condition = step["if"].as_str().unwrap_or("success()");
        if !holds(condition, inputs, job) {
            return;
        }
        let evaluated = |map: &Value, job: &Job| -> BTreeMap<String, String> {
            let entries = map.as_object().into_iter().flatten();
            entries
                .map(|(key, value)| (key.clone(), evaluate(value.as_str().unwrap(), inputs, job)))
                .collect()
        };
        let id = step["id"].as_str().unwrap().to_owned();
        if let Some(uses) = step["uses"].as_str() {
            let mut used = evaluated(&step["with"], job);
            used.insert("uses".to_owned(), uses.to_owned());
            job.used.push(used);
            let url = "https://github.example/artifact/1".to_owned();
            job.steps
                .insert(id, BTreeMap::from([("artifact-url".to_owned(), url)]));
            return;
        }
        assert_eq!(step["shell"], "bash");
        let folder = evaluate(
            step["working-directory"].as_str().unwrap_or("."),
            inputs,
            job,
        );
        let environment = evaluated(&step["env"], job);
        let cancelled_at = self.cancelled_at.filter(|(step, _)| *step == id);
        let cancelled_at = cancelled_at.map(|(_, file)| self.workspace().join(file));
        let script = step["run"].as_str().unwrap();
        let code = self.execute(script, &folder, &environment, cancelled_at.as_deref(), job);
        job.failed |= code != 0;
        job.codes.insert(id.clone(), code);
        job.steps
            .insert(id, outputs(&self.path().join("temporary/output")));
    }

    fn execute(
        &self,
        script: &str,
        folder: &str,
        environment: &BTreeMap<String, String>,
        cancelled_at: Option<&Path>,
        job: &mut Job,
    ) -> i32 {
        let temporary = self.path().join("temporary");
        for file in ["output", "summary", "step.sh"] {
            write(&temporary, file, "");
        }
        write(&temporary, "step.sh", script);
        let added = std::fs::read_to_string(temporary.join("path")).unwrap_or_default();
        let mut paths: Vec<String> = added.lines().rev().map(str::to_owned).collect();
        paths.extend([
            self.path().join("bin").display().to_string(),
            "/usr/bin:/bin".to_owned(),
        ]);
        let log = std::fs::File::create(temporary.join("log")).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(temporary.join("step.sh"))
            .current_dir(self.workspace().join(folder))
            .env_clear()
            .env("PATH", paths.join(":"))
            .env("HOME", self.path())
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", &self.action)
            // As the real one leaves it in a composite action (actions/runner#2473).
            .env("GITHUB_ACTION_REPOSITORY", "")
            .env("GITHUB_REPOSITORY", "me/serving")
            .env("GITHUB_WORKSPACE", self.workspace())
            .env("GITHUB_OUTPUT", temporary.join("output"))
            .env("GITHUB_PATH", temporary.join("path"))
            .env("GITHUB_STEP_SUMMARY", temporary.join("summary"))
            .env("RUNNER_TEMP", &temporary)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        if let Some(file) = cancelled_at {
            wait_until(
                "the file at which to cancel",
                Duration::from_mins(1),
                || file.exists(),
            );
            // The runner signals the process that it started, and no other.
            let id = rustix::process::Pid::from_child(&child);
            let _gone = rustix::process::kill_process(id, rustix::process::Signal::INT);
        }
        let status = child.wait().unwrap();
        job.log += &std::fs::read_to_string(temporary.join("log")).unwrap();
        status.code().unwrap_or(-1)
    }
}

/// `name=value` a line; the last one counts.
fn outputs(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Text in which `${{ … }}` stand for what they name.
fn evaluate(text: &str, inputs: &BTreeMap<String, String>, job: &Job) -> String {
    let mut evaluated = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("${{") {
        evaluated.push_str(&rest[..begin]);
        let end = begin + rest[begin..].find("}}").unwrap();
        evaluated.push_str(&value(rest[begin + 3..end].trim(), inputs, job));
        rest = &rest[end + 2..];
    }
    evaluated + rest
}

fn value(name: &str, inputs: &BTreeMap<String, String>, job: &Job) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match parts[..] {
        ["inputs", input] => inputs[input].clone(),
        // What a step that was skipped would have said is empty.
        ["steps", step, "outputs", output] => {
            let of_step = job.steps.get(step).and_then(|outputs| outputs.get(output));
            of_step.cloned().unwrap_or_default()
        }
        ["github", "action_repository"] => job.repository.to_owned(),
        ["github", "token"] => "ghs_token_of_the_run".to_owned(),
        _ => panic!("no such value: {name}"),
    }
}

/// `a == 'x' && b != 'y' && always()`; without a function of the job's status, only where nothing has failed.
fn holds(condition: &str, inputs: &BTreeMap<String, String>, job: &Job) -> bool {
    let literal = |text: &str| text.trim().trim_matches('\'').to_owned();
    let whatever = condition.contains("always()");
    let all = condition.split("&&").map(str::trim).all(|term| {
        if let Some((left, right)) = term.split_once("==") {
            value(left.trim(), inputs, job) == literal(right)
        } else if let Some((left, right)) = term.split_once("!=") {
            value(left.trim(), inputs, job) != literal(right)
        } else {
            assert!(
                matches!(term, "always()" | "success()"),
                "no such term: {term}"
            );
            true
        }
    });
    all && (whatever || !job.failed)
}
