//! perfgate that is killed: it can do nothing any more, and its guard does it.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::interrupt::MOMENTS;
use super::{Fault, LONG, MIDDLE, SERVER, SHORT, Scene};
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
    let said = folder.path().join("said");
    let bench = command(
        folder.path(),
        &["bench", "--simulator", "startup=60s", "--model", &model],
    )
    .stdout(Stdio::null())
    .stderr(std::fs::File::create(&said).unwrap())
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
fn a_killed_perfgate_leaves_a_server_that_somebody_else_runs() {
    let fault = Fault {
        name: "hangs",
        start: 1,
        request: MIDDLE,
    };
    let scene = Scene::new(fault, SHORT);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let server = Command::new("python3")
        .args([SERVER, &port.to_string(), "hangs", "1", "10", &scene.mark])
        .current_dir(scene.path())
        .spawn();
    let mut server = Running(server.unwrap());
    let url = format!("http://127.0.0.1:{port}");
    let mut bench = scene.begin(&["bench", "--url", &url, "--timeout", "5m"]);
    scene.wait_for_event("start 1 request 10");
    assert!(bench.guards().is_empty());
    bench.signal(Signal::KILL);
    bench.child.wait().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(server.0.try_wait().unwrap().is_none());
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
fn the_guard_sleeps_holds_nothing_of_others_and_knows_no_secret() {
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
