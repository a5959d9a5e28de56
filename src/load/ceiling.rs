//! Capacity of the load generator on this machine, measured against a server that only writes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Client, LoadError, LoadTest, RequestTemplate, StopConditions};
use crate::config::{Endpoint, ExtraBody, LoadPoint, Sampling};
use crate::measure::ClientLoad;
use crate::stats::number;
use crate::workload::{Prompt, Request};

/// Streams of the measurement; each has a writing thread on the server side.
const STREAMS: usize = 16;

/// Tokens per answer.
const TOKENS: u32 = 2_048;

/// Requests: half a million tokens, 1 to 2 s.
const REQUESTS: usize = 256;

/// Requests per second of the paced part, and their number: about 3 s.
const RATE: f64 = 100.0;
const PACED_REQUESTS: usize = 300;

/// Busy threads per CPU, for the measurement next to a busy server.
const BUSY_THREADS_PER_CPU: usize = 2;

/// Timeout of one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Capacity of the load generator on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// CPU time in seconds per token, each in its own write.
    pub cpu_per_token: f64,
    /// Client load at the highest rate.
    pub flooded: ClientLoad,
    /// Client load at 100 requests per second.
    pub paced: ClientLoad,
    /// The same next to threads that keep every CPU busy, as a server on the same machine does.
    pub crowded: ClientLoad,
}

impl Ceiling {
    /// Tokens per second that keep the client's thread busy for `share` of the time.
    pub fn tokens_per_second(&self, share: f64) -> f64 {
        share / self.cpu_per_token
    }
}

/// Measures for some seconds, on the loopback interface, with threads that end afterwards.
pub async fn ceiling(cancel: &CancellationToken) -> Result<Ceiling, LoadError> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(LoadError::System)?;
    let address = listener.local_addr().map_err(LoadError::System)?;
    std::thread::Builder::new()
        .name("flood".to_owned())
        .spawn(move || accept(&listener))
        .map_err(LoadError::System)?;
    let measured = async {
        let flood = drive(
            address,
            LoadPoint::Concurrency(STREAMS),
            REQUESTS,
            TOKENS,
            cancel,
        )
        .await?;
        let rate = LoadPoint::Rate {
            per_second: RATE,
            burstiness: 1.0,
        };
        let paced = drive(address, rate, PACED_REQUESTS, 1, cancel).await?;
        let crowded = {
            let _hogs = BusyThreads::start();
            drive(address, rate, PACED_REQUESTS, 1, cancel).await?
        };
        let (flooded, wall) = flood;
        Ok(Ceiling {
            cpu_per_token: flooded.busy * wall / number(flooded.token_chunks.max(1)),
            flooded,
            paced: paced.0,
            crowded: crowded.0,
        })
    }
    .await;
    // A request for zero tokens ends the server.
    if let Ok(mut last) = TcpStream::connect(address) {
        let _sent = last.write_all(b"end");
    }
    measured
}

async fn drive(
    address: SocketAddr,
    load: LoadPoint,
    requests: usize,
    tokens: u32,
    cancel: &CancellationToken,
) -> Result<(ClientLoad, f64), LoadError> {
    let load_test = LoadTest {
        client: Client::find(&format!("http://{address}/"), None).await?,
        template: RequestTemplate {
            endpoint: Endpoint::Completions,
            model: "none".to_owned(),
            sampling: Sampling::default(),
            extra_body: ExtraBody::new(),
        },
        requests: (0..requests)
            .map(|index| Request {
                index,
                prompt: Prompt::TokenIds(vec![tokens]),
                output_tokens: tokens,
                due: None,
                follows: None,
            })
            .collect(),
        load,
        ramp_up: Duration::ZERO,
        timeout: TIMEOUT,
        duration: None,
        seed: 0,
        stop_conditions: StopConditions::default(),
    };
    let driven = load_test.run_against_own(cancel).await?;
    match driven.traces.iter().find(|trace| !trace.outcome.is_ok()) {
        Some(unanswered) => Err(LoadError::Broken(format!(
            "a request to perfgate's own server {}",
            unanswered.outcome
        ))),
        None => Ok((driven.client, driven.wall_time.as_secs_f64())),
    }
}

/// Threads that use their CPU all the time; drop ends them.
struct BusyThreads(Arc<AtomicBool>);

impl BusyThreads {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..BUSY_THREADS_PER_CPU * cpus {
            let stop = Arc::clone(&stop);
            let hog = std::thread::Builder::new().name("hog".to_owned());
            // With fewer threads the load is only lighter.
            let _thread = hog.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for BusyThreads {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One writing thread per connection, until a request asks for zero tokens.
fn accept(listener: &TcpListener) {
    for connection in listener.incoming().flatten() {
        let mut begin = [0; 3];
        let asks = connection.peek(&mut begin).is_ok_and(|_| &begin != b"end");
        if !asks {
            return;
        }
        // If no thread can be started, the request fails and is reported.
        let _thread = std::thread::Builder::new()
            .name("flood".to_owned())
            .spawn(move || answer(connection));
    }
}

/// Answers requests as fast as the connection accepts data. Ends with the connection.
fn answer(mut connection: TcpStream) {
    let _slower = connection.set_nodelay(true);
    let mut asked = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        asked.extend_from_slice(&buffer[..length]);
        // Our own requests: the body has no inner braces, and ends with one.
        let Some(tokens) = prompt_number(&asked) else {
            continue;
        };
        asked.clear();
        if write(&mut connection, tokens).is_err() {
            return;
        }
    }
}

/// The number in `"prompt":[N]`, once the whole body has arrived.
fn prompt_number(request: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(request).ok()?;
    let (_, after) = text.split_once("\"prompt\":[")?;
    after
        .split_once(']')?
        .0
        .parse()
        .ok()
        .filter(|_| text.ends_with("}}"))
}

fn write(connection: &mut TcpStream, tokens: u32) -> std::io::Result<()> {
    let chunk = |event: &str| format!("{:x}\r\ndata: {event}\n\n\r\n", event.len() + 8);
    let event = |finish: &str| {
        chunk(&format!(
            r#"{{"id":"cmpl-0123456789abcdef0123456789abcdef","object":"text_completion","created":1795000000,"model":"none","choices":[{{"index":0,"text":" token","logprobs":null,"finish_reason":{finish},"stop_reason":null}}],"usage":null}}"#
        ))
    };
    connection.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    let usual = event("null");
    for _ in 1..tokens {
        connection.write_all(usual.as_bytes())?;
    }
    let usage =
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":{tokens}}}}}"#);
    let end = [
        event("\"length\""),
        chunk(&usage),
        chunk("[DONE]"),
        "0\r\n\r\n".to_owned(),
    ];
    connection.write_all(end.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once_it_is_whole() {
        let request = r#"{"model":"none","prompt":[2048],"stream_options":{"include_usage":true}}"#;
        assert_eq!(prompt_number(request.as_bytes()), Some(2048));
        assert_eq!(prompt_number(&request.as_bytes()[..40]), None);
    }
}
