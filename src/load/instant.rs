//! The clock of a measurement: monotonic nanoseconds, with the kernel's time stamps converted to them.
//!
//! The kernel timestamps a packet with the wall clock on arrival. The offset between the two clocks is read again at every
//! wake-up, so that setting or slewing the wall clock during a measurement has no effect.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds since the start of the measurement.
pub(super) type Nanoseconds = u64;

/// The clock of one measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The monotonic clock at the start.
    origin: i128,
    /// Wall clock − monotonic clock, at the last wake-up.
    wall_ahead: i128,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        let mut clock = Self {
            origin: read(ClockId::Monotonic),
            wall_ahead: 0,
        };
        clock.compare();
        clock
    }

    /// Now.
    pub(super) fn now(&self) -> Nanoseconds {
        self.since_origin(read(ClockId::Monotonic))
    }

    /// Reads the offset of the two clocks, and returns the current time.
    pub(super) fn compare(&mut self) -> Nanoseconds {
        let monotonic = read(ClockId::Monotonic);
        self.wall_ahead = read(ClockId::Realtime) - monotonic;
        self.since_origin(monotonic)
    }

    /// A wall-clock time stamp on this clock.
    pub(super) fn of_wall(&self, stamp: Timespec) -> Nanoseconds {
        self.since_origin(nanoseconds(stamp) - self.wall_ahead)
    }

    /// A time of this clock for the kernel's timers.
    pub(super) fn monotonic(&self, at: Nanoseconds) -> Timespec {
        let at = self.origin + i128::from(at);
        Timespec {
            tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at % 1_000_000_000).unwrap_or_default(),
        }
    }

    fn since_origin(&self, monotonic: i128) -> Nanoseconds {
        u64::try_from(monotonic - self.origin).unwrap_or_default()
    }
}

/// As nanoseconds; more than 500 years are clamped.
pub(super) fn of_duration(duration: Duration) -> Nanoseconds {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// As seconds, the unit of all records.
#[expect(clippy::cast_precision_loss, reason = "exact for a hundred days")]
pub(super) fn seconds(at: Nanoseconds) -> f64 {
    at as f64 / 1e9
}

fn read(clock: ClockId) -> i128 {
    nanoseconds(clock_gettime(clock))
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_stamp_is_converted_to_the_monotonic_clock() {
        let mut clock = Clock::start();
        let before = clock.compare();
        let stamped = clock.of_wall(clock_gettime(ClockId::Realtime));
        let after = clock.now();
        // The two clocks are read one after the other; a millisecond is a generous tolerance.
        assert!(stamped + 1_000_000 >= before && stamped <= after + 1_000_000);
    }

    #[test]
    fn a_stamp_from_before_the_start_becomes_the_start() {
        let clock = Clock::start();
        assert_eq!(
            clock.of_wall(Timespec {
                tv_sec: 1,
                tv_nsec: 0
            }),
            0
        );
    }
}
