//! `perfgate doctor`: can this machine measure what the plan asks for?

use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::support::{Ran, Running, command, run, write};

/// A doctor that finds no container engine: every place where one is looked for is given, and empty.
fn without_engine(folder: &Path, arguments: &[&str]) -> Ran {
    let nowhere = format!("unix://{}", folder.join("no.sock").display());
    let mut command = command(folder, arguments);
    Ran::of(&command.env("DOCKER_HOST", nowhere).output().unwrap())
}

fn page(shown: &str) -> serde_json::Value {
    serde_json::from_str(shown).unwrap()
}

/// The checks of a group, by name.
fn level(page: &serde_json::Value, group: &str, name: &str) -> String {
    let groups = page["groups"].as_array().unwrap();
    let group = groups.iter().find(|found| found["name"] == group).unwrap();
    let checks = group["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no {name} in {group}"))["level"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_machine_without_what_the_plan_asks_for_cannot_measure_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // No driver anywhere, whatever this machine has.
    write(
        at,
        "perfgate.yaml",
        "model: m\nserver: {docker: {image: vllm, gpus: [\"GPU-that-is-nowhere\"]}}\n",
    );
    let shown = without_engine(at, &["doctor", "--quick", "--format", "json"]).expect(6);
    let seen = page(&shown.stdout);
    assert_eq!(seen["can_measure"], false);
    assert_eq!(level(&seen, "container engine", "engine"), "failure");
    assert_eq!(level(&seen, "GPU", "GPU"), "failure");
    assert!(seen["client"].is_null(), "--quick measures nothing");

    let text = without_engine(at, &["doctor", "--quick"]).expect(6).stdout;
    assert!(text.contains("FAIL engine"), "{text}");
    assert!(text.contains("cannot measure: "), "{text}");
}

#[test]
fn a_missing_engine_is_only_a_note_if_no_plan_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let shown = without_engine(folder.path(), &["doctor", "--quick", "--format", "json"]).expect(0);
    let seen = page(&shown.stdout);
    assert_eq!(seen["can_measure"], true);
    assert_eq!(level(&seen, "container engine", "engine"), "note");
}

#[test]
fn a_plan_that_cannot_be_read_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "plan.yaml", "model: [\n");
    run(
        folder.path(),
        &["doctor", "--quick", "--config", "plan.yaml"],
    )
    .expect(2);
    run(
        folder.path(),
        &["doctor", "--quick", "--config", "missing.yaml"],
    )
    .expect(2);
}

#[test]
fn doctor_finds_the_problems_that_stop_a_gate_before_a_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(
        at,
        "perfgate.yaml",
        "model: m\ndataset: ShareGPT_v3\nhardware: {gpu: H100, num_gpus: 8}\n",
    );
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p59: {regression: 5%, action: block}}\n",
    );
    let shown = without_engine(at, &["doctor", "--quick", "--format", "json"]).expect(6);
    let seen = page(&shown.stdout);
    for name in ["server", "load", "thresholds"] {
        assert_eq!(level(&seen, "plan", name), "failure", "{name}: {seen}");
    }
}

#[test]
fn doctor_shows_that_the_first_start_downloads_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(
        at,
        "perfgate.yaml",
        "model: m\nserver: {docker: {image: vllm, hf_cache: true}}\n",
    );
    let nowhere = format!("unix://{}", at.join("no.sock").display());
    let mut doctor = command(at, &["doctor", "--quick"]);
    doctor
        .env("DOCKER_HOST", nowhere)
        .env("HOME", at)
        .env_remove("HF_HOME");
    let text = Ran::of(&doctor.output().unwrap()).stdout;
    assert!(text.contains("model cache"), "{text}");
    assert!(text.contains("does not exist yet"), "{text}");
    assert!(!at.join(".cache").exists(), "doctor makes nothing");
}

#[test]
fn doctor_finds_rules_that_no_run_of_the_plan_can_be_judged_by() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = |requests: u32, repeat: u32| {
        format!(
            "model: m\nserver: {{process: {{command: [vllm, serve, \"{{port}}\"]}}}}\nconcurrency: 4\nnum_requests: {requests}\nrepeat: {repeat}\n"
        )
    };
    write(
        at,
        "thresholds.yaml",
        "version: 1\nrules: {tpot.p95: {regression: 5%, action: block}}\n",
    );
    write(at, "perfgate.yaml", &plan(40, 1));
    let text = without_engine(at, &["doctor", "--quick"]).expect(6).stdout;
    for part in [
        "tpot.p95 cannot be judged with 40 requests per repeat",
        "raise num_requests to at least 100",
        "a baseline needs 2 repeats, but a run has 1",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Enough for it; and for a rule that only warns, a missing metric stops no merge.
    for (rule, requests) in [
        ("tpot.p95: {regression: 5%, action: block}", 100),
        ("tpot.p95: {regression: 5%, action: warn}", 40),
    ] {
        write(
            at,
            "thresholds.yaml",
            &format!("version: 1\nrules: {{{rule}}}\n"),
        );
        write(at, "perfgate.yaml", &plan(requests, 3));
        let text = without_engine(at, &["doctor", "--quick"]).expect(0).stdout;
        assert!(!text.contains("\nplan\n"), "the plan has no fault: {text}");
    }
}

#[test]
fn a_signal_ends_doctor_while_the_engine_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("silent.sock");
    let engine = UnixListener::bind(&socket).unwrap();
    let mut doctor = command(folder.path(), &["doctor", "--quick"]);
    doctor.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let mut doctor = Running(doctor.spawn().unwrap());
    let (_asked, _) = engine.accept().unwrap();
    let id = rustix::process::Pid::from_child(&doctor.0);
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert_eq!(
        doctor.0.wait().unwrap().signal(),
        Some(Signal::TERM.as_raw())
    );
}
