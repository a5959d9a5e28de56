//! What the load generator costs and how exactly it measures, beside a raw reader of the same bytes.
//!
//! A server of its own process and CPU writes token events on a schedule, or as fast as it can, and keeps its own record
//! of when each request came in and each event went out. The client runs on another CPU: perfgate's load generator, and a
//! thread that only reads, stamps and finds the ends of events, which is the physical limit. Both in one run, in turn.
//!
//! ```text
//! cargo bench --bench load                     # the whole table, some five minutes
//! cargo bench --bench load -- paced 16 256     # timing error and cost at these numbers of streams
//! cargo bench --bench load -- flood            # the ceiling, with one and eight events a write
//! cargo bench --bench load -- open             # gaps of 200 requests/s, Poisson and constant
//! ```

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a program for developers: it prints, and what it does not expect shall stop it; times fit in 53 bits; /proc is no file of ours"
)]

mod open;
mod raw;
mod server;
mod stamped;
mod table;
mod truth;

use std::time::Duration;

use server::{Pace, Server};
use table::{Row, print_head, print_row};

/// Tokens of an answer.
const TOKENS: u32 = 64;

/// Rounds per cell; the table shows the median.
const ROUNDS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if arguments.first().map(String::as_str) == Some("serve") {
        return server::serve(&arguments[1..]);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            paced(&[1, 16, 64, 256, 1024]);
            flood(&[64, 256, 1024]);
            open::run();
        }
        ["paced", streams @ ..] => paced(&numbers(streams, &[1, 16, 64, 256, 1024])),
        ["flood", streams @ ..] => flood(&numbers(streams, &[64, 256, 1024])),
        ["open"] => open::run(),
        other => panic!("unknown arguments {other:?}; see the head of benches/load/main.rs"),
    }
}

fn numbers(words: &[&str], usual: &[usize]) -> Vec<usize> {
    if words.is_empty() {
        return usual.to_vec();
    }
    words
        .iter()
        .map(|word| word.parse().expect("a number of streams"))
        .collect()
}

/// TTFT 50 ms, gaps of 10 ms (lognormal): how far from the truth, at what cost.
fn paced(streams: &[usize]) {
    println!(
        "\nClosed loop, {TOKENS} tokens an answer, TTFT 50 ms, gaps 10 ms lognormal; errors in ms, said minus true\n"
    );
    print_head();
    for streams in streams {
        let requests = (streams * 3).max(60);
        let pace = Pace::Lognormal {
            first: Duration::from_millis(50),
            gap: Duration::from_millis(10),
        };
        compare(*streams, requests, pace);
    }
}

/// As fast as the server can.
fn flood(streams: &[usize]) {
    for events in [1, 8] {
        println!("\nFlood, {events} events a write, 1,024 tokens an answer\n");
        print_head();
        for streams in streams {
            compare(
                *streams,
                (streams * 2).max(1_024 / events as usize),
                Pace::Flood { events },
            );
        }
    }
}

fn compare(streams: usize, requests: usize, pace: Pace) {
    let mut rows: [Vec<Row>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let server = Server::start(pace);
        rows[0].push(raw::measure(&server, streams, requests, pace));
        let truth = server.stop();
        rows[0].last_mut().expect("one was pushed").judge(&truth);
        let server = Server::start(pace);
        rows[1].push(table::perfgate(&server, streams, requests, pace));
        let truth = server.stop();
        rows[1].last_mut().expect("one was pushed").judge(&truth);
    }
    for (name, rows) in ["raw reader", "perfgate"].into_iter().zip(rows) {
        print_row(name, streams, &rows);
    }
}
