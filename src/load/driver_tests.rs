//! The driver against a scripted server.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{LoadResult, LoadTest};
use crate::config::{Endpoint, ExtraBody, LoadPoint, Sampling};
use crate::load::{Client, LoadError, RequestTemplate, StopConditions};
use crate::measure::{RequestOutcome, Stop};
use crate::workload::{Follows, Prompt, Request};

/// Reaction of the server to a request.
#[derive(Clone, Copy)]
enum Action {
    /// A whole answer of two tokens.
    Answer,
    /// These bytes, then it closes.
    Bytes(&'static str),
    /// No answer; it closes at once.
    Close,
    /// No answer; it closes after 100 ms of work.
    Drop,
    /// A whole answer; it closes if no request follows for a moment.
    AnswerAndWait,
    /// No answer; the connection stays open.
    Silence,
    /// A whole answer, the second token 400 ms after the first.
    AnswerSlowly,
    /// A whole answer, then other bytes a moment later.
    AnswerAndMore,
}

fn whole_answer() -> String {
    let events = [
        r#"{"choices":[{"index":0,"text":"a","finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"text":"b","finish_reason":"length"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        "[DONE]",
    ];
    let chunks = events.map(|event| format!("{:x}\r\ndata: {event}\n\n\r\n", event.len() + 8));
    format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunks.concat()
    )
}

/// A server that reacts to the n-th request with the n-th action.
fn server(action: fn(usize) -> Action) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || serve(connection, action, &count));
        }
    });
    address
}

