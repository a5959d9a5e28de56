//! Runs the engine in real time: a separate thread with absolute deadlines.
//!
//! A step ends at the end of the previous one plus its cost. A late wake-up delays only the tokens of that step, so the
//! schedule holds on a busy machine; the lateness of each step is recorded.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::engine::{Engine, Sequence, Step};
use super::metrics::{Metrics, RequestTimes};
use super::options::Options;
use crate::priority::{self, Urgency};

/// Commands that may wait for the engine; beyond that, clients wait.
const COMMANDS: usize = 4096;

/// One token for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emission {
    /// Its position, from 0.
    pub(super) index: u32,
    /// Whether it is the last.
    pub(super) last: bool,
}

/// A command to the engine.
#[derive(Debug)]
enum Command {
    Submit {
        sequence: Sequence,
        tokens: mpsc::Sender<Emission>,
        arrived: Instant,
    },
    Cancel(u64),
}

/// The handle of the HTTP side. The thread ends when the last one is dropped.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    commands: SyncSender<Command>,
}

impl Handle {
    /// Submits a request; its tokens arrive on the channel. `None` if the engine has ended.
    pub(super) fn submit(&self, sequence: Sequence) -> Option<mpsc::Receiver<Emission>> {
        // Capacity for every token, so that a slow client never blocks the engine.
        let (tokens, received) = mpsc::channel(sequence.output as usize);
        self.commands
            .send(Command::Submit {
                sequence,
                tokens,
                arrived: Instant::now(),
            })
            .ok()?;
        Some(received)
    }

    /// Cancels a request.
    pub(super) fn cancel(&self, id: u64) {
        // An engine that has ended has no request to cancel.
        drop(self.commands.send(Command::Cancel(id)));
    }
}

/// Starts the engine's thread.
pub(super) fn start(options: &Options, metrics: Arc<Metrics>) -> io::Result<Handle> {
    let (commands, received) = sync_channel(COMMANDS);
    let engine = Engine::new(options);
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            priority::raise(Urgency::Server);
            Loop {
                engine,
                metrics,
                streams: HashMap::new(),
            }
            .run(&received);
        })?;
    Ok(Handle { commands })
}

struct Stream {
    tokens: mpsc::Sender<Emission>,
    times: RequestTimes,
}

struct Loop {
    engine: Engine,
    metrics: Arc<Metrics>,
    streams: HashMap<u64, Stream>,
}

impl Loop {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut begins = Instant::now();
        loop {
            if !self.take_waiting(commands) {
                return;
            }
            let Some(step) = self.engine.step() else {
                self.metrics.idle();
                let Ok(command) = commands.recv() else { return };
                begins = Instant::now();
                self.take(command);
                continue;
            };
            self.metrics.engine_state(&self.engine, step.duration);
            let ends = begins + Duration::from_secs_f64(step.duration);
            for id in &step.admitted {
                if let Some(stream) = self.streams.get_mut(id) {
                    stream.times.admitted = Some(begins);
                }
            }
            sleep_until(ends);
            let woke = Instant::now();
            self.metrics.late(woke.saturating_duration_since(ends));
            self.deliver(&step, ends);
            begins = ends;
        }
    }

    /// Takes the waiting commands; false once all senders are gone.
    fn take_waiting(&mut self, commands: &Receiver<Command>) -> bool {
        loop {
            match commands.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Submit {
                sequence,
                tokens,
                arrived,
            } => {
                self.streams.insert(
                    sequence.id,
                    Stream {
                        tokens,
                        times: RequestTimes::new(sequence, arrived),
                    },
                );
                self.engine.submit(sequence);
            }
            Command::Cancel(id) => {
                self.streams.remove(&id);
                self.engine.cancel(id);
            }
        }
    }

    fn deliver(&mut self, step: &Step, at: Instant) {
        for token in &step.tokens {
            let Some(stream) = self.streams.get_mut(&token.id) else {
                continue;
            };
            self.metrics.token(&mut stream.times, at);
            // Never full: the channel has capacity for the whole answer. Closed means that the client has disconnected.
            let delivered = stream.tokens.try_send(Emission {
                index: token.index,
                last: token.last,
            });
            if token.last {
                self.metrics.finished(&stream.times, at);
            }
            if token.last || delivered.is_err() {
                self.streams.remove(&token.id);
                self.engine.cancel(token.id);
            }
        }
    }
}

fn sleep_until(deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}
