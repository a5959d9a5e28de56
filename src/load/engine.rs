//! The loop that sends requests and timestamps their answers: one thread, one epoll, without locks and channels.
//!
//! It sleeps until a socket is ready or a request is due. Arrival times are the kernel's time stamps, so a late client reads
//! late but does not change them; its lateness is recorded.

mod ahead;

use std::io;
use std::mem;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::LoadError;
use super::client::Client;
use super::connection::{Connection, Open, ReadBuffers};
use super::engine_io::{EngineInput, LoadResult};
use super::exchange::{Exchange, Progress};
use super::instant::{Clock, Nanoseconds, of_duration, seconds};
use super::own_load::OwnLoad;
use super::prepared::Prepared;
use super::schedule::{Schedule, Step};
use super::thread_priority::ThreadPriority;
use super::watch::Watch;
use crate::measure::{ClientLoad, RequestOutcome, RequestTrace, Stop};

/// An idle connection is closed before uvicorn closes it (after 5 s): a request on a connection that closes meanwhile would
/// look like a failure of the server.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// A server that has just answered accepts a connection at once; a hang here is a failure.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the loop checks for timeouts and for cancellation.
const TICK: Duration = Duration::from_millis(50);

/// Size of one read. A token's event has about 250 bytes.
const READ: usize = 64 << 10;

/// Sockets handled per wake-up.
const EVENTS: usize = 256;

/// Requests that are rendered in advance while the loop is idle.
const AHEAD: usize = 64;

/// The timer's token among those of the slots.
const TIMER: u64 = u64::MAX;

/// A connection and the request on it.
#[derive(Debug, Default)]
struct Slot {
    connection: Option<Connection>,
    /// Whether epoll reports when it is writable.
    writes: bool,
    /// Since when it is connecting or idle.
    since: Nanoseconds,
    /// Whether it has carried an answer, so that the server may close it between two requests.
    used: bool,
    exchange: Option<Exchange>,
}

/// One measurement.
#[derive(Debug)]
pub(super) struct Engine {
    client: Client,
    prepared: Prepared,
    schedule: Schedule,
    timeout: Nanoseconds,
    done: Arc<AtomicUsize>,
    cancelled: Arc<AtomicBool>,
    clock: Clock,
    poll: OwnedFd,
    timer: OwnedFd,
    /// When the timer is set to expire.
    timer_at: Option<Nanoseconds>,
    slots: Vec<Slot>,
    /// Slots with an idle connection; the most recently used one goes first.
    idle: Vec<usize>,
    /// Slots without a connection.
    empty: Vec<usize>,
    buffers: ReadBuffers,
    own_load: OwnLoad,
    priority: ThreadPriority,
    watch: Watch,
    /// Why the measurement ends early.
    stop: Option<Stop>,
    /// The fastest handshake so far, which is a round trip to the server.
    round_trip: Nanoseconds,
    /// Whether a request has ended and its slot may continue.
    has_ended: bool,
    /// How often bytes arrived on a connection without a request, including before the start.
    unasked: u64,
    /// Requests that were the first on their connection.
    first: Vec<usize>,
    traces: Vec<RequestTrace>,
    fingerprint: Option<String>,
}

impl Engine {
    pub(super) fn new(input: EngineInput) -> Result<Self, LoadError> {
        let system = |error: rustix::io::Errno| LoadError::System(error.into());
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(system)?;
        let name = epoll::EventData::new_u64(TIMER);
        epoll::add(&poll, &timer, name, epoll::EventFlags::IN).map_err(system)?;
        // The default timer slack of 50 µs would delay every send. This is the least that the kernel allows.
        let _slack = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let watch = Watch::new(input.stop_conditions, input.prepared.output_tokens());
        let mut engine = Self {
            client: input.client,
            prepared: input.prepared,
            schedule: input.schedule,
            timeout: of_duration(input.timeout),
            done: input.done,
            cancelled: input.cancelled,
            clock: Clock::start(),
            poll,
            timer,
            timer_at: None,
            slots: Vec::new(),
            idle: Vec::new(),
            empty: Vec::new(),
            buffers: ReadBuffers::new(READ),
            own_load: OwnLoad::start(),
            priority: ThreadPriority::take(),
            watch,
            stop: None,
            round_trip: Nanoseconds::MAX,
            has_ended: false,
            unasked: 0,
            first: Vec::new(),
            traces: Vec::new(),
            fingerprint: None,
        };
        engine.connect_ahead(input.connections)?;
        // The connections of the first requests, and the usual number after them.
        engine
            .prepared
            .render_ahead(&engine.schedule, input.connections + AHEAD)?;
        Ok(engine)
    }

