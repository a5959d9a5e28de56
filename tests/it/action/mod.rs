//! `action.yml`, run step by step as a runner does it.

mod install;
mod runner;
mod workflows;
mod yaml;

use std::path::{Path, PathBuf};

use runner::Runner;
use serde_json::Value;

use crate::support::{run, run_scripted, write};

const PLAN: &str = "\
name: demo
model: demo
server: {simulator: {seed: 7, noise: 0.2%}}
num_requests: 160
concurrency: 16
input_tokens: 64
output_tokens: 24
repeat: 3
";

fn action() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
    yaml::read(&std::fs::read_to_string(path).unwrap())
}

/// A workspace whose baseline was measured as its plan says, in the folder `perf`.
fn with_baseline() -> Runner {
    let runner = Runner::new();
    let folder = runner.workspace().join("perf");
    write(&folder, "perfgate.yaml", PLAN);
    run_scripted(
        &folder,
        &[
            "bench",
            "--output",
            "baselines/demo/simulated-gpu-80gb.json",
        ],
    )
    .expect(0);
    runner
}

/// A perfgate that keeps the words and the environment that it was called with.
fn recording() -> Runner {
    let runner = Runner::new();
    let script = "printf '%s\\0' \"$@\" >\"$GITHUB_WORKSPACE/words\"; env -0 >\"$GITHUB_WORKSPACE/environment\"";
    runner.put_program("perfgate", script);
    runner
}

fn listed(path: PathBuf) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let words = text.split_terminator('\0').map(str::to_owned);
    words.collect()
}

/// The words of the call that runs, after that which asks for the version.
fn words(runner: &Runner) -> Vec<String> {
    listed(runner.workspace().join("words"))
}

const FROM_PATH: (&str, &str) = ("install", "path");

#[test]
fn a_gate_that_passes_uploads_its_report() {
    let runner = with_baseline();
    let job = runner.run(&[
        FROM_PATH,
        ("working-directory", "perf"),
        ("comment", "auto"),
    ]);
    assert!(!job.failed, "{}", job.log);
    for (name, value) in [
        ("verdict", "pass"),
        ("exit-code", "0"),
        ("report-path", "perfgate-out/report.html"),
        ("comparison-path", "perfgate-out/comparison.json"),
        ("artifact-url", "https://github.example/artifact/1"),
    ] {
        assert_eq!(job.outputs[name], value, "{}", job.log);
    }
    assert!(
        job.outputs["headline"].contains("TPOT P95"),
        "{:?}",
        job.outputs
    );
    let uploaded = &job.used[0];
    let folder = runner.workspace().join("perf/perfgate-out");
    assert_eq!(uploaded["path"], folder.display().to_string());
    assert!(folder.join("report.html").is_file());
}

#[test]
fn a_slower_server_fails_the_step_and_the_report_is_uploaded_all_the_same() {
    let runner = with_baseline();
    let args = "--simulator\nslowdown=1.15,noise=0.2%\n";
    let job = runner.run(&[FROM_PATH, ("working-directory", "perf"), ("args", args)]);
    assert!(job.failed);
    assert_eq!(job.codes["run"], 1, "{}", job.log);
    assert_eq!(
        (
            job.outputs["verdict"].as_str(),
            job.outputs["exit-code"].as_str()
        ),
        ("block", "1")
    );
    let names: Vec<&str> = job.used.iter().map(|used| used["name"].as_str()).collect();
    assert_eq!(names, ["perfgate-report", "perfgate-report-comparison"]);
}

#[test]
fn a_run_without_a_verdict_sets_the_output_verdict_to_error() {
    let runner = Runner::new();
    let job = runner.run(&[FROM_PATH]);
    assert_eq!(job.codes["run"], 2, "{}", job.log);
    assert_eq!(
        (
            job.outputs["verdict"].as_str(),
            job.outputs["exit-code"].as_str()
        ),
        ("error", "2")
    );
    assert_eq!(job.outputs["report-path"], "");
    // Nothing was measured; the upload says nothing of a folder that is not there.
    assert_eq!(job.used[0]["if-no-files-found"], "ignore");
}

#[test]
fn a_cancelled_job_ends_the_server_and_keeps_the_report() {
    let mut runner = with_baseline();
    write(
        &runner.workspace().join("perf"),
        "perfgate.yaml",
        &PLAN.replace("160", "100000"),
    );
    // A real server, whose log is there once it is started.
    runner.environment.clear();
    runner.cancelled_at = Some(("run", "perf/perfgate-out/server-1.log"));
    let job = runner.run(&[FROM_PATH, ("working-directory", "perf")]);
    assert_eq!(job.codes["run"], 130, "{}", job.log);
    assert_eq!(job.outputs["exit-code"], "130");
    assert_eq!(job.used.len(), 1);
}

