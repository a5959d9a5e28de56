//! The server of the benchmark: a process of its own on a CPU of its own, which knows what it did.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::Timespec;
use statrs::distribution::{ContinuousCDF as _, Normal};

use crate::stamped::{now, receive, stamp, wall_ahead};
use crate::truth::{Answered, Truth};

/// Where the client runs, and where the server does.
pub(crate) const CLIENT_CPU: usize = 0;
const SERVER_CPU: usize = 1;

/// Spread of the gaps, as the logarithm's standard deviation.
const SIGMA: f64 = 0.3;

/// When events go out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// After `first`, then with gaps of that median.
    Lognormal { first: Duration, gap: Duration },
    /// As fast as the socket takes them, that many in a write.
    Flood { events: u32 },
}

impl Pace {
    pub(crate) fn tokens(self) -> u32 {
        match self {
            Self::Lognormal { .. } => crate::TOKENS,
            Self::Flood { .. } => 1_024,
        }
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub(crate) fn start(pace: Pace) -> Self {
        let words = match pace {
            Pace::Lognormal { first, gap } => vec![
                "lognormal".to_owned(),
                first.as_micros().to_string(),
                gap.as_micros().to_string(),
            ],
            Pace::Flood { events } => vec!["flood".to_owned(), events.to_string()],
        };
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("serve")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut line = String::new();
        output
            .read_line(&mut line)
            .expect("the server says where it listens");
        let address = line.trim().parse().expect("an address");
        Self {
            child,
            address,
            output,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it, and reads its record: request, arrival, events.
    pub(crate) fn stop(mut self) -> Truth {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("the record");
        self.child.wait().expect("the server ends");
        let numbers = |line: &str| {
            line.split(' ')
                .map(|word| word.parse().expect("a number"))
                .collect::<Vec<u64>>()
        };
        text.lines()
            .map(|line| {
                let numbers = numbers(line);
                let events = numbers[2..].to_vec();
                let arrived = numbers[1];
                (
                    u32::try_from(numbers[0]).expect("a request"),
                    Answered { arrived, events },
                )
            })
            .collect()
    }
}

/// Keeps this thread, and those that it starts, on one CPU.
pub(crate) fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("this CPU");
}

struct Stream {
    socket: TcpStream,
    incoming: Vec<u8>,
    request: u32,
    sent: u32,
    /// What the socket did not take.
    left: Vec<u8>,
}

/// The server's main loop: ends when its standard input does.
pub(crate) fn serve(words: &[String]) {
    let number = |index: usize| words[index].parse::<u64>().expect("a number");
    let pace = if words[0] == "flood" {
        Pace::Flood {
            events: number(1) as u32,
        }
    } else {
        Pace::Lognormal {
            first: Duration::from_micros(number(1)),
            gap: Duration::from_micros(number(2)),
        }
    };
    pin(SERVER_CPU);
    let _slack = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener
        .set_nonblocking(true)
        .expect("a listener that does not block");
    println!("{}", listener.local_addr().expect("an address"));
    let mut serving = Serving {
        poll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll"),
        pace,
        tokens: pace.tokens(),
        streams: HashMap::new(),
        due: BinaryHeap::new(),
        record: HashMap::new(),
        chance: Pcg64Mcg::seed_from_u64(7),
    };
    let add = |serving: &Serving, file: &dyn std::os::fd::AsFd, name| {
        epoll::add(
            &serving.poll,
            file.as_fd(),
            epoll::EventData::new_u64(name),
            epoll::EventFlags::IN,
        )
        .expect("a new file");
    };
    let input = std::io::stdin();
    add(&serving, &listener, 0);
    add(&serving, &input, 1);
    let mut next = 2;
    let mut events = Vec::with_capacity(256);
    loop {
        let wait = match serving.due.peek() {
            // The last stretch is spun: a server that is late on its own schedule would be measured instead.
            Some(Reverse((at, _))) => Duration::from_nanos(at.saturating_sub(now()))
                .saturating_sub(Duration::from_micros(1_100)),
            None => Duration::from_secs(1),
        };
        let wait = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_millis()) * 1_000_000,
        };
        epoll::wait(&serving.poll, spare_capacity(&mut events), Some(&wait)).expect("events");
        for event in events.drain(..) {
            let flags = event.flags;
            match event.data.u64() {
                0 => {
                    while let Ok((socket, _)) = listener.accept() {
                        socket
                            .set_nonblocking(true)
                            .expect("a socket that does not block");
                        socket
                            .set_nodelay(true)
                            .expect("a socket that does not wait");
                        stamp(&socket);
                        add(&serving, &socket, next);
                        serving.streams.insert(
                            next,
                            Stream {
                                socket,
                                incoming: Vec::new(),
                                request: 0,
                                sent: 0,
                                left: Vec::new(),
                            },
                        );
                        next += 1;
                    }
                }
                1 => return serving.tell(),
                name => serving.serve(name, flags),
            }
        }
        while let Some(Reverse((at, name))) = serving.due.peek().copied() {
            if at > now() {
                break;
            }
            serving.due.pop();
            serving.token(name);
        }
    }
}

struct Serving {
    poll: std::os::fd::OwnedFd,
    pace: Pace,
    tokens: u32,
    streams: HashMap<u64, Stream>,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    record: HashMap<u32, Answered>,
    chance: Pcg64Mcg,
}

