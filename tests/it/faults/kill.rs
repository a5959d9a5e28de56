//! perfgate that is killed: it can do nothing any more, and its guard does it.

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::interrupt::MOMENTS;
use super::{Fault, LONG, MIDDLE, SHORT, Scene};
use crate::support::{Running, command, processes_with, wait_until};

/// SIGTERM, its grace of 5 s, SIGKILL, and a busy machine.
const GONE_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn a_killed_perfgate_leaves_no_server_in_any_phase() {
    for moment in MOMENTS {
        let scene = Scene::new(moment.fault, LONG);
        let mut bench = scene.bench();
        moment.wait(&scene);
        bench.signal(Signal::KILL);
        bench.child.wait().unwrap();
        wait_until(moment.when, GONE_WITHIN, || {
            scene.left().is_empty() && bench.guards().is_empty()
        });
        assert_eq!(
            scene.kept("out/result.json"),
            moment.kept,
            "{}",
            moment.when
        );
    }
}

#[test]
fn a_killed_perfgate_leaves_no_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let model = format!("killed-{}", std::process::id());
    let log = folder.path().join("stderr");
    let bench = command(
        folder.path(),
        &["bench", "--simulator", "startup=60s", "--model", &model],
    )
    .stdout(Stdio::null())
    .stderr(std::fs::File::create(&log).unwrap())
    .spawn();
    let mut bench = Running(bench.unwrap());
    wait_until("the simulator", Duration::from_secs(20), || {
        processes_with(&model).len() == 2
    });
    // With a kill of its whole group, as some job runners do it.
    bench.0.kill().unwrap();
    bench.0.wait().unwrap();
    wait_until("the end", GONE_WITHIN, || processes_with(&model).is_empty());
}

#[test]
fn a_killed_perfgate_leaves_an_attached_server_running() {
    let fault = Fault {
        name: "hangs",
        start: 1,
        request: MIDDLE,
    };
    let scene = Scene::new(fault, SHORT);
    let (mut server, url) = scene.attached();
    let mut bench = scene.begin(&["bench", "--url", &url, "--timeout", "5m"]);
    scene.wait_for_event("start 1 request 10");
    assert!(bench.guards().is_empty());
    bench.signal(Signal::KILL);
    bench.child.wait().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.0.try_wait().unwrap().is_none());
}

/// A guard with a registration, and a process of its own group that may be its server.
fn guard_and_process(registration: impl FnOnce(&Running) -> String) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let guard = command(folder.path(), &["guard", "--of", "1"])
        .stdin(Stdio::piped())
        .spawn();
    let mut guard = Running(guard.unwrap());
    let process = Command::new("sleep")
        .arg("300")
        .env("PERFGATE_GUARD", guard.0.id().to_string())
        .process_group(0)
        .spawn();
    let process = Running(process.unwrap());
    let mut pipe = guard.0.stdin.take().unwrap();
    pipe.write_all(registration(&process).as_bytes()).unwrap();
    drop(pipe);
    assert!(guard.0.wait().unwrap().success());
    process
}

fn started(process: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.0.id())).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(19).unwrap().parse().unwrap()
}

#[test]
fn a_guard_ends_the_registered_process() {
    let mut process =
        guard_and_process(|process| format!("{} {}\n", process.0.id(), started(process)));
    let signal = process.0.wait().unwrap().signal();
    assert_eq!(signal, Some(Signal::TERM.as_raw()));
}

#[test]
fn a_guard_finds_a_server_that_was_not_registered() {
    let mut process = guard_and_process(|_| String::new());
    let signal = process.0.wait().unwrap().signal();
    assert_eq!(signal, Some(Signal::TERM.as_raw()));
}

#[test]
fn a_guard_leaves_another_process_with_the_same_id_alone() {
    let mut process =
        guard_and_process(|process| format!("{} {}\n", process.0.id(), started(process) - 1));
    assert!(process.0.try_wait().unwrap().is_none());
}

/// `/proc/PID/…` of the only process with this in its command line.
fn of_process(mark: &str, name: &str) -> std::path::PathBuf {
    let found = std::fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
            String::from_utf8_lossy(&line)
                .replace('\0', " ")
                .contains(mark)
        })
    });
    found.unwrap().path().join(name)
}

/// What a process has open.
fn open_files(mark: &str) -> Vec<String> {
    let files = std::fs::read_dir(of_process(mark, "fd")).unwrap().flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .map(|file| file.display().to_string())
        .collect()
}

#[test]
fn the_guard_sleeps_with_one_pipe_and_an_empty_environment() {
    let fault = Fault {
        name: "hangs",
        start: 1,
        request: MIDDLE,
    };
    let scene = Scene::new(fault, LONG);
    let mut bench = scene.bench();
    scene.wait_for_event("start 1 request 10");
    let guard = format!("guard --of {} ", bench.child.id());
    assert_eq!(bench.guards().len(), 1);
    let files = open_files(&guard);
    let pipes: Vec<&String> = files
        .iter()
        .filter(|file| file.starts_with("pipe:"))
        .collect();
    assert_eq!((files.len(), pipes.len()), (3, 1), "{files:?}");
    // Else the guard would not see perfgate's end while the server lives.
    assert!(!open_files(&scene.mark).contains(pipes[0]));
    assert_eq!(std::fs::read(of_process(&guard, "environ")).unwrap(), b"");
    let switches = || {
        let status = std::fs::read_to_string(of_process(&guard, "status")).unwrap();
        let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = switches();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(switches(), before);
    bench.signal(Signal::INT);
    assert_eq!(bench.end(), Some(130));
}
