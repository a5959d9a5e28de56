//! Baselines in a bucket that many share: the real binary against a real object store on loopback.

mod proxy;
mod reach;
mod server;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::baseline::result;
use crate::support::{Ran, json as read_json, run, write};
use proxy::Fate;
use server::{LOCATION, Server, through};

const LEDGER: &str = "llama/nvidia-l4.ledger.jsonl";
const BASELINE: &str = "llama/nvidia-l4.json";

/// `perfgate baseline WHAT …` on the bucket.
fn on_bucket<'a>(what: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["baseline", what];
    arguments.extend(more);
    arguments.extend(["--baselines", LOCATION]);
    arguments
}

/// The arguments that promote the run of a day.
fn promotion(folder: &Path, day: u32) -> Vec<String> {
    let name = format!("result-{day}.json");
    write(folder, &name, &result(day, 1.0).to_string());
    let words = on_bucket("update", &[&name, "--branch", "main"]);
    words.into_iter().map(str::to_owned).collect()
}

fn promote(server: &Server, folder: &Path, day: u32) -> Ran {
    let arguments = promotion(folder, day);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    server.run(folder, &words)
}

fn days(ledger: &str) -> Vec<String> {
    let lines = ledger.lines().map(|line| {
        let session: Value = serde_json::from_str(line).unwrap();
        session["created"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

#[test]
fn the_baseline_commands_work_on_a_bucket_as_on_a_folder() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let nothing = server.run(folder, &on_bucket("list", &[])).expect(4);
    assert!(nothing.stderr.contains("no baseline in `s3://perf/team`"));
    let dry = server.run(folder, &{
        write(folder, "result.json", &result(1, 1.0).to_string());
        on_bucket("update", &["result.json", "--branch", "main", "--dry-run"])
    });
    assert!(dry.expect(0).stdout.contains("would be the baseline"));
    server.run(folder, &on_bucket("list", &[])).expect(4);

    let first = on_bucket(
        "update",
        &["result.json", "--branch", "main", "--release", "v1.0.0"],
    );
    let ran = server.run(folder, &first).expect(0);
    insta::assert_snapshot!(ran.stdout, @"
        `result.json` is now the baseline of llama on nvidia-l4, session 1 of its ledger
          it is the release v1.0.0; later runs are also compared with it
        ");
    for day in 2..=4 {
        promote(&server, folder, day).expect(0);
    }
    // The same files under the same names, so that a folder can be copied into a bucket and back.
    for name in [BASELINE, LEDGER, "llama/nvidia-l4.release.json"] {
        assert!(server.text(name).contains("\"promotion\""), "{name}");
    }
    assert_eq!(days(&server.text(LEDGER)).len(), 4);
    let again = promote(&server, folder, 4).expect(0);
    assert!(
        again.stdout.contains("was already the baseline"),
        "{}",
        again.stdout
    );
    assert_eq!(days(&server.text(LEDGER)).len(), 4);

    let listed = server
        .run(folder, &on_bucket("list", &["--format", "json"]))
        .expect(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed[0]["sessions"], 4);
    assert_eq!(listed[0]["release"], "v1.0.0");
    let shown = server
        .run(folder, &on_bucket("show", &["llama"]))
        .expect(0)
        .stdout;
    assert!(
        shown.contains("baseline: s3://perf/team/llama/nvidia-l4.json"),
        "{shown}"
    );
    let csv = ["llama", "--metric", "tpot.p95", "--format", "csv"];
    let csv = server
        .run(folder, &on_bucket("history", &csv))
        .expect(0)
        .stdout;
    assert_eq!(csv.lines().count(), 1 + 4, "{csv}");
    let whole = server.run(folder, &on_bucket("verify", &[])).expect(0);
    assert_eq!(
        whole.stdout,
        "llama on nvidia-l4: complete and consistent\n"
    );
}

#[test]
fn a_later_run_is_judged_by_the_baseline_and_the_release_in_the_bucket() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "first.json", &result(1, 1.0).to_string());
    let first = ["first.json", "--branch", "main", "--release", "v1.0.0"];
    server.run(folder, &on_bucket("update", &first)).expect(0);
    promote(&server, folder, 2).expect(0);
    // What speaks against a run is judged by what stands there.
    write(folder, "slow.json", &result(5, 1.2).to_string());
    let slow = on_bucket("update", &["slow.json", "--branch", "main"]);
    let refused = server.run(folder, &slow).expect(1);
    assert!(
        refused.stderr.contains("is worse than the baseline"),
        "{}",
        refused.stderr
    );
    let compared = [
        "compare",
        "--baselines",
        LOCATION,
        "--candidate",
        "slow.json",
        "--format",
        "json",
    ];
    let compared = server.run(folder, &compared).expect(1);
    let comparison: Value = serde_json::from_str(&compared.stdout).unwrap();
    assert_eq!(comparison["verdict"], "block");
    let codes = comparison["warnings"].to_string();
    assert!(codes.contains("slower-than-release"), "{codes}");
}

#[test]
fn a_gate_reads_its_baseline_from_the_bucket() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(
        folder,
        "perfgate.yaml",
        "name: demo\nmodel: demo\nserver: {simulator: {seed: 7, noise: 0.2%}}\nnum_requests: 160\nconcurrency: 16\n\
         input_tokens: 64\noutput_tokens: 24\nrepeat: 3\n",
    );
    let gate = ["gate", "--output", "out", "--baselines", LOCATION];
    let first = server.run(folder, &gate).expect(4);
    assert!(
        first
            .stderr
            .contains("`s3://perf/team/demo/simulated-gpu-80gb.json` does not exist")
            && first
                .stderr
                .contains("--baselines 's3://perf/team' --because"),
        "{}",
        first.stderr
    );
    let accept = [
        "out/result.json",
        "--because",
        "the first baseline",
        "--name",
        "demo",
    ];
    server.run(folder, &on_bucket("update", &accept)).expect(0);
    server.run(folder, &gate).expect(0);
    let comparison = read_json(&folder.join("out/comparison.json"));
    assert_eq!(
        comparison["baseline"]["file"],
        "s3://perf/team/demo/simulated-gpu-80gb.json"
    );
}

#[test]
fn promotions_at_once_on_a_bucket_lose_nothing() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let children: Vec<_> = (1..=12)
        .map(|day| {
            let arguments = promotion(folder, day);
            let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            // Those of earlier days may come second.
            words.extend(["--because", "twelve at once"]);
            let mut command = server.command(folder, &words);
            command.stdout(std::process::Stdio::piped());
            command.stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut met = 0;
    for child in children {
        let ran = Ran::of(&child.wait_with_output().unwrap()).expect(0);
        met += u32::from(ran.stderr.contains("at the same time"));
    }
    let mut days = days(&server.text(LEDGER));
    let baseline: Value = serde_json::from_slice(&server.get(BASELINE)).unwrap();
    // Whoever was last is the baseline.
    assert_eq!(
        baseline["created"].as_str(),
        days.last().map(String::as_str)
    );
    days.sort();
    days.dedup();
    assert_eq!(days.len(), 12);
    assert!(met > 0, "no two met, so nothing was shown");
    server.run(folder, &on_bucket("verify", &[])).expect(0);
}

#[test]
fn a_promotion_that_is_killed_between_its_writes_is_found_and_ended_by_doing_it_again() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    promote(&server, folder, 1).expect(0);
    let victim: Arc<OnceLock<u32>> = Arc::default();
    let killed = Arc::clone(&victim);
    let port = proxy::start(server.port, move |line| {
        if line.starts_with("PUT ") && line.contains("nvidia-l4.json") {
            let pid = i32::try_from(*killed.wait()).unwrap();
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            return Fate::IsLost;
        }
        Fate::Passes
    });
    let arguments = promotion(folder, 2);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut child = through(port, folder, &words).spawn().unwrap();
    victim.set(child.id()).unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was to be killed");

    assert_eq!(days(&server.text(LEDGER)).len(), 2);
    let found = server.run(folder, &on_bucket("verify", &[])).expect(2);
    assert!(
        found
            .stdout
            .contains("s3://perf/team/llama/nvidia-l4.json: it differs from the last session")
            && found.stdout.contains("perfgate baseline update RESULT"),
        "{}",
        found.stdout
    );
    promote(&server, folder, 2).expect(0);
    server.run(folder, &on_bucket("verify", &[])).expect(0);
    assert_eq!(days(&server.text(LEDGER)).len(), 2);
}

#[test]
fn a_write_whose_answer_is_lost_is_not_written_twice() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    promote(&server, folder, 1).expect(0);
    for (day, object) in [(2, "ledger.jsonl"), (3, "nvidia-l4.json")] {
        let lost = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&lost);
        let port = proxy::start(server.port, move |line| {
            let is_it = line.starts_with("PUT ") && line.contains(object);
            if is_it && count.fetch_add(1, Ordering::SeqCst) == 0 {
                return Fate::AnswerIsLost;
            }
            Fate::Passes
        });
        let arguments = promotion(folder, day);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = Ran::of(&through(port, folder, &words).output().unwrap());
        assert!(lost.load(Ordering::SeqCst) > 0, "no answer was lost");
        // Whether it could be told or not, doing it once more ends it.
        if ran.code != Some(0) {
            assert!(
                ran.stderr.contains("the promotion is not finished"),
                "{}",
                ran.stderr
            );
            promote(&server, folder, day).expect(0);
        }
        assert_eq!(
            days(&server.text(LEDGER)).len(),
            usize::try_from(day).unwrap()
        );
        server.run(folder, &on_bucket("verify", &[])).expect(0);
    }
}

