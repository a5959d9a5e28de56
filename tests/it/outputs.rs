//! What is at an output's path: checked before anything is measured, followed, written into, never destroyed.

use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;

use crate::support::{Ran, TINY_RUN, command, json, program, result, run, write};

fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", &result(&[1.0, 1.001, 0.999]));
    write(folder.path(), "b.json", &result(&[1.002, 0.998, 1.0005]));
    folder
}

const COMPARE: [&str; 5] = ["compare", "--baseline", "a.json", "--candidate", "b.json"];

fn refused(at: &Path, arguments: &[&str], words: &str) {
    let ran = run(at, arguments).expect(2);
    assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
}

#[test]
fn an_output_that_is_an_input_is_refused_by_every_name_of_it() {
    let folder = scene();
    let at = folder.path();
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p95: {regression: 5%}}\n",
    );
    write(
        at,
        "perfgate.yaml",
        "model: demo\nserver: {simulator: {}}\n",
    );
    write(
        at,
        "comparison.json",
        &run(at, &[&COMPARE[..], &["--format", "json"]].concat()).stdout,
    );
    symlink("a.json", at.join("soft.json")).unwrap();
    std::fs::hard_link(at.join("b.json"), at.join("hard.json")).unwrap();
    let before: Vec<String> = ["a.json", "b.json", "comparison.json", "perfgate.yaml"]
        .map(|name| std::fs::read_to_string(at.join(name)).unwrap())
        .into();
    for (flag, output) in [
        ("--html", "a.json"),
        ("--markdown", "./a.json"),
        ("--junit", "soft.json"),
        ("--html", "hard.json"),
        ("--html", "thresholds.yaml"),
    ] {
        refused(
            at,
            &[&COMPARE[..], &[flag, output]].concat(),
            "would overwrite",
        );
    }
    refused(
        at,
        &["report", "comparison.json", "--html", "comparison.json"],
        "would overwrite",
    );
    refused(
        at,
        &["comment", "comparison.json", "--json", "comparison.json"],
        "would overwrite",
    );
    for command in ["bench", "sweep"] {
        refused(
            at,
            &[command, "--output", "perfgate.yaml"],
            "would overwrite",
        );
    }
    write(at, "perfgate-out/result.json", &result(&[1.0]));
    let gate = ["gate", "--baseline", "perfgate-out/result.json"];
    refused(at, &gate, "would overwrite");
    write(at, "baselines/demo/x.json", "{}");
    refused(
        at,
        &["gate", "--junit", "baselines/demo/x.json"],
        "baselines",
    );
    let after: Vec<String> = ["a.json", "b.json", "comparison.json", "perfgate.yaml"]
        .map(|name| std::fs::read_to_string(at.join(name)).unwrap())
        .into();
    assert_eq!(before, after);
}

#[test]
fn outputs_are_checked_before_a_server_starts() {
    let folder = scene();
    let at = folder.path();
    write(
        at,
        "perfgate.yaml",
        "model: demo\nserver: {process: {command: [sh, -c, 'touch started; exit 1', '{port}']}}\n",
    );
    std::fs::create_dir(at.join("folder")).unwrap();
    for arguments in [
        &["bench", "--output", "folder"][..],
        &["sweep", "--html", "folder"],
        &["sweep", "--output", "s.json", "--html", "./s.json"],
        &["gate", "--junit", "folder"],
        &["gate", "--junit", "perfgate-out/report.html"],
    ] {
        let ran = run(at, arguments).expect(2);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        assert!(
            !at.join("started").exists(),
            "{arguments:?} started the server"
        );
    }
    let twice = [&COMPARE[..], &["--html", "r", "--markdown", "r"]].concat();
    refused(at, &twice, "is the same file");
    run(
        at,
        &[
            &COMPARE[..],
            &["--html", "/dev/null", "--markdown", "/dev/null"],
        ]
        .concat(),
    )
    .expect(0);
}

#[test]
fn a_pipe_or_a_device_as_output_is_written_and_not_replaced() {
    let folder = scene();
    let at = folder.path();
    let pipe = at.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut text = String::new();
            std::fs::File::open(pipe)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        }
    });
    let bench = ["bench", "--simulator", "--repeat", "2", "--output", "pipe"];
    // On a busy machine no repeat may count; what was measured is handed over all the same.
    let ran = run(at, &[&bench[..], &TINY_RUN].concat());
    let text = reader.join().unwrap();
    let handed: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    assert_eq!(handed["schema"], "perfgate.result/1", "{}", ran.stderr);
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let stdout = run(at, &[&COMPARE[..], &["--junit", "/dev/stdout"]].concat())
        .expect(0)
        .stdout;
    assert!(stdout.contains("<testsuites"), "{stdout}");
}

#[test]
fn a_result_is_kept_elsewhere_if_its_file_cannot_be_written_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let script = format!(
        "rm -rf out; touch out; exec {} simulate --port {{port}} --model demo",
        program().display()
    );
    let plan = serde_json::json!({
        "model": "demo", "concurrency": 1, "num_requests": 2, "repeat": 1, "warmup_requests": 0,
        "server": {"process": {"command": ["sh", "-c", script]}}
    });
    write(at, "perfgate.yaml", &plan.to_string());
    std::fs::create_dir(at.join("tmp")).unwrap();
    let mut bench = command(at, &["bench", "--output", "out/r.json"]);
    let ran = Ran::of(&bench.env("TMPDIR", at.join("tmp")).output().unwrap()).expect(6);
    let kept = ran
        .stderr
        .split("kept in `")
        .nth(1)
        .and_then(|rest| rest.split('`').next());
    let kept = json(Path::new(kept.unwrap_or_else(|| panic!("{}", ran.stderr))));
    assert_eq!(kept["schema"], "perfgate.result/1");
}