fn serve(mut connection: TcpStream, action: fn(usize) -> Action, count: &AtomicUsize) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..length]);
        if !request.ends_with(b"}}") {
            continue;
        }
        request.clear();
        let sent = match action(count.fetch_add(1, Ordering::SeqCst)) {
            Action::Answer => connection.write_all(whole_answer().as_bytes()),
            Action::Bytes(bytes) => {
                let _sent = connection.write_all(bytes.as_bytes());
                return;
            }
            Action::Close => return,
            Action::Drop => {
                std::thread::sleep(Duration::from_millis(100));
                return;
            }
            Action::AnswerAndWait => {
                let patience = Some(Duration::from_millis(20));
                connection.set_read_timeout(patience).unwrap();
                connection.write_all(whole_answer().as_bytes())
            }
            Action::Silence => Ok(()),
            Action::AnswerSlowly => {
                let whole = whole_answer();
                let second = whole.find("\"b\"").unwrap_or_default();
                let sent = connection.write_all(&whole.as_bytes()[..second]);
                std::thread::sleep(Duration::from_millis(400));
                sent.and_then(|()| connection.write_all(&whole.as_bytes()[second..]))
            }
            Action::AnswerAndMore => {
                let sent = connection.write_all(whole_answer().as_bytes());
                std::thread::sleep(Duration::from_millis(50));
                sent.and_then(|()| connection.write_all(b"HTTP/1.1 200 OK\r\n"))
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn request(index: usize, follows: Option<Follows>) -> Request {
    Request {
        index,
        prompt: Prompt::TokenIds(vec![7]),
        output_tokens: 2,
        due: None,
        follows,
    }
}

async fn drive(address: SocketAddr, load: LoadPoint, requests: Vec<Request>) -> LoadResult {
    let load_test = load_test(address, load, requests).await;
    load_test
        .run(Arc::default(), &CancellationToken::new())
        .await
        .unwrap()
}

async fn load_test(address: SocketAddr, load: LoadPoint, requests: Vec<Request>) -> LoadTest {
    LoadTest {
        client: Client::find(&format!("http://{address}/v1/completions"), None)
            .await
            .unwrap(),
        template: RequestTemplate {
            endpoint: Endpoint::Completions,
            model: "m".to_owned(),
            sampling: Sampling::default(),
            extra_body: ExtraBody::new(),
        },
        requests,
        load,
        ramp_up: Duration::ZERO,
        timeout: Duration::from_millis(700),
        duration: None,
        seed: 1,
        stop_conditions: StopConditions::default(),
    }
}

fn outcomes(driven: &LoadResult) -> Vec<String> {
    driven
        .traces
        .iter()
        .map(|trace| trace.outcome.to_string())
        .collect()
}

#[tokio::test]
async fn every_kind_of_failure_is_counted_and_the_rest_continues() {
    let address = server(|number| match number {
        0 => Action::Bytes("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nbusy"),
        1 => Action::Bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 36\r\n\r\ndata: {\"error\":{\"message\":\"dead\"}}\n\n",
        ),
        2 => Action::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\ndata: [DONE]\n\n"),
        3 => Action::Bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nda"),
        4 => Action::Bytes("SSH-2.0-OpenSSH\r\n"),
        5 => Action::Silence,
        6 => Action::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ndata: {\n\n"),
        _ => Action::Answer,
    });
    let requests = (0..9).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    insta::assert_snapshot!(outcomes(&driven).join("\n"));
}

#[tokio::test]
async fn a_server_that_refuses_every_connection_fails_every_request() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let requests = (0..300).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(4), requests).await;
    assert_eq!(driven.traces.len(), 300);
    for outcome in outcomes(&driven) {
        assert!(outcome.contains("refused"), "{outcome}");
    }
}

#[tokio::test]
async fn a_request_that_meets_a_closing_connection_is_sent_once_more() {
    let address = server(|number| match number {
        1 => Action::Close,
        _ => Action::Answer,
    });
    let requests = (0..3).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    assert_eq!(outcomes(&driven), ["ok", "ok", "ok"]);
    assert_eq!(driven.client.sent_again, 1);
}

#[tokio::test]
async fn a_request_that_the_server_took_and_dropped_has_failed() {
    let address = server(|number| match number {
        0 => Action::Answer,
        _ => Action::Drop,
    });
    let requests = (0..2).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    assert_eq!(
        outcomes(&driven),
        [
            "ok",
            "failed: the server closed the connection without an answer"
        ]
    );
    assert_eq!(driven.client.sent_again, 0);
}

#[tokio::test]
async fn idle_connections_that_the_server_closes_cost_no_request() {
    let rate = LoadPoint::Rate {
        per_second: 10.0,
        burstiness: f64::INFINITY,
    };
    let requests = (0..6).map(|index| request(index, None)).collect();
    let driven = drive(server(|_| Action::AnswerAndWait), rate, requests).await;
    assert_eq!(outcomes(&driven), ["ok"; 6]);
    assert_eq!(driven.client.sent_again, 0);
}

#[tokio::test]
async fn a_request_is_not_sent_again_and_again() {
    let address = server(|number| match number {
        0 => Action::Answer,
        _ => Action::Close,
    });
    let requests = (0..2).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    assert_eq!(driven.traces[0].outcome, RequestOutcome::Ok);
    assert!(
        matches!(&driven.traces[1].outcome, RequestOutcome::Failed(reason) if reason.contains("closed"))
    );
}

/// Connections opened in advance answer once and close; each later one sends its first answer before it reads anything.
fn hasty_server(ahead: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, mut connection) in listener.incoming().flatten().enumerate() {
            std::thread::spawn(move || {
                let is_hasty = number >= ahead;
                if is_hasty {
                    connection.write_all(whole_answer().as_bytes()).unwrap();
                }
                // The next request may arrive in one piece with the one that is already answered.
                let mut owed = -i32::from(is_hasty);
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = connection.read(&mut buffer) {
                    let ends = buffer[..length].windows(2).filter(|two| *two == b"}}");
                    owed += i32::try_from(ends.count()).unwrap();
                    while owed > 0 {
                        owed -= 1;
                        connection.write_all(whole_answer().as_bytes()).unwrap();
                        if !is_hasty {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_arrives_before_its_request_is_sent_frees_its_slot_once() {
    let requests = (0..12).map(|index| request(index, None)).collect();
    let driven = drive(hasty_server(2), LoadPoint::Concurrency(2), requests).await;
    let outcomes: Vec<&RequestOutcome> = driven.traces.iter().map(|trace| &trace.outcome).collect();
    assert_eq!(outcomes, vec![&RequestOutcome::Ok; 12]);
}

#[tokio::test]
async fn later_turns_wait_for_their_answer_and_the_pause() {
    let address = server(|_| Action::Answer);
    let pause = Duration::from_millis(40);
    let turn = |index| Follows { index, pause };
    let requests = vec![
        request(0, None),
        request(1, Some(turn(0))),
        request(2, Some(turn(1))),
    ];
    let rate = LoadPoint::Rate {
        per_second: f64::INFINITY,
        burstiness: 1.0,
    };
    let driven = drive(address, rate, requests).await;
    assert_eq!(outcomes(&driven), ["ok", "ok", "ok"]);
    for pair in driven.traces.windows(2) {
        assert!(pair[1].sent - pair[0].ended >= 0.04, "{pair:?}");
    }
}

#[tokio::test]
async fn turns_after_a_failed_one_are_counted_as_failed() {
    let address = server(|_| Action::Bytes("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"));
    let pause = Duration::ZERO;
    let requests = vec![
        request(0, None),
        request(1, Some(Follows { index: 0, pause })),
        request(2, None),
    ];
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    let failed = outcomes(&driven);
    assert_eq!(failed.len(), 3);
    assert!(failed[1].contains("earlier turn"), "{failed:?}");
    assert!(failed[2].contains("HTTP 503"), "{failed:?}");
}

#[tokio::test]
async fn cancelling_ends_a_measurement_at_once() {
    let address = server(|_| Action::Silence);
    let mut load_test = load_test(address, LoadPoint::Concurrency(2), vec![request(0, None)]).await;
    load_test.timeout = Duration::from_mins(1);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
    });
    let began = Instant::now();
    let ended = load_test.run(Arc::default(), &cancel).await;
    assert!(matches!(ended, Err(LoadError::Cancelled)));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn no_request_starts_after_the_time_limit() {
    let address = server(|_| Action::Answer);
    let rate = LoadPoint::Rate {
        per_second: 20.0,
        burstiness: f64::INFINITY,
    };
    let requests = (0..100).map(|index| request(index, None)).collect();
    let mut load_test = load_test(address, rate, requests).await;
    load_test.duration = Some(Duration::from_millis(520));
    let driven = load_test
        .run(Arc::default(), &CancellationToken::new())
        .await
        .unwrap();
    // Due every 50 ms.
    assert_eq!(driven.traces.len(), 10);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_the_rest_is_not_sent() {
    let address = server(|_| Action::Silence);
    let requests = (0..24).map(|index| request(index, None)).collect();
    let driven = drive(address, LoadPoint::Concurrency(2), requests).await;
    assert_eq!(driven.stop, Some(Stop::Hung));
    assert_eq!(outcomes(&driven), ["timed out"; 2]);
}

#[tokio::test]
async fn a_measurement_ends_when_more_requests_fail_than_allowed() {
    let address = server(|_| Action::Drop);
    let requests = (0..24).map(|index| request(index, None)).collect();
    let mut load_test = load_test(address, LoadPoint::Concurrency(1), requests).await;
    load_test.stop_conditions.most_failures = Some(2);
    let driven = load_test
        .run(Arc::default(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(driven.stop, Some(Stop::Failing));
    assert_eq!(driven.traces.len(), 3);
}

#[tokio::test]
async fn an_answer_that_arrived_before_its_request_is_a_failure() {
    let address = server(|number| match number {
        0 => Action::AnswerSlowly,
        _ => Action::Answer,
    });
    let requests = vec![request(0, None), request(1, None)];
    let driven = drive(address, LoadPoint::Concurrency(1), requests).await;
    assert_eq!(driven.traces[0].outcome, RequestOutcome::Ok);
    let RequestOutcome::Failed(reason) = &driven.traces[1].outcome else {
        panic!("{:?}", driven.traces[1])
    };
    assert!(reason.contains("sent before the request"), "{reason}");
    assert_eq!(driven.client.unasked, 1);
}

#[tokio::test]
async fn unrequested_bytes_close_the_connection_and_are_counted_or_end_the_measurement() {
    let follows = Follows {
        index: 0,
        pause: Duration::from_millis(500),
    };
    for (most_unasked, stop, answered) in [(None, None, 2), (Some(0), Some(Stop::Unasked), 1)] {
        let address = server(|number| match number {
            0 => Action::AnswerAndMore,
            _ => Action::Answer,
        });
        let requests = vec![request(0, None), request(1, Some(follows))];
        let mut load_test = load_test(address, LoadPoint::Concurrency(1), requests).await;
        load_test.stop_conditions.most_unasked = most_unasked;
        let driven = load_test
            .run(Arc::default(), &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(outcomes(&driven), vec!["ok"; answered]);
        assert_eq!((driven.client.unasked, driven.stop), (1, stop));
    }
}
