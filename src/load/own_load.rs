//! Measures the load generator's own thread during a measurement.

use std::io;
use std::time::Instant;

use hdrhistogram::Histogram;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::instant::{Nanoseconds, of_duration, seconds};
use crate::measure::{ClientLoad, Lateness};
use crate::stats::number;

/// Bytes read later than this after their arrival count as read late: the thread was busy, or had no CPU.
const LATE: Nanoseconds = 1_000_000;

/// Significant digits of the lateness, and its largest value: 1 h.
const DIGITS: u8 = 2;
const LONGEST: Nanoseconds = 3_600_000_000_000;

/// Counts of one measurement.
#[derive(Debug)]
pub(super) struct OwnLoad {
    began: Instant,
    cpu: Nanoseconds,
    starved: Option<Nanoseconds>,
    sending: Histogram<u32>,
    reading: Histogram<u32>,
    load: ClientLoad,
}

impl OwnLoad {
    /// Starts counting, on the thread to be measured.
    pub(super) fn start() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LONGEST, DIGITS)
                .unwrap_or_else(|error| unreachable!("bounds that are allowed: {error}"))
        };
        Self {
            began: Instant::now(),
            cpu: cpu_time(),
            starved: run_delay(),
            sending: histogram(),
            reading: histogram(),
            load: ClientLoad::default(),
        }
    }

    /// A request was sent, with this lateness if it had a due time; so many are in flight with it.
    pub(super) fn sent(&mut self, late: Option<Nanoseconds>, in_flight: usize) {
        if let Some(late) = late {
            self.sending.saturating_record(late);
        }
        self.load.in_flight = self.load.in_flight.max(in_flight);
    }

    /// Bytes with that many token chunks were read, with this delay after their arrival if the kernel reports it.
    pub(super) fn read(&mut self, late: Option<Nanoseconds>, token_chunks: usize) {
        let merged = token_chunks.saturating_sub(1) as u64;
        self.load.reads += 1;
        self.load.token_chunks += token_chunks as u64;
        match late {
            Some(late) => {
                self.reading.saturating_record(late);
                if late > LATE {
                    self.load.merged_late += merged;
                } else {
                    self.load.merged_by_server += merged;
                }
            }
            None => self.load.unstamped += 1,
        }
    }

    /// A request was sent once more.
    pub(super) fn sent_again(&mut self) {
        self.load.sent_again += 1;
    }

    /// A connection could not be opened; returns the message for its request. If this system lacks a resource, the server
    /// is not at fault.
    pub(super) fn unopened(&mut self, error: &io::Error) -> String {
        let Some(remedy) = remedy(error) else {
            return error.to_string();
        };
        self.load.unopened += 1;
        self.load.unopened_because = Some(format!("{error}; {remedy}"));
        format!("the load generator cannot open a connection: {error}")
    }

    /// The counts so far, on the same thread.
    pub(super) fn so_far(&self) -> ClientLoad {
        let wall = of_duration(self.began.elapsed()).max(1);
        let share = |time: Nanoseconds| number(time) / number(wall);
        ClientLoad {
            busy: share(cpu_time().saturating_sub(self.cpu)),
            starved: run_delay()
                .zip(self.starved)
                .map(|(now, before)| share(now.saturating_sub(before))),
            sending: lateness(&self.sending),
            reading: lateness(&self.reading),
            ..self.load.clone()
        }
    }

    /// Seconds since the start.
    pub(super) fn elapsed(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

/// What to do if this system has no resources for another connection; `None` for other errors.
fn remedy(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => {
            Some("raise the limit of open files (`ulimit -n`), or send fewer requests at once")
        }
        Errno::NFILE => Some(
            "raise the system's limit of open files (`fs.file-max`), or send fewer requests at once",
        ),
        Errno::ADDRNOTAVAIL => Some(
            "free local ports or allow more (`net.ipv4.ip_local_port_range`), or send fewer requests at once",
        ),
        Errno::NOBUFS | Errno::NOMEM => {
            Some("give this machine more memory for sockets, or send fewer requests at once")
        }
        _ => None,
    }
}

fn lateness(histogram: &Histogram<u32>) -> Lateness {
    Lateness {
        mean: histogram.mean() / 1e9,
        p50: seconds(histogram.value_at_quantile(0.5)),
        p99: seconds(histogram.value_at_quantile(0.99)),
        max: seconds(histogram.max()),
    }
}

/// CPU time of this thread.
pub(super) fn cpu_time() -> Nanoseconds {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// Time in which this thread was ready to run but had no CPU (proc(5), `/proc/…/schedstat`, second number).
pub(super) fn run_delay() -> Option<Nanoseconds> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_read_together_count_against_the_client_only_if_it_was_late() {
        let mut own = OwnLoad::start();
        own.read(Some(5_000), 1);
        own.read(Some(5_000), 8);
        own.read(Some(3_000_000), 3);
        own.read(None, 1);
        let load = own.so_far();
        assert_eq!(
            (
                load.token_chunks,
                load.merged_late,
                load.merged_by_server,
                load.unstamped
            ),
            (13, 2, 7, 1)
        );
        assert!(
            load.reading.max >= 0.0029 && load.reading.max < 0.0032,
            "{load:?}"
        );
    }

    #[test]
    fn a_connection_without_system_resources_is_the_clients_fault_and_a_refused_one_is_not() {
        let mut own = OwnLoad::start();
        let refused = io::Error::from(Errno::CONNREFUSED);
        assert_eq!(own.unopened(&refused), refused.to_string());
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::ADDRNOTAVAIL,
            Errno::NOBUFS,
        ] {
            let message = own.unopened(&errno.into());
            assert!(message.starts_with("the load generator"), "{message}");
        }
        assert_eq!(own.so_far().unopened, 4);
    }

    #[test]
    fn a_working_thread_is_busy() {
        let own = OwnLoad::start();
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed().as_millis() < 50 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let load = own.so_far();
        let starved = load.starved.expect("Linux reports the run delay");
        // On a busy machine it waits for the CPU that it does not get.
        assert!(load.busy + starved > 0.8, "{load:?}");
    }
}