#[test]
fn a_truncated_file_in_the_bucket_is_found_and_refused_until_it_is_repaired() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for day in 1..=3 {
        promote(&server, folder, day).expect(0);
    }
    let whole = server.text(LEDGER);
    server.put(LEDGER, &whole.as_bytes()[..whole.len() - 40]);
    let found = server.run(folder, &on_bucket("verify", &[])).expect(2);
    assert!(
        found
            .stdout
            .contains("s3://perf/team/llama/nvidia-l4.ledger.jsonl:3: the line is truncated")
            && found.stdout.contains("aws s3 cp")
            && found.stdout.contains("sed -i '3d'"),
        "{}",
        found.stdout
    );
    let refused = promote(&server, folder, 4).expect(2);
    assert!(
        refused.stderr.contains("line 3") && refused.stderr.contains("baseline verify"),
        "{}",
        refused.stderr
    );
    server.put(LEDGER, whole);
    // A baseline that is no JSON is found too, and mended by an earlier version of it.
    let baseline = server.get(BASELINE);
    server.put(BASELINE, &baseline[..100]);
    let found = server.run(folder, &on_bucket("verify", &[])).expect(2);
    assert!(
        found.stdout.contains("if the bucket keeps versions"),
        "{}",
        found.stdout
    );
    promote(&server, folder, 4).expect(2);
    server.put(BASELINE, baseline);
    promote(&server, folder, 4).expect(0);
    server.run(folder, &on_bucket("verify", &[])).expect(0);
}

#[test]
fn an_invalid_location_is_a_usage_error_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    for (location, message) in [
        (
            "https://user:hunter2@host/x",
            "the scheme `https://` is not supported",
        ),
        ("s3://user:hunter2@bucket", "is not allowed"),
        ("s3://bucket/p?X-Amz-Signature=hunter2", "is not allowed"),
        ("file://user:hunter2@host/x", "a file URL has three slashes"),
        ("s3://", "the bucket is missing"),
    ] {
        let ran = run(
            folder.path(),
            &["baseline", "list", "--baselines", location],
        )
        .expect(2);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
}

#[test]
fn the_server_of_these_tests_lets_one_of_many_conditional_puts_win() {
    let Some(server) = server::start() else {
        return;
    };
    for _ in 0..2 {
        assert_eq!(
            server.race(8),
            1,
            "a test of promotions at once would show nothing"
        );
    }
}