#[test]
fn the_shell_never_splits_or_runs_an_input() {
    let runner = recording();
    let hostile = "$(touch x) `touch x` \"'; touch x #\n--output=/ \u{1b}[31m";
    let job = runner.run(&[
        FROM_PATH,
        ("config", hostile),
        ("thresholds", "--help"),
        ("image", "a b*"),
        ("base-image", "-x"),
        ("gpus", "GPU-1,GPU-2"),
        ("baseline", "~/main.json"),
        ("output", "out $HOME"),
        ("report-url", "https://x/?a=1&b=%20"),
        ("status-context", ""),
        ("accept-label", "ok \"really\""),
        ("comment", "never"),
        ("check-run", "true"),
        ("require-publish", "true"),
        ("args", "--name\n$(touch x)\r\n\n  --seed=1\n"),
    ]);
    assert!(!job.failed, "{}", job.log);
    let config = format!("--config={hostile}");
    assert_eq!(
        words(&runner),
        [
            "gate",
            &config,
            "--thresholds=--help",
            "--baseline=~/main.json",
            "--image=a b*",
            "--base-image=-x",
            "--gpus=GPU-1,GPU-2",
            "--output=out $HOME",
            "--comment=never",
            "--status-context=",
            "--accept-label=ok \"really\"",
            "--report-url=https://x/?a=1&b=%20",
            "--check-run",
            "--require-publish",
            "--name",
            "$(touch x)",
            "  --seed=1",
        ]
    );
    assert!(!runner.workspace().join("x").exists());
}

#[test]
fn tokens_go_to_perfgate_by_the_environment_and_are_masked() {
    let runner = recording();
    let job = runner.run(&[FROM_PATH, ("github-token", "ghs_1%"), ("hf-token", "hf_2")]);
    assert!(!job.failed, "{}", job.log);
    assert!(
        job.log.contains("::add-mask::ghs_1%25\n::add-mask::hf_2\n"),
        "{}",
        job.log
    );
    let environment = listed(runner.workspace().join("environment"));
    for variable in ["GITHUB_TOKEN=ghs_1%", "HF_TOKEN=hf_2"] {
        assert!(
            environment.iter().any(|found| found == variable),
            "{environment:?}"
        );
    }
    // What the server under test would inherit.
    assert!(
        !environment.iter().any(|found| found.starts_with("INPUT_")),
        "{environment:?}"
    );
    assert_eq!(words(&runner), ["gate", "--output=perfgate-out"]);

    // None given is none, and not an empty one.
    let runner = recording();
    runner.run(&[FROM_PATH, ("github-token", "")]);
    let environment = listed(runner.workspace().join("environment"));
    assert!(
        !environment.iter().any(|found| found.contains("_TOKEN=")),
        "{environment:?}"
    );
}

#[test]
fn a_server_that_perfgate_starts_as_a_process_does_not_get_the_token() {
    let runner = Runner::new();
    let plan =
        "model: m\nserver: {process: {command: [sh, -c, \"env >environment; exit 3; {port}\"]}}\n";
    write(&runner.workspace(), "perfgate.yaml", plan);
    let job = runner.run(&[FROM_PATH, ("github-token", "ghs_1"), ("hf-token", "hf_2")]);
    assert_eq!(job.codes["run"], 5, "{}", job.log);
    let environment = std::fs::read_to_string(runner.workspace().join("environment")).unwrap();
    assert!(!environment.contains("ghs_1"), "{environment}");
    // It has to load its model.
    assert!(environment.contains("HF_TOKEN=hf_2"), "{environment}");
}

#[test]
fn a_comparison_that_is_there_is_published_without_measuring() {
    let runner = recording();
    let job = runner.run(&[FROM_PATH, ("command", "comment"), ("comparison", "-c.json")]);
    assert_eq!(words(&runner), ["comment", "--", "-c.json"]);
    assert!(job.used.is_empty(), "nothing new to upload");
    assert_eq!(
        (&*job.outputs["verdict"], &*job.outputs["exit-code"]),
        ("", "0")
    );
    runner.run(&[
        FROM_PATH,
        ("command", "comment"),
        ("artifact", "a.zip"),
        ("comment", "always"),
    ]);
    assert_eq!(
        words(&runner),
        ["comment", "--artifact=a.zip", "--comment=always"]
    );
}