    /// Sends everything, and waits for the last answer or for a reason to stop early. Also returns the requests that were
    /// the first on their connection.
    pub(super) fn run(mut self) -> Result<(LoadResult, Vec<usize>), LoadError> {
        self.clock = Clock::start();
        self.own_load = OwnLoad::start();
        // Times before the start are invalid on the new clock.
        for slot in &mut self.slots {
            slot.since = 0;
        }
        let mut events = Vec::with_capacity(EVENTS);
        let mut next_look = of_duration(TICK);
        while self.stop.is_none() && self.send_due()? {
            let now = self.clock.now();
            if now >= next_look {
                self.check_cancelled()?;
                self.give_up_late(now);
                self.priority.review();
                let stop = self.watch.check_client(&self.own_load, &self.traces);
                let stop = stop.or_else(|| self.watch.unasked(self.unasked));
                self.stop = self.stop.take().or(stop);
                next_look = now + of_duration(TICK);
            }
            // Requests are rendered in advance while no data arrives.
            let idle = if self.prepared.is_ahead(&self.schedule, AHEAD) {
                TICK
            } else {
                Duration::ZERO
            };
            self.wait(&mut events, idle)?;
            if events.is_empty() && idle.is_zero() {
                self.prepared.render_one(&self.schedule)?;
            }
            for event in events.drain(..) {
                if let Some(slot) = self.slot_of(&event) {
                    self.serve(slot, event.flags)?;
                }
                // The next request of a slot goes out before other work.
                if mem::take(&mut self.has_ended) && self.stop.is_none() {
                    self.send_due()?;
                }
            }
        }
        let client = ClientLoad {
            unasked: self.unasked,
            real_time: self.priority.was_real_time(),
            ..self.own_load.so_far()
        };
        let result = LoadResult {
            traces: self.traces,
            fingerprint: self.fingerprint,
            client,
            stop: self.stop,
            ..LoadResult::default()
        };
        Ok((result, self.first))
    }

