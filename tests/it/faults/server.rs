//! Servers that fail.

use super::{Fault, MIDDLE, SHORT, Scene, says};

/// A row of the page.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) when: &'static str,
    pub(super) code: i32,
    pub(super) says: &'static str,
    pub(super) kept: usize,
}

impl Row {
    fn check(&self, fault: Fault) {
        let scene = Scene::new(fault, SHORT);
        let code = scene.bench().end();
        let stderr = scene.stderr();
        assert_eq!(code, Some(self.code), "{stderr}");
        assert!(says(&stderr, self.says), "{} in\n{stderr}", self.says);
        // Whoever reads an error is told what to do next.
        assert_eq!(stderr.contains("\nhint: "), self.code != 0, "{stderr}");
        let kept = if self.code == 0 {
            scene.counting("out/result.json")
        } else {
            scene.kept("out/result.json")
        };
        assert_eq!(kept, self.kept, "{stderr}");
    }
}

macro_rules! rows {
    ($($test:ident: $what:literal, $when:literal, ($fault:literal, $start:expr, $request:expr) => $code:literal, $says:literal, $kept:literal;)*) => {
        /// All of them, in the order of the page.
        pub(super) const ROWS: &[Row] = &[
            $(Row { what: $what, when: $when, code: $code, says: $says, kept: $kept }),*
        ];
        $(
            #[test]
            fn $test() {
                let row = Row { what: $what, when: $when, code: $code, says: $says, kept: $kept };
                row.check(Fault { name: $fault, start: $start, request: $request });
            }
        )*
    };
}

