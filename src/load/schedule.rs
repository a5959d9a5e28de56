//! Decides when to send which request. Pure: the engine passes the time and the ends of requests.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::instant::Nanoseconds;

/// When first turns are sent.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// That many slots; each takes the next request as soon as its last one has ended. They open one after the other
    /// within `ramp`.
    Closed { slots: usize, ramp: Nanoseconds },
    /// At fixed times, independent of earlier requests. One entry per request; entries of later turns are ignored.
    Open { due: Vec<Nanoseconds> },
}

/// A request that waits for an earlier one: a later turn of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Position of the earlier request.
    pub(super) after: usize,
    /// Think time between its end and this one.
    pub(super) pause: Nanoseconds,
}

/// The next action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this request.
    Send {
        /// Position in the workload.
        index: usize,
        /// Earliest time to send it: its due time, or when its slot became free.
        ready: Nanoseconds,
        /// Whether `ready` is a scheduled time, so that latencies count from there.
        scheduled: bool,
    },
    /// Wait until that time, unless a request ends.
    WaitUntil(Nanoseconds),
    /// Wait until a request ends.
    WaitForEnd,
    /// Everything was sent and has ended.
    Over,
}

/// The schedule of one measurement.
#[derive(Debug)]
pub(super) struct Schedule {
    shape: Shape,
    /// The turn after each request.
    next_turn: Vec<Option<(usize, Nanoseconds)>>,
    /// First turns that are not sent yet, in order.
    first_turns: std::vec::IntoIter<usize>,
    upcoming: Option<usize>,
    /// Later turns that wait only for their time.
    ready_turns: BinaryHeap<Reverse<(Nanoseconds, usize)>>,
    /// When each free slot became free.
    free: BinaryHeap<Reverse<Nanoseconds>>,
    in_flight: usize,
    stop_after: Option<Nanoseconds>,
}

impl Schedule {
    /// A schedule with one request per entry of `turns`. At or after `stop_after` no conversation starts or continues.
    pub(super) fn new(
        shape: Shape,
        turns: &[Option<Turn>],
        stop_after: Option<Nanoseconds>,
    ) -> Self {
        let mut next_turn = vec![None; turns.len()];
        for (index, turn) in turns.iter().enumerate() {
            if let Some(turn) = turn {
                next_turn[turn.after] = Some((index, turn.pause));
            }
        }
        let first: Vec<usize> = (0..turns.len())
            .filter(|index| turns[*index].is_none())
            .collect();
        let free = match &shape {
            Shape::Closed { slots, ramp } => {
                let slots = (*slots).max(1);
                let opened = |slot: usize| ramp / slots as u64 * slot as u64;
                (0..slots).map(|slot| Reverse(opened(slot))).collect()
            }
            Shape::Open { .. } => BinaryHeap::new(),
        };
        let mut first_turns = first.into_iter();
        Self {
            shape,
            next_turn,
            upcoming: first_turns.next(),
            first_turns,
            ready_turns: BinaryHeap::new(),
            free,
            in_flight: 0,
            stop_after,
        }
    }

    /// The action at `now`. A request to send counts as sent.
    pub(super) fn step(&mut self, now: Nanoseconds) -> Step {
        if self.stop_after.is_some_and(|stop| now >= stop) {
            self.upcoming = None;
            self.ready_turns.clear();
        }
        let turn = self.ready_turns.peek().map(|Reverse((ready, _))| *ready);
        let first = self.upcoming.and_then(|index| match &self.shape {
            Shape::Closed { .. } => self.free.peek().map(|Reverse(free)| *free),
            Shape::Open { due } => Some(due[index]),
        });
        // A started conversation continues before another one starts.
        if let Some(ready) = turn.filter(|ready| *ready <= now)
            && let Some(Reverse((_, index))) = self.ready_turns.pop()
        {
            return self.send(index, ready, false);
        }
        if let Some(ready) = first.filter(|ready| *ready <= now)
            && let Some(index) = self.upcoming.take()
        {
            self.upcoming = self.first_turns.next();
            let scheduled = match &self.shape {
                Shape::Closed { .. } => self.free.pop().is_none(),
                Shape::Open { .. } => true,
            };
            return self.send(index, ready, scheduled);
        }
        match turn.into_iter().chain(first).min() {
            Some(at) => Step::WaitUntil(self.stop_after.map_or(at, |stop| at.min(stop))),
            None if self.in_flight > 0 => Step::WaitForEnd,
            None => Step::Over,
        }
    }

    fn send(&mut self, index: usize, ready: Nanoseconds, scheduled: bool) -> Step {
        self.in_flight += 1;
        Step::Send {
            index,
            ready,
            scheduled,
        }
    }

