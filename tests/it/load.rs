//! The load generator from outside: what it does when it has no CPU, TLS, what `doctor` says of it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::{
    Running, SMALL_RUN, command, json, program, run, simulator, wait_until, write,
};

/// `bench` at the lowest priority, on one CPU with two who never rest.
fn bench_beside_hogs(folder: &Path, url: &str, before: &[&str]) -> Output {
    let _hogs: Vec<Running> = (0..2)
        .map(|_| {
            let hog = Command::new("taskset")
                .args(["-c", "0", "sh", "-c", "while :; do :; done"])
                .spawn();
            Running(hog.unwrap())
        })
        .collect();
    let program = program().display().to_string();
    let mut words = before.to_vec();
    words.extend(["taskset", "-c", "0", "nice", "-n", "19"]);
    words.extend([
        &program, "bench", "--url", url, "--repeat", "1", "--output", "r.json",
    ]);
    words.extend(SMALL_RUN);
    Command::new(words[0])
        .args(&words[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_starved_load_generator_voids_its_own_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = simulator(folder.path(), &[]);
    // Else it would take real-time priority, and nothing could starve it.
    let without_the_right: &[&str] = if rustix::process::geteuid().is_root() {
        &["setpriv", "--bounding-set", "-sys_nice"]
    } else {
        &[]
    };
    let output = bench_beside_hogs(folder.path(), &url, without_the_right);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(
        stderr.contains("is void: the load generator was the bottleneck"),
        "{stderr}"
    );
    assert!(
        stderr.contains("could not be measured 2 times in a row")
            && stderr.contains("setcap cap_sys_nice+ep"),
        "{stderr}"
    );
    let result = json(&folder.path().join("r.json"));
    let repeats = result["scenarios"][0]["repeats"].as_array().unwrap();
    assert_eq!(repeats.len(), 2, "one that was wanted, and one more");
    for repeat in repeats {
        assert!(repeat["void"].as_str().unwrap().contains("bottleneck"));
        assert_eq!(repeat["telemetry"]["client"]["real_time"], false);
    }
}

#[test]
fn a_load_generator_without_room_for_its_connections_voids_its_own_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = simulator(folder.path(), &["--slowdown", "5"]);
    let limited = r#"ulimit -n 170 && exec "$0" "$@""#;
    let output = Command::new("sh")
        .args(["-c", limited])
        .arg(program())
        .args(["bench", "--url", &url, "--repeat", "1", "--model", "demo"])
        .args(["--num-prompts", "200", "--request-rate", "2000"])
        .args(["--warmup-requests", "0", "--output-tokens-mean", "16"])
        .args(["--synthetic-input-tokens-mean", "16", "--output", "r.json"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(
        stderr.contains("Too many open files") && stderr.contains("`ulimit -n`"),
        "{stderr}"
    );
    let result = json(&folder.path().join("r.json"));
    let repeat = &result["scenarios"][0]["repeats"][0];
    assert!(
        repeat["telemetry"]["client"]["unopened"].as_u64() > Some(0),
        "{repeat}"
    );
}

#[test]
fn a_load_generator_that_may_take_real_time_priority_is_not_starved_by_busy_cpus() {
    if Command::new("chrt")
        .args(["-r", "1", "true"])
        .status()
        .is_ok_and(|status| !status.success())
    {
        eprintln!("skipped: no right to real-time priority");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = simulator(folder.path(), &[]);
    let output = bench_beside_hogs(folder.path(), &url, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let result = json(&folder.path().join("r.json"));
    let repeat = &result["scenarios"][0]["repeats"][0];
    assert_eq!(repeat["void"], serde_json::Value::Null, "{repeat}");
    assert_eq!(repeat["telemetry"]["client"]["real_time"], true);
}

#[test]
fn the_figures_of_the_load_generator_are_recorded_in_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "bench",
        "--simulator",
        "--repeat",
        "1",
        "--output",
        "r.json",
    ];
    arguments.extend(SMALL_RUN);
    run(folder.path(), &arguments).expect(0);
    let result = json(&folder.path().join("r.json"));
    let client = &result["scenarios"][0]["repeats"][0]["telemetry"]["client"];
    assert_eq!(client["in_flight"], 16);
    assert_eq!(client["token_chunks"], 120 * 16);
    // Where no socket of the machine asked for stamps before, the first reads may have none.
    let reads = client["reads"].as_f64().unwrap();
    assert!(
        client["unstamped_reads"].as_f64().unwrap() < 0.5 * reads,
        "{client}"
    );
    assert!(client["busy"].as_f64().unwrap() > 0.0);
    assert!(client["starved"].is_number());
}

#[test]
fn the_doctor_measures_which_load_this_machine_can_drive() {
    let folder = tempfile::tempdir().unwrap();
    let figures: serde_json::Value = serde_json::from_str(
        &run(folder.path(), &["doctor", "--format", "json"])
            .expect(0)
            .stdout,
    )
    .unwrap();
    let client = &figures["client"];
    assert_eq!(client["flooded"]["token_chunks"], 256 * 2_048);
    assert!(
        client["crowded"]["send_late"]["p99"].is_number(),
        "{client}"
    );
    assert!(
        client["tokens_per_second_at_most"].as_f64().unwrap() > 10_000.0,
        "{client}"
    );
}

#[test]
fn a_server_behind_tls_is_measured_where_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = simulator(folder.path(), &[]);
    let port = tls_in_front_of(url.strip_prefix("http://").unwrap().to_owned());
    let authority = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tls/authority.pem"
    );
    let https = format!("https://localhost:{port}");
    let mut arguments = vec![
        "bench", "--url", &https, "--repeat", "1", "--output", "r.json",
    ];
    arguments.extend(SMALL_RUN);
    let trusting = command(folder.path(), &arguments)
        .env("SSL_CERT_FILE", authority)
        .output()
        .unwrap();
    assert!(
        trusting.status.success(),
        "{}",
        String::from_utf8_lossy(&trusting.stderr)
    );
    let result = json(&folder.path().join("r.json"));
    assert_eq!(
        result["scenarios"][0]["repeats"][0]["requests"]["completed"],
        120
    );
    let distrusting = run(folder.path(), &arguments);
    assert_eq!(distrusting.code, Some(5), "{}", distrusting.stderr);
}

/// Ends TLS and passes on what comes to `backend`; gives the port.
fn tls_in_front_of(backend: String) -> u16 {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let file = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let certificate = CertificateDer::from_pem_file(file("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
    perfgate::http::install_tls_provider();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, backend) = (acceptor.clone(), backend.clone());
                tokio::spawn(async move {
                    let (Ok(mut outside), Ok(mut inside)) = (
                        acceptor.accept(socket).await,
                        tokio::net::TcpStream::connect(backend).await,
                    ) else {
                        return;
                    };
                    inside.set_nodelay(true).unwrap();
                    let _ended = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
    });
    receiver.recv_timeout(Duration::from_secs(5)).unwrap()
}

#[test]
fn a_server_that_dies_between_two_requests_is_a_failure_and_not_a_hang() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, url) = simulator(folder.path(), &["--die-after", "60"]);
    let mut arguments = vec![
        "bench",
        "--url",
        url.as_str(),
        "--repeat",
        "1",
        "--output",
        "r.json",
        "--timeout",
        "10s",
    ];
    arguments.extend(SMALL_RUN);
    let ran = run(folder.path(), &arguments).expect(5);
    assert!(
        ran.stderr.contains("requests of concurrency=16 failed"),
        "{}",
        ran.stderr
    );
    wait_until("the end of the server", Duration::from_secs(5), || {
        server.0.try_wait().unwrap().is_some()
    });
}