    fn check_cancelled(&self) -> Result<(), LoadError> {
        if self.cancelled.load(Ordering::Relaxed) {
            Err(LoadError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Waits for sockets, for at most `most` or until the timer expires.
    fn wait(&mut self, events: &mut Vec<epoll::Event>, most: Duration) -> Result<(), LoadError> {
        let most = Timespec::try_from(most).unwrap_or_default();
        match epoll::wait(&self.poll, spare_capacity(events), Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LoadError::System(error.into())),
        }
        self.clock.compare();
        Ok(())
    }

    fn slot_of(&mut self, event: &epoll::Event) -> Option<usize> {
        let name = event.data.u64();
        if name == TIMER {
            // The timer expired; due requests are sent at the top of the loop.
            let mut count = [0; 8];
            let _read = rustix::io::read(&self.timer, &mut count);
            self.timer_at = None;
            return None;
        }
        usize::try_from(name).ok()
    }

    /// Sends the due requests, and sets the timer for the next. Returns false when everything has ended.
    fn send_due(&mut self) -> Result<bool, LoadError> {
        loop {
            match self.schedule.step(self.clock.now()) {
                Step::Send {
                    index,
                    ready,
                    scheduled,
                } => self.begin(index, ready, scheduled)?,
                Step::WaitUntil(at) => {
                    if self.timer_at != Some(at) {
                        let when = Itimerspec {
                            it_interval: Timespec::default(),
                            it_value: self.clock.monotonic(at),
                        };
                        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &when)
                            .map_err(|error| LoadError::System(error.into()))?;
                        self.timer_at = Some(at);
                    }
                    return Ok(true);
                }
                Step::WaitForEnd => return Ok(true),
                Step::Over => return Ok(false),
            }
        }
    }

    fn begin(
        &mut self,
        index: usize,
        ready: Nanoseconds,
        scheduled: bool,
    ) -> Result<(), LoadError> {
        let bytes = self.prepared.take(index)?;
        let expected = self.prepared.expected(index);
        let slot = self.connected()?;
        let sent = self.clock.now();
        // The first request of a slot starts its loop, so it cannot be late.
        let late = (scheduled || ready > 0).then(|| sent.saturating_sub(ready));
        self.own_load.sent(late, self.schedule.in_flight());
        let exchange = Exchange::new(index, expected, scheduled.then_some(ready), sent);
        self.send(slot, exchange, bytes)
    }

    /// A slot with an idle connection, or an empty one.
    fn connected(&mut self) -> Result<usize, LoadError> {
        let now = self.clock.now();
        while let Some(slot) = self.idle.pop() {
            let idle = now.saturating_sub(self.slots[slot].since);
            if self.slots[slot].used && idle > of_duration(IDLE_CONNECTION) {
                self.close(slot);
                continue;
            }
            // Data that has arrived by now cannot answer a request that is sent now.
            self.read(slot)?;
            if self.slots[slot].connection.is_some() {
                return Ok(slot);
            }
        }
        Ok(self.vacant())
    }

    fn vacant(&mut self) -> usize {
        self.empty.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() - 1
        })
    }

    /// Sends a request on a slot's connection, which is opened if necessary.
    fn send(
        &mut self,
        slot: usize,
        mut exchange: Exchange,
        bytes: Vec<u8>,
    ) -> Result<(), LoadError> {
        if self.slots[slot].connection.is_none()
            && let Err(error) = self.open(slot)
        {
            // Only a connection leads back to a slot.
            self.empty.push(slot);
            let reason = self.own_load.unopened(&error);
            self.end(exchange, Some(RequestOutcome::Failed(reason)));
            return Ok(());
        }
        let place = &mut self.slots[slot];
        exchange.is_first = !place.used;
        place.exchange = Some(exchange);
        let sent = match &mut place.connection {
            Some(connection) => connection.send(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(()) => self.watch(slot),
            Err(error) => self.broken(slot, &error.to_string()),
        }
    }

    fn open(&mut self, slot: usize) -> io::Result<()> {
        let connection = Connection::open(self.client.address, self.client.tls.as_ref())?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
        epoll::add(
            &self.poll,
            &connection,
            epoll::EventData::new_u64(slot as u64),
            flags,
        )?;
        self.slots[slot] = Slot {
            connection: Some(connection),
            writes: true,
            since: self.clock.now(),
            ..Slot::default()
        };
        Ok(())
    }

    /// Waits for writability only while there is data to write.
    fn watch(&mut self, slot: usize) -> Result<(), LoadError> {
        let place = &mut self.slots[slot];
        let Some(connection) = &place.connection else {
            return Ok(());
        };
        let writes = connection.wants_write();
        if writes != place.writes {
            place.writes = writes;
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, writes);
            epoll::modify(
                &self.poll,
                connection,
                epoll::EventData::new_u64(slot as u64),
                flags,
            )
            .map_err(|error| LoadError::System(error.into()))?;
        }
        Ok(())
    }

    /// Handles the events of a socket.
    fn serve(&mut self, slot: usize, flags: epoll::EventFlags) -> Result<(), LoadError> {
        let Some(connection) = &self.slots[slot].connection else {
            return Ok(());
        };
        // An answer that arrives before its request is sent ends the request too, and must not make the slot idle twice.
        let opens_ahead = !connection.is_ready() && self.slots[slot].exchange.is_none();
        let Some(connection) = &mut self.slots[slot].connection else {
            return Ok(());
        };
        if flags.contains(epoll::EventFlags::OUT) {
            let connects = !connection.is_connected();
            if let Err(error) = connection.flush() {
                return self.broken(slot, &error.to_string());
            }
            if connects {
                let took = self.clock.now().saturating_sub(self.slots[slot].since);
                self.round_trip = self.round_trip.min(took);
            }
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
        {
            self.read(slot)?;
        }
        if let Some(connection) = &self.slots[slot].connection
            && opens_ahead
            && connection.is_ready()
        {
            self.slots[slot].since = self.clock.now();
            self.idle.push(slot);
        }
        self.watch(slot)
    }

    fn read(&mut self, slot: usize) -> Result<(), LoadError> {
        let Self {
            slots,
            buffers,
            clock,
            own_load,
            unasked,
            ..
        } = self;
        let Slot {
            connection: Some(connection),
            exchange,
            ..
        } = &mut slots[slot]
        else {
            return Ok(());
        };
        let mut progress = Progress::More;
        let received = connection.receive(buffers, |bytes, stamp| {
            let now = clock.now();
            let Some(exchange) = exchange else {
                *unasked += 1;
                progress = Progress::Broken("the server sent bytes without a request".to_owned());
                return;
            };
            let stamped = stamp.map(|stamp| clock.of_wall(stamp));
            let at = stamped.map_or(now, |at| at.clamp(exchange.last_byte.min(now), now));
            let before = exchange.token_chunks();
            progress = exchange.receive(bytes, at);
            let chunks = exchange.token_chunks() - before;
            own_load.read(stamped.is_some().then_some(now - at), chunks);
        });
        match (received, progress) {
            (Err(error), _) => return self.broken(slot, &error.to_string()),
            (Ok(_), Progress::Broken(reason)) => self.failed(slot, RequestOutcome::Failed(reason)),
            (Ok(_), Progress::Done) => self.answered(slot),
            (Ok(Open::No), Progress::More) => return self.closed(slot),
            (Ok(Open::Yes), Progress::More) => {}
        }
        Ok(())
    }

    /// The server has closed the connection.
    fn closed(&mut self, slot: usize) -> Result<(), LoadError> {
        match &mut self.slots[slot].exchange {
            None => self.close(slot),
            Some(exchange) => match exchange.closed() {
                Ok(()) => self.answered(slot),
                Err(error) => return self.broken(slot, &error.to_string()),
            },
        }
        Ok(())
    }

    /// The connection cannot be used any more. A request that was sent on an idle connection while the server closed it is
    /// sent once more.
    fn broken(&mut self, slot: usize, reason: &str) -> Result<(), LoadError> {
        let place = &mut self.slots[slot];
        let (used, connection) = (place.used, place.connection.as_ref());
        let is_taken = connection.is_some_and(|connection| !connection.wants_write());
        let (now, round_trip) = (self.clock.now(), self.round_trip);
        let again = place
            .exchange
            .take_if(|exchange| used && exchange.may_be_sent_again(is_taken, now, round_trip));
        let Some(exchange) = again else {
            self.failed(slot, RequestOutcome::Failed(reason.to_owned()));
            return Ok(());
        };
        self.close(slot);
        self.own_load.sent_again();
        let bytes = self.prepared.render(exchange.index)?;
        let slot = self.vacant();
        self.send(slot, exchange.again(), bytes)
    }

    fn answered(&mut self, slot: usize) {
        let Some(exchange) = self.slots[slot].exchange.take() else {
            return;
        };
        let place = &mut self.slots[slot];
        // A server that answers before it has the whole request accepts no other request on this connection.
        let all_sent = place
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.wants_write());
        if all_sent && exchange.keeps_alive() {
            place.since = exchange.last_byte;
            place.used = true;
            self.idle.push(slot);
        } else {
            self.close(slot);
        }
        let early = (!all_sent && exchange.has_succeeded()).then(|| {
            RequestOutcome::Failed(
                "the server answered before it had received the whole request".to_owned(),
            )
        });
        self.end(exchange, early);
    }

    fn failed(&mut self, slot: usize, outcome: RequestOutcome) {
        let exchange = self.slots[slot].exchange.take();
        self.close(slot);
        if let Some(exchange) = exchange {
            self.end(exchange, Some(outcome));
        }
    }

    /// Closes a slot's connection.
    fn close(&mut self, slot: usize) {
        // Drop also removes the socket from the epoll.
        if mem::take(&mut self.slots[slot].connection).is_some() {
            self.idle.retain(|idle| *idle != slot);
            self.empty.push(slot);
        }
    }

    fn end(&mut self, exchange: Exchange, outcome: Option<RequestOutcome>) {
        let index = exchange.index;
        if exchange.is_first {
            self.first.push(index);
        }
        let ended = if outcome.is_some() {
            self.clock.now()
        } else {
            exchange.last_byte
        };
        let (trace, fingerprint) = exchange.finish(ended, outcome);
        let ok = trace.outcome.is_ok();
        let stop = self.watch.ended(&trace.outcome, self.schedule.in_flight());
        // Requests time out together; the last of them shows that all did.
        if self.stop.is_none() || stop == Some(Stop::Hung) {
            self.stop = stop;
        }
        self.fingerprint = self.fingerprint.take().or(fingerprint);
        self.record(trace);
        if !ok {
            for later in self.schedule.abandoned(index).collect::<Vec<_>>() {
                self.record(RequestTrace::not_sent(later, seconds(ended)));
            }
        }
        self.schedule.ended(index, ended, ok);
        self.has_ended = true;
    }

    fn record(&mut self, trace: RequestTrace) {
        self.traces.push(trace);
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends requests and connections after their timeout.
    fn give_up_late(&mut self, now: Nanoseconds) {
        let connect = of_duration(CONNECT_TIMEOUT);
        for slot in 0..self.slots.len() {
            let place = &self.slots[slot];
            let connecting = place
                .connection
                .as_ref()
                .is_some_and(|connection| !connection.is_ready());
            let too_long = place
                .exchange
                .as_ref()
                .map(|exchange| now.saturating_sub(exchange.sent) > self.timeout);
            if too_long == Some(true) {
                self.failed(slot, RequestOutcome::TimedOut);
            } else if connecting && now.saturating_sub(place.since) > connect {
                let reason = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                self.failed(slot, RequestOutcome::Failed(reason));
            }
        }
    }
}
