//! A bucket that cannot be reached, or refuses: what may be read all the same, and what is said.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::server::{self, KEY, LOCATION, SECRET, through};
use super::{on_bucket, promote, promotion};
use crate::baseline::result;
use crate::support::{Ran, write};

/// Neither key nor secret may be read anywhere.
fn keeps_secrets(ran: &Ran) {
    for secret in [KEY, SECRET] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));
    }
}

/// A bucket with a baseline, and a folder in which it was read, with a candidate. `None` where there is no server.
fn read_before() -> Option<(server::Server, tempfile::TempDir)> {
    let server = server::start()?;
    let folder = tempfile::tempdir().unwrap();
    promote(&server, folder.path(), 1).expect(0);
    server.run(folder.path(), &on_bucket("show", &[])).expect(0);
    write(
        folder.path(),
        "candidate.json",
        &result(2, 1.001).to_string(),
    );
    Some((server, folder))
}

#[test]
fn without_network_the_copy_is_read_with_its_age_and_nothing_is_written() {
    let Some((mut server, folder)) = read_before() else {
        return;
    };
    let folder = folder.path();
    let arguments = promotion(folder, 2);
    server.stop();

    let listed = server.run(folder, &on_bucket("list", &[])).expect(0);
    assert!(
        listed
            .stderr
            .contains("warning: `s3://perf/team` cannot be reached (")
            && listed.stderr.contains("Connection refused")
            && listed
                .stderr
                .contains("perfgate uses the local copy from 20")
            && listed.stderr.contains("< 1 h old"),
        "{}",
        listed.stderr
    );
    let compare = [
        "compare",
        "--baselines",
        LOCATION,
        "--candidate",
        "candidate.json",
        "--format",
        "json",
    ];
    let compared = server.run(folder, &compare).expect(0);
    let comparison: Value = serde_json::from_str(&compared.stdout).unwrap();
    let warnings = comparison["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|warning| {
        warning["code"] == "baseline-copy"
            && warning["message"]
                .as_str()
                .unwrap()
                .contains("cannot be reached")
    }));

    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let refused = server.run(folder, &words).expect(6);
    assert!(
        refused.stderr.contains("cannot be reached")
            && refused.stderr.contains("nothing was changed"),
        "{}",
        refused.stderr
    );
    keeps_secrets(&refused);
}

#[test]
fn without_network_and_without_a_whole_copy_nothing_passes() {
    let Some((mut server, folder)) = read_before() else {
        return;
    };
    let folder = folder.path();
    server.stop();
    // What was never read here is an error, and no pass: also for a gate, before anything is measured.
    let elsewhere = ["--baselines", "s3://perf/elsewhere"];
    let unknown = [
        &["compare", "--candidate", "candidate.json"][..],
        &elsewhere,
    ]
    .concat();
    let unknown = server.run(folder, &unknown).expect(6);
    assert!(
        unknown.stderr.contains("there is no local copy of"),
        "{}",
        unknown.stderr
    );
    let gate = [
        "gate",
        "--model",
        "demo",
        "--simulator",
        "seed=1",
        "--num-prompts",
        "20",
        "--output",
        "out",
    ];
    server
        .run(folder, &[&gate[..], &elsewhere].concat())
        .expect(6);
    assert!(!folder.join("out/result.json").exists());

    // A copy that was cut off is none.
    for entry in walk(&folder.join("cache")) {
        let bytes = std::fs::read(&entry).unwrap();
        std::fs::File::create(&entry)
            .unwrap()
            .write_all(&bytes[..bytes.len() / 2])
            .unwrap();
    }
    server.run(folder, &on_bucket("list", &[])).expect(6);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn wrong_or_missing_credentials_and_a_missing_bucket_are_reported_without_secrets() {
    let Some(server) = server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    promote(&server, folder, 1).expect(0);
    // A copy is no way around a refusal.
    server.run(folder, &on_bucket("show", &[])).expect(0);
    let with = |change: &dyn Fn(&mut Command), arguments: &[&str]| {
        let mut command = server.command(folder, arguments);
        change(&mut command);
        let ran = Ran::of(&command.output().unwrap()).expect(6);
        keeps_secrets(&ran);
        ran.stderr
    };
    let wrong_secret: &dyn Fn(&mut Command) = &|command| {
        command.env("AWS_SECRET_ACCESS_KEY", "another-secret");
    };
    let refused = with(wrong_secret, &on_bucket("list", &[]));
    assert!(
        refused.contains("`s3://perf/team` refuses to list")
            && refused.contains("SignatureDoesNotMatch")
            && refused.contains("AWS_SECRET_ACCESS_KEY")
            && !refused.contains("another-secret"),
        "{refused}"
    );
    with(
        wrong_secret,
        &on_bucket("update", &["result-1.json", "--branch", "main"]),
    );
    let no_credentials: &dyn Fn(&mut Command) = &|command| {
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9");
    };
    let none = with(no_credentials, &on_bucket("list", &[]));
    assert!(
        none.contains("no credentials for `s3://perf/team`")
            && none.contains("hint: set AWS_ACCESS_KEY_ID"),
        "{none}"
    );
    for what in ["list", "verify"] {
        let missing = with(
            &|_| {},
            &["baseline", what, "--baselines", "s3://no-such-bucket/team"],
        );
        assert!(
            missing.contains("the bucket `s3://no-such-bucket/team` does not exist"),
            "{missing}"
        );
    }
    let update = [
        "baseline",
        "update",
        "result-1.json",
        "--branch",
        "main",
        "--baselines",
        "s3://no-such-bucket",
    ];
    let missing = with(&|_| {}, &update);
    assert!(
        missing.contains("the bucket `s3://no-such-bucket` does not exist"),
        "{missing}"
    );
    // A server that never answers is not waited for for ever.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let began = std::time::Instant::now();
    let mut command = through(port, folder, &on_bucket("show", &[]));
    let waited = Ran::of(&command.env("AWS_TIMEOUT", "6 seconds").output().unwrap()).expect(0);
    assert!(began.elapsed() < Duration::from_secs(31));
    assert!(
        waited
            .stderr
            .contains("still waiting for `s3://perf/team` to list")
            && waited.stderr.contains("perfgate uses the local copy"),
        "{}",
        waited.stderr
    );
}
