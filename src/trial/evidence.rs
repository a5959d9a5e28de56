//! The evidence that a trial judges.

use crate::record::Run;
use crate::report::comparison::LookTaken;

/// The accepted runs of the measured machine.
#[derive(Clone, Debug)]
pub struct StoredBaseline {
    /// The accepted run.
    pub run: Run,
    /// The name of its file.
    pub path: String,
    /// Accepted sessions, oldest first.
    pub ledger: Vec<Run>,
    /// The name of the ledger's file.
    pub ledger_path: Option<String>,
    /// The last release.
    pub release: Option<Run>,
}

/// All measurements of one commit so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The candidate's repeats against the stored baseline.
    pub candidate: Option<Run>,
    /// Repeats of baseline and candidate measured alternately.
    pub pairs: Option<(Run, Run)>,
    /// The accepted runs; `None` if this machine has none.
    pub stored: Option<StoredBaseline>,
    /// The file of the candidate's repeats.
    pub candidate_name: String,
    /// The files of the baseline's and the candidate's halves of the pairs.
    pub pair_names: (String, String),
    /// Without a stored baseline: the sentence that names the missing one.
    pub missing_baseline: String,
}

impl Evidence {
    /// Repeats of the candidate that count.
    pub(super) fn repeats(&self) -> u32 {
        self.candidate.as_ref().map_or(0, Run::counting_repeats)
    }

    /// Pairs in which both repeats count.
    pub(super) fn pairs(&self) -> u32 {
        let pairs = self.pairs.as_ref();
        pairs.map_or(0, |(baseline, candidate)| {
            candidate.counting_pairs(baseline)
        })
    }
}

/// The numbers of interim looks taken at repeats against the stored baseline, and at pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LooksTaken {
    /// At repeats of the candidate.
    pub repeats: usize,
    /// At pairs.
    pub pairs: usize,
}

impl LooksTaken {
    /// Counts these looks.
    pub fn of(looks: &[LookTaken]) -> Self {
        let pairs = looks.iter().filter(|look| look.pairs > 0).count();
        Self {
            repeats: looks.len() - pairs,
            pairs,
        }
    }

    /// The sum.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            repeats: self.repeats + other.repeats,
            pairs: self.pairs + other.pairs,
        }
    }

    /// The looks that `other` does not contain.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self {
            repeats: self.repeats.saturating_sub(other.repeats),
            pairs: self.pairs.saturating_sub(other.pairs),
        }
    }
}