/// `bench` on a simulator whose first requests are like all others.
fn warmed_up(folder: &Path, within: &str, server: &str, status: i32) -> serde_json::Value {
    let mut arguments = vec![
        "bench",
        "--simulator",
        server,
        "--repeat",
        "1",
        "--warmup-until-stable",
        within,
    ];
    arguments.extend(SMALL_RUN);
    run(folder, &arguments).expect(status);
    json(&folder.join("result.json"))["scenarios"][0]["repeats"][0].clone()
}

#[test]
fn the_warm_up_is_repeated_until_three_in_a_row_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let repeat = warmed_up(folder.path(), "30%", "seed=1", 0);
    let warm_up = &repeat["telemetry"]["warm_up"];
    assert_eq!(warm_up["stable"], true, "{warm_up}");
    assert!((3..=10).contains(&warm_up["windows"].as_array().unwrap().len()));
    assert_eq!(repeat["void"], serde_json::Value::Null);
}

#[test]
fn a_server_that_does_not_come_to_rest_voids_its_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let repeat = warmed_up(folder.path(), "0.1%", "step-noise=40%,seed=1", 6);
    let reason = repeat["void"].as_str().unwrap();
    // Beside much other work the client itself may be too late, which is named first.
    let reasons = [
        "the server did not become stable in 10 warm-ups",
        "the load generator was the bottleneck",
    ];
    assert!(
        reasons.iter().any(|known| reason.starts_with(known)),
        "{reason}"
    );
    assert_eq!(
        repeat["telemetry"]["warm_up"]["windows"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
}

#[test]
fn a_warm_up_until_stable_needs_warm_up_requests() {
    let folder = tempfile::tempdir().unwrap();
    let stderr = run(
        folder.path(),
        &[
            "bench",
            "--simulator",
            "--model",
            "demo",
            "--warmup-requests",
            "0",
            "--warmup-until-stable",
            "5%",
        ],
    )
    .expect(2)
    .stderr;
    assert!(stderr.contains("`warmup_requests` is 0"), "{stderr}");
}

#[test]
fn a_load_that_is_never_reached_is_refused_or_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "model: demo\nserver: {simulator: {}}\nrepeat: 1\nwarmup_requests: 0\ninput_tokens: 10\noutput_tokens: 2\n\
                num_requests: 24\nconcurrency: 16\nconversation: {turns: 12}\n";
    write(folder.path(), "perfgate.yaml", plan);
    let ran = run(folder.path(), &["bench", "--concurrency", "64"]).expect(2);
    assert!(ran.stderr.contains("never reached"), "{}", ran.stderr);
    let ramp = ["bench", "--request-rate", "inf", "--ramp-up", "2s"];
    let ran = run(folder.path(), &ramp).expect(2);
    assert!(
        ran.stderr.contains("all requests at once"),
        "{}",
        ran.stderr
    );

    let stderr = run(folder.path(), &["bench"]).expect(0).stderr;
    assert!(stderr.contains("2 conversations of 12 turns"), "{stderr}");
    let result = json(&folder.path().join("result.json"));
    let telemetry = &result["scenarios"][0]["repeats"][0]["telemetry"];
    assert_eq!(telemetry["client"]["in_flight"], 2);
    let warning = telemetry["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("at most 2 requests in flight instead of 16"),
        "{warning}"
    );
}

#[test]
fn entries_without_a_salt_are_not_sent_to_a_warm_server_again() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "perfgate.yaml",
        "model: demo\nserver: {simulator: {}}\ndataset: {path: prompts.jsonl, salt: false}\nwarmup_until_stable: 5%\n",
    );
    let stderr = run(folder.path(), &["bench"]).expect(2).stderr;
    assert!(stderr.contains("`salt: false`"), "{stderr}");
}
