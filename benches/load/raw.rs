//! The physical limit: one thread that reads, stamps and finds the ends of events, and nothing else.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::Timespec;

use crate::server::{CLIENT_CPU, Pace, Server, pin};
use crate::stamped::{now, receive, stamp, wall_ahead};
use crate::table::{Row, cpu_seconds, forget_resident, resident_mb};
use crate::truth::{Errors, Said};

struct Reading {
    socket: TcpStream,
    request: u32,
    sent: u64,
    stamps: Vec<u64>,
}

/// Connects and renders all requests, then measures: what any client has to do beyond that is its own.
pub(crate) fn measure(server: &Server, streams: usize, requests: usize, pace: Pace) -> Row {
    pin(CLIENT_CPU);
    forget_resident();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let mut readings: HashMap<u64, Reading> = HashMap::new();
    let mut next = 0;
    let rendered: Vec<Vec<u8>> = (0..requests)
        .map(|request| {
            let body = format!("{{\"prompt\":[{request}]}}");
            format!(
                "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        })
        .collect();
    let send = |reading: &mut Reading, next: &mut u32| {
        reading.request = *next;
        *next += 1;
        reading.stamps = Vec::with_capacity(pace.tokens() as usize);
        reading.sent = now();
        reading
            .socket
            .write_all(&rendered[reading.request as usize])
            .expect("the server reads");
    };
    for name in 0..streams.min(requests) as u64 {
        let socket = TcpStream::connect(server.address()).expect("the server accepts");
        socket
            .set_nodelay(true)
            .expect("a socket that does not wait");
        stamp(&socket);
        epoll::add(
            &poll,
            &socket,
            epoll::EventData::new_u64(name),
            epoll::EventFlags::IN,
        )
        .expect("a new socket");
        readings.insert(
            name,
            Reading {
                socket,
                request: 0,
                sent: 0,
                stamps: Vec::new(),
            },
        );
    }
    let (began, cpu) = (Instant::now(), cpu_seconds());
    for reading in readings.values_mut() {
        send(reading, &mut next);
    }
    let mut said = Vec::with_capacity(requests);
    let mut tokens = 0;
    let mut buffer = vec![0; 64 << 10];
    let mut events = Vec::with_capacity(256);
    while said.len() < requests {
        epoll::wait(
            &poll,
            spare_capacity(&mut events),
            Some(&Timespec::try_from(Duration::from_secs(10)).expect("ten seconds")),
        )
        .expect("events");
        let ahead = wall_ahead();
        for event in events.drain(..) {
            let reading = readings.get_mut(&event.data.u64()).expect("a known socket");
            let (length, at) = receive(&reading.socket, &mut buffer, ahead).expect("bytes");
            assert!(length > 0, "the server closed");
            let bytes = &buffer[..length];
            let ends = memchr::memmem::find_iter(bytes, b"\n\n").count();
            reading.stamps.extend(std::iter::repeat_n(at, ends));
            if bytes.ends_with(b"0\r\n\r\n") {
                // Usage and [DONE] are no tokens.
                reading.stamps.truncate(pace.tokens() as usize);
                tokens += reading.stamps.len() as u64;
                let seconds = |from: u64, to: u64| (to as f64 - from as f64) / 1e9;
                let (first, last) = (reading.stamps[0], reading.stamps[reading.stamps.len() - 1]);
                said.push(Said {
                    index: reading.request,
                    ttft: seconds(reading.sent, first),
                    tpot: seconds(first, last) / (reading.stamps.len() - 1) as f64,
                    gaps: reading
                        .stamps
                        .windows(2)
                        .map(|pair| seconds(pair[0], pair[1]))
                        .collect(),
                });
                if (next as usize) < requests {
                    send(reading, &mut next);
                }
            }
        }
    }
    let cpu = cpu_seconds() - cpu;
    Row {
        tokens,
        wall: began.elapsed().as_secs_f64(),
        cpu,
        resident_mb: resident_mb(),
        said,
        errors: Errors::default(),
    }
}
