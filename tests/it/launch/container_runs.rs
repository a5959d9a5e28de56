//! Whole runs of the real binary with containers: killed ones, two beside each other, and one with a secret.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::image::{docker, image, volumes};
use crate::support::{Ran, Running, command, run, wait_until, write};

const PATIENCE: Duration = Duration::from_mins(1);

/// A container that was started by the process of that number, by its label.
fn containers_of_process(pid: u32) -> Vec<String> {
    let listed = docker(&[
        "ps",
        "-a",
        "--no-trunc",
        "--filter",
        "label=dev.perfgate=1",
        "--format",
        "{{.ID}} {{.State}} {{.Label \"dev.perfgate.owner\"}}",
    ])
    .unwrap();
    listed
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let is_its = words.get(4) == Some(&pid.to_string().as_str());
            (is_its && words[1] == "running").then(|| words[0].to_owned())
        })
        .collect()
}

fn is_there(container: &str) -> bool {
    docker(&["inspect", "--format", "{{.Id}}", container]).is_ok()
}

/// A plan for the stand-in in that mode.
fn plan(image: &str, mode: &str) -> String {
    format!(
        "model: tiny-llm\nserver: {{docker: {{image: \"{image}\", args: [{mode}], pull: never}}}}\n"
    )
}

fn folder_with(plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "perfgate.yaml", plan);
    folder
}

