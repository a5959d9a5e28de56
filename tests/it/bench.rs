//! `perfgate bench` on the simulator: what is measured, and that nothing is left behind.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    Running, SMALL_RUN, command, json, processes_with, program, run, simulator, wait_until, write,
};

#[test]
fn a_result_has_the_six_figures_and_the_requests_that_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "bench",
        "--simulator",
        "seed=1",
        "--repeat",
        "2",
        "--output",
        "r.json.zst",
    ];
    arguments.extend(SMALL_RUN);
    let shown = run(folder.path(), &arguments).expect(0).stdout;
    for figure in [
        "QPS",
        "TTFT P50",
        "TTFT P95",
        "TPOT P50",
        "TPOT P95",
        "throughput",
        "peak GPU memory",
        "GPU utilisation",
    ] {
        assert!(shown.contains(figure), "{shown}");
    }
    let run = perfgate::record::load(&folder.path().join("r.json.zst")).unwrap();
    assert_eq!(run.scenarios.len(), 1);
    // On a busy machine one may be void and measured again.
    assert_eq!(run.scenarios[0].counting().count(), 2);
    for repeat in run.scenarios[0].counting() {
        assert_eq!(repeat.requests.unwrap().completed, 120);
        assert_eq!(repeat.mean_output_tokens, Some(16.0));
        let metric = |id: &str| repeat.metrics[&perfgate::metric::Metric::parse(id).unwrap()];
        // A step takes 4 to 5.6 ms; the bounds leave room for a client that is late on a busy machine.
        assert!(
            (0.003..0.05).contains(&metric("tpot.p50")),
            "{}",
            metric("tpot.p50")
        );
        assert!(metric("startup") > 0.0 && metric("kv_cache.tokens") > 1e5);
    }
}

#[test]
fn chat_and_open_loop_are_measured_too() {
    let folder = tempfile::tempdir().unwrap();
    let chat = [
        "bench",
        "--simulator",
        "--model",
        "demo",
        "--endpoint",
        "chat",
        "--num-prompts",
        "20",
        "--request-rate",
        "100",
        "--synthetic-input-tokens-mean",
        "20",
        "--output-tokens-mean",
        "8",
        "--repeat",
        "1",
        "--output",
        "r.json",
    ];
    run(folder.path(), &chat).expect(0);
    let result = json(&folder.path().join("r.json"));
    let repeat = &result["scenarios"][0]["repeats"][0];
    assert_eq!(result["scenarios"][0]["name"], "request_rate=100");
    assert_eq!(repeat["requests"]["completed"], 20);
    // A role chunk before the first token is no token.
    assert!(repeat["metrics"]["ttft.p50"].as_f64().unwrap() > 0.004);
}

#[test]
fn the_log_of_a_started_server_is_written_beside_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = format!(
        "model: demo\nserver: {{process: {{command: [\"{}\", simulate, --port, \"{{port}}\", --model, \"{{model}}\"]}}}}\n",
        program().display()
    );
    write(at, "perfgate.yaml", &plan);
    let arguments = [
        "bench",
        "--num-prompts",
        "8",
        "--repeat",
        "1",
        "--concurrency",
        "2",
        "--output-tokens-mean",
        "4",
    ];
    for _once_more in 0..2 {
        run(at, &arguments).expect(0);
        let log = std::fs::read_to_string(at.join("result.logs/server-1.log")).unwrap();
        assert_eq!(log.matches("listening on").count(), 1, "{log}");
    }
    // A simulator has nothing to say.
    run(
        at,
        &[
            &arguments[..],
            &["--simulator", "--output", "simulated.json"],
        ]
        .concat(),
    )
    .expect(0);
    assert!(!at.join("simulated.logs").exists());
}

