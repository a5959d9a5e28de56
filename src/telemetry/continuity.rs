//! Whether all answers of `/metrics` came from one process: a server that was restarted, and several replicas behind one
//! address, both make counters go back. Pure.

use super::prometheus::Scrape;
use super::server::COUNTERS;

/// Seconds by which the clocks of two machines may disagree. A process that began so long before the first look was there
/// already, whoever answered first.
const CLOCKS_DISAGREE: f64 = 60.0;

/// Who answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Continuity {
    /// One process, as far as its answers show.
    #[default]
    OneProcess,
    /// One that was started anew in between.
    Restarted,
    /// Several that run at the same time.
    SeveralServers,
}

/// What is known from the answers so far.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Unix time of the first look, seconds.
    began: f64,
    /// Start times of the processes in the order in which they answered, each change once.
    starts: Vec<f64>,
    counters: [Option<f64>; COUNTERS.len()],
    /// How many times a counter went back.
    drops: u32,
}

impl Answers {
    /// No answer yet, at that Unix time.
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

    /// What they come to.
    pub(super) fn continuity(&self) -> Continuity {
        let was_there = |start: &f64| *start < self.began - CLOCKS_DISAGREE;
        // A process that is started anew begins later than the one before it, and that one does not come back.
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
        let mut seen = Answers::since(NOW);
        for (start, tokens) in answers {
            let start = start.map(|start| format!("process_start_time_seconds {start}\n"));
            let text = format!(
                "{}vllm:generation_tokens_total {tokens}\n",
                start.unwrap_or_default()
            );
            seen.take(&Scrape::parse(&text).unwrap());
        }
        seen.continuity()
    }

    #[test]
    fn one_process_counts_on() {
        let start = Some(NOW - 500.0);
        assert_eq!(of(&[]), Continuity::OneProcess);
        assert_eq!(
            of(&[(start, 0), (start, 5), (start, 5)]),
            Continuity::OneProcess
        );
        assert_eq!(of(&[(None, 5), (None, 9)]), Continuity::OneProcess);
    }

    #[test]
    fn a_restart_begins_later_and_counts_from_the_beginning() {
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
    fn replicas_answer_in_turns_or_were_there_before() {
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