rows! {
    a_server_that_dies_at_its_start_shows_its_last_words:
        "dies", "at its start", ("dies-at-the-start", 1, 1)
        => 5, "error: the server ended with exit code 3 before it was ready…server| RuntimeError: no such device", 0;
    a_server_that_dies_at_its_second_start_leaves_the_first_repeat:
        "dies", "at its start, second repeat", ("dies-at-the-start", 2, 1)
        => 5, "error: the server ended with exit code 3 before it was ready…hint: earlier repeats are kept in `out/result.json`", 1;
    a_server_that_dies_while_it_loads_shows_its_last_words:
        "dies", "while it loads", ("dies-while-loading", 1, 1)
        => 5, "error: the server ended with exit code 3 before it was ready…server| RuntimeError: weights are broken", 0;
    a_server_that_dies_in_the_warm_up_is_named_as_dead:
        "dies", "in the warm-up", ("dies", 1, 2)
        => 5, "error: the server ended during repeat 1 of concurrency=4: the server ended with exit code 7 during the measurement…server| CUDA error", 0;
    a_server_that_dies_in_a_repeat_is_named_as_dead:
        "dies", "in a repeat", ("dies", 1, MIDDLE)
        => 5, "error: the server ended during repeat 1 of concurrency=4: the server ended with exit code 7 during the measurement", 0;
    a_server_that_dies_in_the_second_repeat_leaves_the_first:
        "dies", "in the second repeat", ("dies", 2, MIDDLE)
        => 5, "error: the server ended during repeat 2 of concurrency=4: the server ended with exit code 7 during the measurement…hint: earlier repeats are kept in `out/result.json`", 1;
    a_server_that_never_becomes_ready_ends_with_the_time_out:
        "answers 503 for ever", "while it loads", ("never-ready", 1, 1)
        => 5, "error: the server was not ready after 3 s: /health: HTTP 503…hint: raise `ready_timeout`", 0;
    a_server_that_never_answers_while_it_loads_ends_with_the_time_out:
        "never answers", "while it loads", ("hangs-while-loading", 1, 1)
        => 5, "error: the server was not ready after 3 s: /health: operation timed out…hint: raise `ready_timeout`", 0;
    a_server_that_speaks_no_http_is_not_ready:
        "answers in another protocol than HTTP", "while it loads", ("no-http-while-loading", 1, 1)
        => 5, "error: the server was not ready after 3 s: /health: invalid HTTP version parsed…hint: raise `ready_timeout`", 0;
    the_page_of_a_proxy_is_not_ready:
        "answers with a proxy's 502 page", "while it loads", ("proxy-page-while-loading", 1, 1)
        => 5, "error: the server was not ready after 3 s: /health: HTTP 502…hint: raise `ready_timeout`", 0;
    requests_that_are_never_answered_time_out:
        "never answers", "from the warm-up on", ("hangs", 1, 1)
        => 5, "error: no request of the warm-up of concurrency=4 was answered within 1 s…hint: the server reported ready but answered no request; if it is only slow, raise `timeout` (1 s)", 0;
    requests_that_are_no_longer_answered_time_out:
        "never answers", "in a repeat", ("hangs", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: timed out (…)…raise `timeout` (1 s)…", 1;
    a_server_that_hangs_in_the_second_repeat_leaves_both:
        "never answers", "in the second repeat", ("hangs", 2, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: timed out (…)…raise `timeout` (1 s)…", 2;
    streams_that_stop_in_the_middle_time_out:
        "stops sending in the middle of its streams", "in a repeat", ("stops-sending", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: timed out (…)…raise `timeout` (1 s)…", 1;
    a_server_that_ignores_sigterm_is_killed_after_its_grace:
        "ignores SIGTERM (killed after 20 s)", "when it is stopped", ("ignores-sigterm", 2, 1)
        => 0, "result written to `out/result.json`", 2;
    errors_from_the_warm_up_on_are_counted:
        "answers 500", "from the warm-up on", ("fails", 1, 1)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: HTTP 500: EngineCore encountered an issue (…)…", 1;
    errors_in_the_second_repeat_leave_both:
        "answers 500", "in the second repeat", ("fails", 2, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: HTTP 500: EngineCore encountered an issue (…)…", 2;
    errors_in_a_part_of_the_requests_are_counted:
        "answers every fourth request with 500", "in a repeat", ("fails-in-part", 1, 1)
        => 5, "error: 1 of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: HTTP 500: EngineCore encountered an issue (once)…", 1;
    connections_that_are_reset_are_failed_requests:
        "resets connections", "in a repeat", ("resets", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: Connection reset by peer (os error 104) (…)…", 1;
    streams_that_are_reset_are_failed_requests:
        "resets connections in the middle of streams", "in a repeat", ("resets-in-the-stream", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: Connection reset by peer (os error 104) (…)…", 1;
    streams_that_are_cut_are_failed_requests:
        "closes connections in the middle of streams", "in a repeat", ("closes-in-the-stream", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the connection was closed before the end of the answer (…)…", 1;
    requests_that_are_taken_and_dropped_are_failed_requests:
        "takes requests, and closes 100 ms later without an answer", "in a repeat", ("drops", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the server closed the connection without an answer (…)…", 1;
    connections_that_are_closed_between_two_requests_are_opened_anew:
        "closes idle connections silently", "between requests", ("closes-idle", 1, 1)
        => 0, "result written to `out/result.json`", 2;
    what_is_no_http_is_a_failed_request:
        "answers in another protocol than HTTP", "in a repeat", ("no-http", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the answer is not HTTP: …(…)…", 1;
    an_event_that_is_no_json_is_a_failed_request:
        "sends a broken event", "in a repeat", ("broken-event", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the stream contains an event that is not a completion chunk: … (…)…", 1;
    an_answer_that_is_no_stream_is_a_failed_request:
        "answers with broken JSON instead of a stream", "in a repeat", ("broken-json", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the answer is not a stream of events: … (…)…", 1;
    a_header_that_does_not_end_is_a_failed_request:
        "sends a header that does not end", "in a repeat", ("endless-header", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the answer has a head without an end (…)…", 1;
    a_line_that_does_not_end_is_a_failed_request:
        "sends a line that does not end", "in a repeat", ("endless-line", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: an event is longer than 4194304 bytes (…)…", 1;
    a_page_in_place_of_a_stream_is_a_failed_request:
        "answers 200 with a page (HTML)", "in a repeat", ("wrong-type", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: the answer is not a stream of events: …Please sign in… (…)…", 1;
    the_page_of_a_proxy_is_a_failed_request:
        "answers with a proxy's 502 page", "in a repeat", ("proxy-page", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: failed: HTTP 502: …502 Bad Gateway…(…)…", 1;
    a_server_that_becomes_slow_is_measured_as_slow:
        "becomes five times slower", "in a repeat", ("slow", 1, MIDDLE)
        => 0, "result written to `out/result.json`", 2;
    a_server_that_becomes_slower_than_the_time_out_fails_requests:
        "becomes slower than `timeout`", "in a repeat", ("too-slow", 1, MIDDLE)
        => 5, "error: … of 12 requests of concurrency=4 failed; the limit is 1 %; the most frequent reason: timed out (…)…raise `timeout` (1 s)…", 1;
}

#[test]
fn the_gate_keeps_the_log_of_every_server_and_the_repeats_before() {
    let fault = Fault {
        name: "dies",
        start: 2,
        request: MIDDLE,
    };
    let scene = Scene::new(fault, SHORT);
    let code = scene.begin(&["gate", "--output", "out"]).end();
    let stderr = scene.stderr();
    assert_eq!(code, Some(5), "{stderr}");
    assert!(
        says(
            &stderr,
            "server| CUDA error…hint: complete server log: `out/server-2.log`…hint: earlier repeats are kept in `out/evidence/…candidate.json`"
        ),
        "{stderr}"
    );
    assert_eq!(scene.kept("out/result.json"), 1);
    let log = |name: &str| std::fs::read_to_string(scene.path().join("out").join(name)).unwrap();
    assert_eq!(log("server-1.log"), "serving\n");
    assert!(log("server-2.log").contains("CUDA error"));
}

#[test]
fn an_attached_server_that_dies_fails_the_requests_and_leaves_what_was_measured() {
    let fault = Fault {
        name: "dies",
        start: 1,
        request: MIDDLE,
    };
    let scene = Scene::new(fault, SHORT);
    let (_server, url) = scene.attached();
    let code = scene
        .begin(&["bench", "--url", &url, "--output", "out/result.json"])
        .end();
    let stderr = scene.stderr();
    assert_eq!(code, Some(5), "{stderr}");
    assert!(
        says(
            &stderr,
            " of 12 requests of concurrency=4 failed…hint: the measurements are in `out/result.json`"
        ),
        "{stderr}"
    );
    assert_eq!(scene.kept("out/result.json"), 1);
}

#[test]
fn an_address_without_a_ready_server_is_named_with_a_hint_to_check_it() {
    let scene = Scene::new(
        Fault {
            name: "never-ready",
            start: 1,
            request: 1,
        },
        SHORT,
    );
    let (server, url) = scene.attached();
    let code = scene.begin(&["bench", "--url", &url]).child.wait().unwrap();
    let stderr = scene.stderr();
    assert_eq!(code.code(), Some(5), "{stderr}");
    assert!(
        says(
            &stderr,
            "error: no server is ready at http://127.0.0.1:…: /health: HTTP 503…hint: check the address…/health"
        ),
        "{stderr}"
    );
    drop(server);
}