/// A run in the background, and its container once that runs.
fn started(folder: &Path) -> (Running, String) {
    let child = command(folder, &["bench"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let running = Running(child);
    let pid = running.0.id();
    wait_until("a container", PATIENCE, || {
        !containers_of_process(pid).is_empty()
    });
    let container = containers_of_process(pid).remove(0);
    (running, container)
}

#[test]
fn a_container_of_a_killed_run_is_removed_by_the_next_run() {
    let Some(image) = image() else { return };
    let folder = folder_with(&plan(&image, "never-ready"));
    let dying = folder_with(&plan(&image, "dies"));
    // Another run of these tests on this engine may be quicker; it cannot be so every time.
    for _ in 0..5 {
        let (mut killed, container) = started(folder.path());
        killed.0.kill().unwrap();
        killed.0.wait().unwrap();
        let was_there = is_there(&container);
        let next = run(dying.path(), &["bench"]).expect(5);
        assert!(!is_there(&container));
        let says_so = next.stderr.contains("removed the container `perfgate-")
            && next.stderr.contains("which a killed run left behind");
        if was_there && says_so {
            return;
        }
    }
    panic!("no run reported that it removed the container of the killed run");
}

#[test]
fn the_container_of_a_living_run_is_left_alone() {
    let Some(image) = image() else { return };
    let folder = folder_with(&plan(&image, "never-ready"));
    let (mut living, container) = started(folder.path());
    let dying = folder_with(&plan(&image, "dies"));
    let next = run(dying.path(), &["bench"]).expect(5);
    assert!(!next.stderr.contains(&container), "{}", next.stderr);
    assert!(is_there(&container));
    let pid = living.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(living.0.wait().unwrap().code(), Some(130));
    assert!(!is_there(&container));
}

/// A run of a second on the simulator in a container.
fn simulated(image: &str, more: &str) -> String {
    format!(
        "name: demo\nmodel: tiny-llm\nserver: {{docker: {{image: \"{image}\", args: [simulate], pull: never, \
         volumes: [{}]{more}}}}}\nnum_requests: 60\nconcurrency: 4\ninput_tokens: 32\noutput_tokens: 32\nrepeat: 2\n",
        volumes()
    )
}

fn published_port(container: &str) -> String {
    let ports = docker(&["port", container, "8000/tcp"]).unwrap_or_default();
    ports.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn two_runs_beside_each_other_have_their_own_containers_ports_and_results() {
    let Some(image) = image() else { return };
    let folders = [0, 1].map(|_| folder_with(&simulated(&image, "")));
    let runs = folders.each_ref().map(|folder| {
        let child = command(folder.path(), &["bench"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running(child)
    });
    let pids = runs.each_ref().map(|run| run.0.id());
    let mut met = None;
    wait_until("both containers at a time", PATIENCE, || {
        let both = pids.map(|pid| containers_of_process(pid).first().cloned());
        if let [Some(one), Some(two)] = both {
            let ports = [published_port(&one), published_port(&two)];
            met = Some(ports).filter(|ports| ports.iter().all(|port| !port.is_empty()));
        }
        met.is_some()
    });
    let [one, two] = met.unwrap();
    assert_ne!(one, two);
    assert!(
        one.starts_with("127.0.0.1:") && two.starts_with("127.0.0.1:"),
        "{one} {two}"
    );
    for (mut run, folder) in runs.into_iter().zip(&folders) {
        let mut errors = String::new();
        let mut stderr = run.0.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut errors).unwrap();
        assert_eq!(run.0.wait().unwrap().code(), Some(0), "{errors}");
        let result = crate::support::json(&folder.path().join("result.json"));
        // On a busy machine one may be void and measured again.
        let repeats = result["scenarios"][0]["repeats"].as_array().unwrap();
        let counting: Vec<_> = repeats
            .iter()
            .filter(|repeat| repeat["void"].is_null())
            .collect();
        assert_eq!(counting.len(), 2, "{repeats:?}");
        for repeat in counting {
            assert_eq!(repeat["requests"]["completed"], 60);
        }
    }
    for pid in pids {
        assert_eq!(containers_of_process(pid), Vec::<String>::new());
    }
}

/// Every file below a folder with its bytes.
fn files_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn the_value_of_a_variable_is_only_in_the_running_container() {
    const SECRET: &str = "open-sesame-4711";
    let Some(image) = image() else { return };
    let folder = folder_with(&simulated(&image, ", env: [HF_TOKEN]"));
    let at = folder.path();
    let measured = command(at, &["bench", "--output", "baseline.json"])
        .env("HF_TOKEN", SECRET)
        .output()
        .unwrap();
    let measured = Ran::of(&measured).expect(0);
    let child = command(
        at,
        &["gate", "--baseline", "baseline.json", "--output", "out"],
    )
    .env("HF_TOKEN", SECRET)
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut running = Running(child);
    let pid = running.0.id();
    let mut seen = None;
    wait_until("a container", PATIENCE, || {
        if let Some(container) = containers_of_process(pid).first() {
            seen = docker(&["inspect", container]).ok();
        }
        seen.is_some()
    });
    let inspected = seen.unwrap();
    let [container] = &serde_json::from_str::<Vec<serde_json::Value>>(&inspected).unwrap()[..]
    else {
        panic!("{inspected}")
    };
    let variables = container["Config"]["Env"].to_string();
    assert!(
        variables.contains(&format!("HF_TOKEN={SECRET}")),
        "{variables}"
    );
    assert_eq!(inspected.matches(SECRET).count(), 1);

    let mut output = String::new();
    for stream in [
        &mut running.0.stdout.take().unwrap() as &mut dyn std::io::Read,
        &mut running.0.stderr.take().unwrap(),
    ] {
        stream.read_to_string(&mut output).unwrap();
    }
    let code = running.0.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 1 | 3 | 4)), "{code:?}: {output}");
    let files = files_below(at);
    for name in [
        "out/result.json",
        "out/comparison.json",
        "out/report.html",
        "out/server-1.log",
    ] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name}");
    }
    let log = files
        .iter()
        .find(|(path, _)| path.ends_with("server-1.log"))
        .unwrap();
    // The server did print it.
    assert!(String::from_utf8_lossy(&log.1).contains("secret ***"));
    for (path, bytes) in &files {
        let found = bytes
            .windows(SECRET.len())
            .any(|window| window == SECRET.as_bytes());
        assert!(!found, "{path}");
    }
    for text in [&output, &measured.stdout, &measured.stderr] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