impl Serving {
    fn serve(&mut self, name: u64, flags: epoll::EventFlags) {
        let Some(stream) = self.streams.get_mut(&name) else {
            return;
        };
        if flags.contains(epoll::EventFlags::OUT) {
            let left = std::mem::take(&mut stream.left);
            self.write(name, left);
            if self
                .streams
                .get(&name)
                .is_some_and(|stream| stream.left.is_empty())
            {
                self.flood(name);
            }
            return;
        }
        let mut buffer = [0; 16 << 10];
        let arrived = match receive(&stream.socket, &mut buffer, wall_ahead()) {
            Ok((0, _)) | Err(_) => {
                self.streams.remove(&name);
                return;
            }
            Ok((length, at)) => {
                stream.incoming.extend_from_slice(&buffer[..length]);
                at
            }
        };
        let text = String::from_utf8_lossy(&stream.incoming);
        // Bodies are small and come with their heads: `"prompt":[N]` … `}` at the very end.
        let Some((_, after)) = text.split_once("\"prompt\":[") else {
            return;
        };
        if !text.ends_with('}') {
            return;
        }
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        stream.request = digits.parse().expect("a number of a request");
        stream.incoming.clear();
        stream.sent = 0;
        self.record.insert(
            stream.request,
            Answered {
                arrived,
                events: Vec::with_capacity(self.tokens as usize),
            },
        );
        match self.pace {
            Pace::Lognormal { first, .. } => self
                .due
                .push(Reverse((now() + first.as_nanos() as u64, name))),
            Pace::Flood { .. } => self.flood(name),
        }
    }

    /// One event on time, and the next one's time.
    fn token(&mut self, name: u64) {
        let Some(stream) = self.streams.get_mut(&name) else {
            return;
        };
        let mut bytes = Vec::with_capacity(512);
        event(&mut bytes, stream.sent, self.tokens);
        stream.sent += 1;
        let (request, over) = (stream.request, stream.sent == self.tokens);
        let at = now();
        self.record
            .get_mut(&request)
            .expect("a known request")
            .events
            .push(at);
        self.write(name, bytes);
        if !over && let Pace::Lognormal { gap, .. } = self.pace {
            let uniform = self.chance.random::<f64>().clamp(1e-9, 1.0 - 1e-9);
            let factor = (SIGMA * Normal::standard().inverse_cdf(uniform)).exp();
            let gap = (gap.as_nanos() as f64 * factor) as u64;
            self.due.push(Reverse((at + gap, name)));
        }
    }

    fn flood(&mut self, name: u64) {
        let Pace::Flood { events } = self.pace else {
            return;
        };
        // A few writes at a time, so that all streams get their turn.
        for _ in 0..4 {
            let Some(stream) = self.streams.get_mut(&name) else {
                return;
            };
            if stream.sent == self.tokens || !stream.left.is_empty() {
                break;
            }
            let mut bytes = Vec::with_capacity(512 * events as usize);
            let at = now();
            for _ in 0..events.min(self.tokens - stream.sent) {
                event(&mut bytes, stream.sent, self.tokens);
                stream.sent += 1;
                self.record
                    .get_mut(&stream.request)
                    .expect("a known request")
                    .events
                    .push(at);
            }
            self.write(name, bytes);
        }
        let Some(stream) = self.streams.get(&name) else {
            return;
        };
        let mut flags = epoll::EventFlags::IN;
        flags.set(
            epoll::EventFlags::OUT,
            stream.sent < self.tokens || !stream.left.is_empty(),
        );
        epoll::modify(
            &self.poll,
            &stream.socket,
            epoll::EventData::new_u64(name),
            flags,
        )
        .expect("a known socket");
    }

    fn write(&mut self, name: u64, bytes: Vec<u8>) {
        let Some(stream) = self.streams.get_mut(&name) else {
            return;
        };
        let mut bytes = if stream.left.is_empty() {
            bytes
        } else {
            let mut left = std::mem::take(&mut stream.left);
            left.extend(bytes);
            left
        };
        match (&stream.socket).write(&bytes) {
            Ok(length) => stream.left = bytes.split_off(length),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => stream.left = bytes,
            Err(_) => {
                self.streams.remove(&name);
            }
        }
    }

    fn tell(self) {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (request, answered) in self.record {
            write!(out, "{request} {}", answered.arrived).expect("the record");
            for at in answered.events {
                write!(out, " {at}").expect("the record");
            }
            writeln!(out).expect("the record");
        }
    }
}

/// One event in a chunk of its own, as vLLM sends it; head before the first, usage and the end after the last.
fn event(bytes: &mut Vec<u8>, index: u32, tokens: u32) {
    let chunk = |bytes: &mut Vec<u8>, text: &str| {
        write!(bytes, "{:x}\r\n{text}\r\n", text.len()).expect("memory");
    };
    if index == 0 {
        bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n");
    }
    let finish = if index + 1 == tokens {
        "\"length\""
    } else {
        "null"
    };
    chunk(
        bytes,
        &format!(
            "data: {{\"id\":\"cmpl-a1b2c3d4e5f60718293a4b5c6d7e8f90\",\"object\":\"text_completion\",\"created\":1795538517,\"model\":\"m\",\"choices\":[{{\"index\":0,\"text\":\" token{}\",\"logprobs\":null,\"finish_reason\":{finish},\"stop_reason\":null}}],\"usage\":null}}\n\n",
            index % 10
        ),
    );
    if index + 1 == tokens {
        chunk(
            bytes,
            &format!(
                "data: {{\"id\":\"cmpl-a1b2c3d4e5f60718293a4b5c6d7e8f90\",\"object\":\"text_completion\",\"created\":1795538517,\"model\":\"m\",\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"total_tokens\":{},\"completion_tokens\":{tokens}}}}}\n\n",
                tokens + 1
            ),
        );
        chunk(bytes, "data: [DONE]\n\n");
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
}