#[test]
fn an_attached_server_is_measured_and_left_running() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, url) = simulator(folder.path(), &[]);
    let mut arguments = vec![
        "bench",
        "--url",
        url.as_str(),
        "--repeat",
        "1",
        "--output",
        "r.json",
    ];
    arguments.extend(SMALL_RUN);
    run(folder.path(), &arguments).expect(0);
    assert_eq!(json(&folder.path().join("r.json"))["server"]["kind"], "url");
    assert!(server.0.try_wait().unwrap().is_none());
    // The simulator itself ends in order when it is told to, and says how exact it was.
    kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
    wait_until("the simulator's end", Duration::from_secs(5), || {
        server.0.try_wait().unwrap().is_some()
    });
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut server.0.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(stderr.contains("after their schedule"), "{stderr}");
}

#[test]
fn a_server_that_fails_too_many_requests_is_a_failed_target_and_its_result_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "bench",
        "--simulator",
        "fail-rate=20%,seed=1",
        "--repeat",
        "1",
    ];
    arguments.extend(SMALL_RUN);
    let stderr = run(folder.path(), &arguments).expect(5).stderr;
    assert!(
        stderr.contains("HTTP 500: EngineCore encountered an issue"),
        "{stderr}"
    );
    assert!(
        json(&folder.path().join("result.json"))["scenarios"][0]["repeats"][0]["requests"]["failed"]
            .as_u64() > Some(0)
    );
}

#[test]
fn errors_in_the_stream_and_cut_streams_are_counted_by_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "bench",
        "--simulator",
        "fail-mid-stream-rate=10%,truncate-rate=10%,seed=2",
        "--repeat",
        "1",
    ];
    arguments.extend(SMALL_RUN);
    run(folder.path(), &arguments).expect(5);
    let result = json(&folder.path().join("result.json"));
    let statuses = result["scenarios"][0]["repeats"][0]["samples"]["status"].to_string();
    assert!(
        statuses.contains("the server sent an error in the stream"),
        "{statuses}"
    );
    assert!(statuses.contains("failed: "), "{statuses}");
}

#[test]
fn a_server_that_dies_under_load_is_a_failed_target() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["bench", "--simulator", "die-after=60", "--repeat", "1"];
    arguments.extend(SMALL_RUN);
    let stderr = run(folder.path(), &arguments).expect(5).stderr;
    assert!(stderr.contains("ended"), "{stderr}");
}

#[test]
fn an_interrupt_in_any_phase_ends_with_130_and_leaves_nothing() {
    for (phase, startup) in [("waiting for the server", "30s"), ("warm-up", "0s")] {
        for signal in [Signal::INT, Signal::TERM] {
            let folder = tempfile::tempdir().unwrap();
            // The name is the trace by which the server of this test is found.
            let model = format!(
                "interrupted-{}-{startup}-{}",
                std::process::id(),
                signal.as_raw()
            );
            let options = format!("startup={startup},slowdown=20");
            let arguments = [
                "bench",
                "--simulator",
                &options,
                "--model",
                &model,
                "--num-prompts",
                "400",
                "--warmup-requests",
                "100",
            ];
            let log = folder.path().join("stderr");
            let mut bench = command(folder.path(), &arguments);
            bench
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(&log).unwrap());
            let mut bench = Running(bench.spawn().unwrap());
            let stderr = || std::fs::read_to_string(&log).unwrap();
            let word = if phase == "warm-up" {
                "waiting for the server"
            } else {
                phase
            };
            wait_until(phase, Duration::from_secs(20), || stderr().contains(word));
            if phase == "warm-up" {
                std::thread::sleep(Duration::from_millis(700));
            }
            kill_process(Pid::from_child(&bench.0), signal).unwrap();
            wait_until("the end", Duration::from_secs(20), || {
                bench.0.try_wait().unwrap().is_some()
            });
            let code = bench.0.wait().unwrap().code();
            assert_eq!(code, Some(130), "{phase}: {}", stderr());
            let left = processes_with(&model);
            assert!(left.is_empty(), "{phase}: {left:?}");
        }
    }
}
