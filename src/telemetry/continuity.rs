//! Whether all answers of `/metrics` came from one process. Counters go back if a server was restarted, and if several
//! replicas share one address. Pure.

use super::prometheus::Scrape;
use super::server::COUNTERS;

/// Largest difference between the clocks of two machines, in seconds. A process that started that long before the first
/// scrape was already running, whichever process answered first.
const CLOCKS_DISAGREE: f64 = 60.0;

/// Origin of the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Continuity {
    /// One process, as far as its answers show.
    #[default]
    OneProcess,
    /// A process that was restarted in between.
    Restarted,
    /// Several that run at the same time.
    SeveralServers,
}

/// Facts from the answers so far.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Unix time of the first scrape, seconds.
    began: f64,
    /// Start times of the processes in the order of their answers; equal neighbours once.
    starts: Vec<f64>,
    counters: [Option<f64>; COUNTERS.len()],
    /// How many times a counter went back.
    drops: u32,
}

impl Answers {
    /// Without answers; starts at that Unix time.
    pub(super) fn since(began: f64) -> Self {
        Self {
            began,
            starts: Vec::new(),
            counters: [None; COUNTERS.len()],
            drops: 0,
        }
    }

    /// Takes the next answer.
    pub(super) fn take(&mut self, scrape: &Scrape) {
        if let Some(start) = scrape.sum("process_start_time_seconds")
            && self
                .starts
                .last()
                .is_none_or(|last| (last - start).abs() > f64::EPSILON)
        {
            self.starts.push(start);
        }
        let now = COUNTERS.map(|name| scrape.sum(name));
        let went_back = now
            .iter()
            .zip(&self.counters)
            .any(|pair| matches!(pair, (Some(now), Some(before)) if now < before));
        self.drops += u32::from(went_back);
        self.counters = now;
    }

    /// When the one process behind the address started, Unix time; `None` if unknown, or behind an address of several servers.
    pub(super) fn process_start(&self) -> Option<f64> {
        let is_one = self.continuity() != Continuity::SeveralServers;
        self.starts.last().copied().filter(|_| is_one)
    }

    /// The conclusion.
    pub(super) fn continuity(&self) -> Continuity {
        let was_there = |start: &f64| *start < self.began - CLOCKS_DISAGREE;
        // A restarted process starts later than the one before it, and the earlier one does not return.
        let goes_back = self.starts.windows(2).any(|pair| pair[0] > pair[1]);
        let others_were_there = self.starts.iter().skip(1).any(was_there);
        if goes_back || others_were_there || self.drops > 1 {
            Continuity::SeveralServers
        } else if self.starts.len() > 1 || self.drops > 0 {
            Continuity::Restarted
        } else {
            Continuity::OneProcess
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 1_800_000_000.0;

    fn of(answers: &[(Option<f64>, u32)]) -> Continuity {
        taken(answers).continuity()
    }

    fn taken(answers: &[(Option<f64>, u32)]) -> Answers {
        let mut seen = Answers::since(NOW);
        for (start, tokens) in answers {
            let start = start.map(|start| format!("process_start_time_seconds {start}\n"));
            let text = format!(
                "{}vllm:generation_tokens_total {tokens}\n",
                start.unwrap_or_default()
            );
            seen.take(&Scrape::parse(&text, |_| true).unwrap());
        }
        seen
    }

    #[test]
    fn the_start_of_a_process_is_known_unless_several_answer() {
        let start = NOW - 500.0;
        let process_start = |answers: &[(Option<f64>, u32)]| taken(answers).process_start();
        assert_eq!(
            process_start(&[(Some(start), 3), (Some(start), 5)]),
            Some(start)
        );
        assert_eq!(process_start(&[(None, 3)]), None);
        let several = [(Some(start), 900), (Some(start - 5000.0), 3)];
        assert_eq!(process_start(&several), None);
    }

    #[test]
    fn one_process_continues_its_counters() {
        let start = Some(NOW - 500.0);
        assert_eq!(of(&[]), Continuity::OneProcess);
        assert_eq!(
            of(&[(start, 0), (start, 5), (start, 5)]),
            Continuity::OneProcess
        );
        assert_eq!(of(&[(None, 5), (None, 9)]), Continuity::OneProcess);
    }

    #[test]
    fn a_restart_starts_later_and_counts_from_zero() {
        let (before, after) = (Some(NOW - 500.0), Some(NOW + 3.0));
        assert_eq!(
            of(&[(before, 900), (after, 3), (after, 8)]),
            Continuity::Restarted
        );
        assert_eq!(
            of(&[(None, 900), (None, 3), (None, 8)]),
            Continuity::Restarted
        );
    }

    #[test]
    fn replicas_alternate_or_started_earlier() {
        let (older, younger) = (Some(NOW - 5000.0), Some(NOW - 500.0));
        assert_eq!(
            of(&[(younger, 900), (older, 3)]),
            Continuity::SeveralServers
        );
        assert_eq!(
            of(&[(older, 3), (younger, 900)]),
            Continuity::SeveralServers
        );
        let just = Some(NOW - 2.0);
        assert_eq!(
            of(&[(younger, 90), (just, 3), (younger, 95)]),
            Continuity::SeveralServers
        );
        assert_eq!(
            of(&[(None, 900), (None, 3), (None, 905), (None, 4)]),
            Continuity::SeveralServers
        );
    }
}