#[test]
fn an_invalid_value_of_an_input_is_refused() {
    for (input, value, message) in [
        (
            "command",
            "rejudge",
            "command: `rejudge` is not one of gate, comment, install",
        ),
        ("check-run", "yes", "check-run: `yes` must be true or false"),
        (
            "output",
            "a\nverdict=pass",
            "output: the folder name must not contain line breaks",
        ),
    ] {
        let runner = recording();
        let job = runner.run(&[FROM_PATH, (input, value)]);
        assert_eq!(job.codes["run"], 2, "{}", job.log);
        assert!(job.log.contains(message), "{}", job.log);
        assert_eq!(job.outputs["verdict"], "error");
        assert!(!runner.workspace().join("words").is_file() || words(&runner) == ["--version"]);
    }
}

#[test]
fn no_script_of_the_action_has_an_expression_in_it() {
    for step in action()["runs"]["steps"].as_array().unwrap() {
        assert!(
            !step["run"].as_str().unwrap_or("").contains("${{"),
            "{step}"
        );
        if let Some(uses) = step["uses"].as_str() {
            let (_, commit) = uses.split_once('@').unwrap();
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{uses}"
            );
        }
    }
}

#[test]
fn the_page_on_the_action_lists_its_inputs_and_outputs_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/action.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = |begin: &str| -> Vec<String> {
        let table = page.split(begin).nth(1).unwrap();
        let table = table.lines().skip_while(|line| !line.starts_with("| `"));
        table
            .take_while(|line| line.starts_with('|'))
            .map(str::to_owned)
            .collect()
    };
    let action = action();
    let inputs: Vec<String> = sorted(&action["inputs"], |name, input| {
        let usual = match input["default"].as_str().unwrap() {
            "" => String::new(),
            usual => format!("`{usual}`"),
        };
        format!(
            "| `{name}` | {usual} | {} |",
            input["description"].as_str().unwrap()
        )
    });
    let outputs = sorted(&action["outputs"], |name, output| {
        format!("| `{name}` | {} |", output["description"].as_str().unwrap())
    });
    for (begin, expected) in [("\n## Inputs", inputs), ("\n## Outputs", outputs)] {
        let mut found = rows(begin);
        found.sort();
        assert!(
            found == expected,
            "docs/reference/action.md, {begin}: the rows must be\n{}",
            expected.join("\n")
        );
    }
}

fn sorted(map: &Value, row: impl Fn(&str, &Value) -> String) -> Vec<String> {
    let entries = map.as_object().unwrap();
    let mut rows: Vec<String> = entries
        .iter()
        .map(|(name, value)| row(name, value))
        .collect();
    rows.sort();
    rows
}

/// What `run.sh` may pass, held against the program: a flag that it does not know would end every job.
#[test]
fn every_flag_that_the_action_passes_is_one_of_the_command() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("action/run.sh");
    let script = std::fs::read_to_string(script).unwrap();
    let passed = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || "()\"".contains(c));
        let flags = words.filter(|word| word.len() > 2 && word.starts_with("--"));
        flags.map(str::to_owned).collect()
    };
    let lines = |begin: &str, end: &str| {
        let from = script.find(begin).unwrap();
        let to = from + script[from..].find(end).unwrap();
        passed(&script[from..to])
    };
    let common = lines("\nadd_unless --comment", "\nadd_args");
    let folder = tempfile::tempdir().unwrap();
    for (command, own) in [
        ("gate", lines("    gate)", "    comment)")),
        ("comment", lines("    comment)", "    *)")),
    ] {
        let help = run(folder.path(), &[command, "--help"]).expect(0).stdout;
        assert!(!own.is_empty() && common.len() > 4, "{own:?} {common:?}");
        for flag in own.iter().chain(&common) {
            assert!(
                help.contains(&format!("{flag} ")) || help.contains(&format!("{flag}\n")),
                "{command} {flag}"
            );
        }
        let action = action();
        for (input, flag) in [
            ("status-context", "--status-context"),
            ("accept-label", "--accept-label"),
            ("comment", "--comment"),
        ] {
            let usual = action["inputs"][input]["default"].as_str().unwrap();
            let of_flag = help.split(&format!("{flag} <")).nth(1).unwrap();
            let shown = of_flag.split("[default: ").nth(1).unwrap();
            assert!(shown.starts_with(&format!("{usual}]")), "{flag}: {shown}");
        }
    }
}
