//! Selects entries while a file is read.

use std::collections::BTreeMap;

use super::Entry;
use crate::workload::hash;

/// The first entries of an order that depends only on the seed and the entries' positions; of a trace, the earliest.
///
/// Every entry has a unique rank and the lowest ranks are kept, so that reading a file of unknown length once is enough, no
/// entry is taken twice, and a larger sample starts with a smaller one (bottom-k sampling).
#[derive(Debug)]
pub struct Sample {
    seed: u64,
    most: usize,
    /// By rank.
    kept: BTreeMap<(u128, usize), Entry>,
}

impl Sample {
    /// At most `most` entries.
    pub fn new(seed: u64, most: usize) -> Self {
        Self {
            seed,
            most,
            kept: BTreeMap::new(),
        }
    }

    /// Offers one entry of the file.
    pub fn offer(&mut self, entry: Entry) {
        let rank = match entry.at {
            Some(at) => at.as_nanos(),
            None => self.rank(entry.position),
        };
        let rank = (rank, entry.position);
        if self.kept.len() >= self.most {
            let last = self.kept.last_key_value();
            if last.is_none_or(|(last, _)| *last <= rank) {
                return;
            }
            self.kept.pop_last();
        }
        self.kept.insert(rank, entry);
    }

    /// The kept entries, in order.
    pub fn into_entries(self) -> Vec<Entry> {
        self.kept.into_values().collect()
    }

    fn rank(&self, position: usize) -> u128 {
        let mut rank = [0; 16];
        rank.copy_from_slice(&hash(self.seed, &["order", &position.to_string()])[..16]);
        u128::from_le_bytes(rank)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Content;
    use super::*;

    fn sampled(seed: u64, most: usize, at: impl Fn(usize) -> Option<u64>) -> Vec<usize> {
        let mut sample = Sample::new(seed, most);
        for position in 0..100 {
            sample.offer(Entry {
                position,
                at: at(position).map(Duration::from_millis),
                content: Content::Text("a".into()),
                output_tokens: None,
            });
        }
        let entries = sample.into_entries();
        entries.into_iter().map(|entry| entry.position).collect()
    }

    #[test]
    fn a_larger_sample_starts_with_a_smaller_one_and_takes_no_entry_twice() {
        let (ten, all) = (sampled(7, 10, |_| None), sampled(7, 200, |_| None));
        assert_eq!(ten, all[..10]);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<usize>>());
        assert_ne!(all, sorted);
        assert_ne!(ten, sampled(8, 10, |_| None));
    }

    #[test]
    fn every_entry_is_as_likely_as_every_other() {
        let mut taken = [0_u32; 100];
        for seed in 0..2_000 {
            for position in sampled(seed, 10, |_| None) {
                taken[position] += 1;
            }
        }
        // 200 each are expected; five standard deviations are 67.
        assert!(
            taken.iter().all(|count| (133..=267).contains(count)),
            "{taken:?}"
        );
    }

    #[test]
    fn of_a_trace_the_earliest_entries_are_kept_in_their_order() {
        let reversed = sampled(7, 3, |position| Some(1_000 - position as u64));
        assert_eq!(reversed, [99, 98, 97]);
        assert_eq!(sampled(7, 3, |_| Some(5)), [0, 1, 2]);
    }
}
