//! The evidence that a trial judges.

use crate::record::Run;
use crate::report::comparison::LookTaken;
use crate::stats::ErrorLevels;

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
    /// The candidate's repeats beside the pairs; without the base version all of them.
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
    pub fn repeats(&self) -> u32 {
        self.candidate.as_ref().map_or(0, Run::counting_repeats)
    }

    /// Pairs in which both repeats count.
    pub fn pairs(&self) -> u32 {
        let pairs = self.pairs.as_ref();
        pairs.map_or(0, |(baseline, candidate)| {
            candidate.counting_pairs(baseline)
        })
    }
}

/// The looks that were taken at this evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LooksTaken {
    /// The number of looks at repeats of the candidate.
    pub(super) at_repeats: usize,
    /// The pairs of the last look.
    pub(super) pairs: u32,
}

impl LooksTaken {
    pub(super) fn of(looks: &[LookTaken]) -> Self {
        Self {
            at_repeats: looks.iter().filter(|look| look.pairs == 0).count(),
            pairs: looks.iter().map(|look| look.pairs).max().unwrap_or(0),
        }
    }
}

/// The shares of α and of β that looks at other evidence of the commit left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorsLeft {
    /// Of a false block.
    pub alpha: f64,
    /// Of a false pass.
    pub beta: f64,
}

impl ErrorsLeft {
    /// Nothing was spent.
    pub const ALL: Self = Self {
        alpha: 1.0,
        beta: 1.0,
    };

    /// What looks leave that spent shares of this.
    #[must_use]
    pub fn after(self, looks: &[LookTaken]) -> Self {
        let left = |spent: f64| (1.0 - spent).max(0.0);
        Self {
            alpha: self.alpha * left(looks.iter().map(|look| look.alpha).sum()),
            beta: self.beta * left(looks.iter().map(|look| look.beta).sum()),
        }
    }

    /// The same as levels to multiply with; rounding does not leave anything.
    pub(super) fn shares(self) -> ErrorLevels {
        let rounded = |share: f64| if share < 1e-9 { 0.0 } else { share };
        ErrorLevels {
            alpha: rounded(self.alpha),
            beta: rounded(self.beta),
        }
    }
}
