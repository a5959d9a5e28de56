//! A search that is interrupted: nothing runs on, and what was measured is kept.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::history::History;
use super::search::wide;
use crate::support::{Running, processes_with, wait_until};

/// Starts, waits for a process with that word, interrupts, and gets 130 with nothing left. Meanwhile nobody else may search.
fn interrupted(history: &History, arguments: &[&str], word: &str) {
    let mut command = history.bisect_command(arguments);
    // What is interrupted is a real server.
    command.env_remove("PERFGATE_SCRIPT");
    let quiet = || std::process::Stdio::null();
    let mut running = Running(command.stdout(quiet()).stderr(quiet()).spawn().unwrap());
    let own = running.0.id();
    // Not perfgate itself, whose arguments have the word, too.
    let others = || {
        let all = processes_with(word).into_iter();
        all.filter(|line| !line.contains(" bisect ")).count()
    };
    wait_until(word, Duration::from_mins(1), || others() > 0);
    for (arguments, code) in [(&[][..], 128), (&["clean"], 6), (&["start", "v1", "v2"], 6)] {
        let stderr = history.bisect(arguments).expect(code).stderr;
        let by = format!("another perfgate bisect is running in this work tree (process {own})");
        assert!(stderr.contains(&by), "{stderr}");
    }
    kill_process(Pid::from_raw(own.cast_signed()).unwrap(), Signal::INT).unwrap();
    wait_until("the end", Duration::from_secs(10), || {
        running.0.try_wait().unwrap().is_some()
    });
    assert_eq!(running.0.wait().unwrap().code(), Some(130));
    assert_eq!(others(), 0, "{:?}", processes_with(word));
}

#[test]
fn an_interrupt_ends_the_build_and_the_server_and_a_rerun_goes_on() {
    let history = wide(&[1.0, 1.5]);
    let good = &history.commits[0];
    interrupted(
        &history,
        &[
            "start",
            good,
            "main",
            "--build",
            "touch product; sleep 4711.25",
        ],
        "4711.25",
    );
    let product = history.state("trees/good/product");
    assert!(product.exists());
    // A server that never becomes ready; its model's name is nobody else's.
    let slow = [
        "start",
        good,
        "main",
        "--model",
        "demo-4711",
        "--simulator",
        "startup=100s",
    ];
    interrupted(&history, &slow, "--model demo-4711 --start");
    assert!(!product.exists(), "nothing is built in this search");
    // As a predicate it says the same.
    history.git(&["bisect", "start", "--no-checkout", "main", good]);
    interrupted(&history, &["--build", "sleep 4711.75"], "4711.75");
    assert!(history.git(&["status", "--porcelain"]).is_empty());
}
