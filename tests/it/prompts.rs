//! Which prompts a server sees in two runs of the same plan.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Running, json, run, wait_until, write};

const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/recording_server.py"
);

/// Warm-up and measured requests of one repeat.
const REQUESTS: usize = 2 + 6;

/// What the server was sent in one repeat, and its nonce.
fn prompts(folder: &Path, workload: &str, target: &[&str]) -> (Vec<String>, serde_json::Value) {
    let server = format!(
        "model: demo\nserver: {{process: {{command: [python3, {SERVER}, \"{{port}}\"]}}}}\nrepeat: 1\n"
    );
    let load = "num_requests: 6\nwarmup_requests: 2\nconcurrency: 1\noutput_tokens: 2\n";
    write(
        folder,
        "perfgate.yaml",
        &format!("{server}{load}{workload}\n"),
    );
    write(folder, "prompts", "");
    run(folder, &[&["bench"], target].concat()).expect(0);
    let text = std::fs::read_to_string(folder.join("prompts")).unwrap();
    let prompts = text.lines().take(REQUESTS).map(str::to_owned).collect();
    let repeat = &json(&folder.join("result.json"))["scenarios"][0]["repeats"][0];
    (prompts, repeat["telemetry"]["prompt_nonce"].clone())
}

#[test]
fn a_server_that_outlives_the_run_sees_no_prompt_twice_and_a_fresh_one_the_same_ones() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new("python3");
    command
        .args([SERVER, &port.to_string()])
        .current_dir(folder);
    let _server = Running(command.spawn().unwrap());
    wait_until("the server", Duration::from_secs(20), || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let lines: String = (0..8)
        .map(|number| format!("{{\"prompt\": \"question {number}\"}}\n"))
        .collect();
    write(folder, "questions.jsonl", &lines);

    let url = format!("http://127.0.0.1:{port}");
    for workload in [
        "prefix: {share: 50%, groups: 2}\ninput_tokens: 16",
        "dataset: questions.jsonl",
    ] {
        let twice = |target: &[&str]| [(); 2].map(|()| prompts(folder, workload, target));
        let [(first, nonce), (second, other)] = twice(&["--url", &url]);
        assert!(nonce.is_string() && nonce != other, "{nonce}, {other}");
        // Not even the first words or tokens: a prefix cache would answer those.
        let head = |prompt: &String| prompt[..16].to_owned();
        let known: Vec<String> = first.iter().map(head).collect();
        assert!(second.iter().all(|prompt| !known.contains(&head(prompt))));
        let lengths = |prompts: &[String]| -> Vec<usize> {
            prompts
                .iter()
                .map(|prompt| prompt.split([',', ' ']).count())
                .collect()
        };
        assert_eq!(lengths(&first), lengths(&second));

        let [(first, nonce), (second, _)] = twice(&[]);
        assert_eq!((first.len(), nonce), (REQUESTS, serde_json::Value::Null));
        assert_eq!(first, second);
    }
}