    /// A request has ended. Its slot continues with the next turn, or takes another request.
    pub(super) fn ended(&mut self, index: usize, at: Nanoseconds, ok: bool) {
        self.in_flight -= 1;
        match self.next_turn[index] {
            // A turn needs the answer of the one before it.
            Some((next, pause)) if ok => self.ready_turns.push(Reverse((at + pause, next))),
            Some(_) | None => {
                if matches!(self.shape, Shape::Closed { .. }) {
                    self.free.push(Reverse(at));
                }
            }
        }
    }

    /// Later turns that were not sent because an earlier one failed, although there was time for them.
    pub(super) fn abandoned(&self, failed: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.next_turn[failed], |(index, _)| self.next_turn[*index])
            .map(|(index, _)| index)
    }

    /// Requests in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The next requests that will be sent, as far as known.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = usize> {
        self.upcoming
            .into_iter()
            .chain(self.first_turns.as_slice().iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(index: usize, ready: Nanoseconds, scheduled: bool) -> Step {
        Step::Send {
            index,
            ready,
            scheduled,
        }
    }

    #[test]
    fn a_closed_loop_keeps_its_slots_full() {
        let shape = Shape::Closed { slots: 2, ramp: 0 };
        let mut schedule = Schedule::new(shape, &[None; 3], None);
        assert_eq!(schedule.step(0), send(0, 0, false));
        assert_eq!(schedule.step(0), send(1, 0, false));
        assert_eq!(schedule.step(5), Step::WaitForEnd);
        schedule.ended(1, 7, true);
        assert_eq!(schedule.step(9), send(2, 7, false));
        schedule.ended(0, 10, true);
        schedule.ended(2, 11, false);
        assert_eq!(schedule.step(12), Step::Over);
    }

    #[test]
    fn slots_open_one_after_the_other_on_a_ramp() {
        let shape = Shape::Closed {
            slots: 4,
            ramp: 400,
        };
        let mut schedule = Schedule::new(shape, &[None; 8], None);
        assert_eq!(schedule.step(0), send(0, 0, false));
        assert_eq!(schedule.step(50), Step::WaitUntil(100));
        assert_eq!(schedule.step(100), send(1, 100, false));
        assert_eq!(schedule.step(350), send(2, 200, false));
        assert_eq!(schedule.step(350), send(3, 300, false));
        assert_eq!(schedule.step(350), Step::WaitForEnd);
    }

    #[test]
    fn an_open_loop_sends_on_time_independent_of_other_requests() {
        let shape = Shape::Open {
            due: vec![10, 20, 20],
        };
        let mut schedule = Schedule::new(shape, &[None; 3], None);
        assert_eq!(schedule.step(0), Step::WaitUntil(10));
        assert_eq!(schedule.step(25), send(0, 10, true));
        assert_eq!(schedule.step(25), send(1, 20, true));
        assert_eq!(schedule.step(25), send(2, 20, true));
        assert_eq!(schedule.step(25), Step::WaitForEnd);
    }

    #[test]
    fn a_later_turn_waits_for_its_predecessor_and_the_pause_and_holds_the_slot() {
        let turn = |after, pause| Some(Turn { after, pause });
        let turns = [None, turn(0, 5), None];
        let mut schedule = Schedule::new(Shape::Closed { slots: 1, ramp: 0 }, &turns, None);
        assert_eq!(schedule.step(0), send(0, 0, false));
        schedule.ended(0, 10, true);
        assert_eq!(schedule.step(10), Step::WaitUntil(15));
        assert_eq!(schedule.step(16), send(1, 15, false));
        schedule.ended(1, 20, true);
        assert_eq!(schedule.step(20), send(2, 20, false));
    }

    #[test]
    fn a_failed_turn_ends_its_conversation_and_frees_the_slot() {
        let turn = |after| Some(Turn { after, pause: 0 });
        let turns = [None, turn(0), turn(1), None];
        let mut schedule = Schedule::new(Shape::Closed { slots: 1, ramp: 0 }, &turns, None);
        assert_eq!(schedule.step(0), send(0, 0, false));
        schedule.ended(0, 10, false);
        assert_eq!(schedule.abandoned(0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(schedule.step(11), send(3, 10, false));
    }

    #[test]
    fn no_request_is_sent_after_the_time_limit() {
        let shape = Shape::Open { due: vec![10, 200] };
        let mut schedule = Schedule::new(shape, &[None; 2], Some(100));
        assert_eq!(schedule.step(10), send(0, 10, true));
        assert_eq!(schedule.step(20), Step::WaitUntil(100));
        assert_eq!(schedule.step(100), Step::WaitForEnd);
        schedule.ended(0, 300, true);
        assert_eq!(schedule.step(300), Step::Over);
    }
}
