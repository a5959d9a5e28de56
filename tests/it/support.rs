//! Running the real binary in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_perfgate"))
}

/// A command in `folder` that inherits nothing by which the machine could change the result.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    for name in [
        "CLICOLOR_FORCE",
        "GITHUB_ACTIONS",
        "GITHUB_WORKSPACE",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_EVENT_PATH",
        "GITHUB_OUTPUT",
        "GITHUB_TOKEN",
        "GITHUB_REPOSITORY",
        "GITHUB_API_URL",
        "GITHUB_EVENT_NAME",
        "GITHUB_SHA",
        "GITHUB_BASE_REF",
        "GITHUB_REF",
        "CI_MERGE_REQUEST_IID",
        "CI_OPEN_MERGE_REQUESTS",
        "CI_COMMIT_BRANCH",
        "BUILDKITE_PULL_REQUEST",
        "BUILDKITE_BRANCH",
        "CHANGE_ID",
        "CHANGE_TARGET",
        "NO_COLOR",
        "PERFGATE_API_KEY",
    ] {
        command.env_remove(name);
    }
    command
}

/// The same with simulators that run in virtual time, without a clock or a process: for what follows from a measurement.
pub(crate) fn scripted(folder: &Path, arguments: &[&str]) -> Command {
    scripted_by(folder, arguments, "{}")
}

/// The same with something that happens to the servers (`src/runner/scripted.rs`).
pub(crate) fn scripted_by(folder: &Path, arguments: &[&str], script: &str) -> Command {
    let mut command = command(folder, arguments);
    command.env("PERFGATE_SCRIPT", script);
    command
}

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// The code, and everything that was said where it is another one.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs to the end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(&command(folder, arguments).output().unwrap())
}

/// The same in virtual time.
pub(crate) fn run_scripted(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(&scripted(folder, arguments).output().unwrap())
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    perfgate::files::write_atomically(&folder.join(name), text.as_bytes()).unwrap();
}

pub(crate) fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A result with one scenario, one repeat per factor, the four gated metrics scaled by it.
pub(crate) fn result(factors: &[f64]) -> String {
    let repeats: Vec<serde_json::Value> = factors
        .iter()
        .map(|factor| {
            serde_json::json!({
                "requests": {"completed": 1000},
                "metrics": {
                    "tpot.p95": 0.02 * factor, "throughput": 3000.0 / factor, "ttft.p95": 0.15 * factor,
                    "gpu_memory.peak": 76_480_000_000_u64
                }
            })
        })
        .collect();
    serde_json::json!({
        "schema": "perfgate.result/1",
        "environment": {"gpus": [{"name": "NVIDIA H100 80GB HBM3"}]},
        "workload": {"digest": "sha256:00"},
        "scenarios": [{"name": "concurrency=64", "repeats": repeats}]
    })
    .to_string()
}

/// A child that is killed when the test is over, whatever happens.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A simulator of its own process, and its address.
pub(crate) fn simulator(folder: &Path, options: &[&str]) -> (Running, String) {
    let mut arguments = vec!["simulate", "--port", "0", "--model", "demo"];
    arguments.extend(options);
    let mut child = Running(
        command(folder, &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let url = line
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    (child, url)
}

/// Waits until `condition` holds, at most so long.
pub(crate) fn wait_until(what: &str, most: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < most, "waited {most:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Command lines of all processes that have `word` in theirs.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let lines = entries.filter_map(|entry| {
        let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(word).then_some(line)
    });
    lines.collect()
}

/// The shortest measurement, for tests of what is around it.
pub(crate) const TINY_RUN: [&str; 12] = [
    "--model",
    "demo",
    "--concurrency",
    "1",
    "--num-prompts",
    "2",
    "--warmup-requests",
    "0",
    "--synthetic-input-tokens-mean",
    "20",
    "--output-tokens-mean",
    "4",
];

/// A small run on the simulator: a second a repeat.
pub(crate) const SMALL_RUN: [&str; 12] = [
    "--model",
    "demo",
    "--num-prompts",
    "120",
    "--concurrency",
    "16",
    "--synthetic-input-tokens-mean",
    "64",
    "--output-tokens-mean",
    "16",
    "--warmup-requests",
    "16",
];
