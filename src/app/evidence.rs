//! The evidence of one commit on disk. A re-run adds to it and goes on with the spending; it never replaces it.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::failing::{cannot_keep, record_failure, unreadable};
use super::{Failure, source};
use crate::config::Plan;
use crate::exit::ExitStatus;
use crate::files;
use crate::policy::comparison::{Comparison, LookTaken, SCHEMA};
use crate::record::format::ResultFile;
use crate::record::{self, Run};
use crate::render;

/// Characters of the key in the folder's name.
const KEY_LENGTH: usize = 12;

/// Where the repeats and looks of one commit with one plan are kept.
#[derive(Clone, Debug)]
pub(super) struct EvidenceFolder {
    folder: PathBuf,
}

/// One of its three results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Repeats of the candidate beside the stored baseline.
    Candidate,
    /// The baseline's alternating repeats.
    PairBaseline,
    /// The candidate's alternating repeats.
    PairCandidate,
}

impl EvidenceFolder {
    /// The evidence of the commit that is checked out, with this plan and that of its base version. Where no commit is known, nothing tells a re-run
    /// from another build, so it begins anew in a folder of its own.
    pub(super) fn of_commit(parent: &Path, plan: &Plan, base_plan: Option<&Plan>) -> Self {
        let commit = source::state_of_working_tree().unwrap_or_else(|| {
            let now = crate::clock::unix_time().as_nanos();
            format!("no commit, {now}, {}", std::process::id())
        });
        // Hashed because a plan may hold values of environment variables.
        let described = format!("{commit}\n{plan:?}\n{base_plan:?}");
        let digest = Sha256::digest(described.as_bytes());
        let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::at(parent.join(&key[..KEY_LENGTH]))
    }

    /// That very folder.
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn create(&self) -> Result<(), Failure> {
        files::create_folder(&self.folder).map_err(cannot_keep)
    }

    /// Removes what was measured and said so far.
    pub(super) fn forget(&self) -> Result<(), Failure> {
        let sides = [Side::Candidate, Side::PairBaseline, Side::PairCandidate];
        let paths = sides.map(|side| self.path(side)).into_iter();
        for path in paths.chain([self.comparison_path()]) {
            if path.is_file() {
                std::fs::remove_file(&path).map_err(|error| {
                    let said = format!("cannot remove `{}`", path.display());
                    let error = anyhow::Error::new(error).context(said);
                    Failure::new(ExitStatus::SurroundingsFailed, error)
                })?;
            }
        }
        Ok(())
    }

    /// Where a side's result stands.
    pub(super) fn path(&self, side: Side) -> PathBuf {
        self.folder.join(match side {
            Side::Candidate => "candidate.json",
            Side::PairBaseline => "ab-baseline.json",
            Side::PairCandidate => "ab-candidate.json",
        })
    }

    /// What an earlier run measured of a side.
    pub(super) fn earlier(&self, side: Side) -> Result<Option<ResultFile>, Failure> {
        Ok(self.run(side)?.map(|run| run.file))
    }

    /// The same, checked.
    pub(super) fn run(&self, side: Side) -> Result<Option<Run>, Failure> {
        let path = self.path(side);
        let bytes = files::read_if_there(&path).map_err(unreadable)?;
        let read = bytes.map(|bytes| record::read(&path, &path.display().to_string(), bytes));
        read.transpose().map_err(|error| record_failure(&error))
    }

    fn comparison_path(&self) -> PathBuf {
        self.folder.join("comparison.json")
    }

    /// What the last look said.
    pub(super) fn last_look(&self) -> Result<Option<Comparison>, Failure> {
        let path = self.comparison_path();
        let Some(bytes) = files::read_if_there(&path).map_err(unreadable)? else {
            return Ok(None);
        };
        let broken = |why: String| {
            let message = format!("`{}` cannot be used: {why}", path.display());
            Failure::message(ExitStatus::Usage, message).hint(
                "it says how often this commit was looked at; move its folder away to begin anew",
            )
        };
        let comparison: Comparison =
            serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if comparison.schema == SCHEMA {
            Ok(Some(comparison))
        } else {
            Err(broken(format!("its schema is `{}`", comparison.schema)))
        }
    }

    /// Keeps what a look said, before anybody is told.
    pub(super) fn keep(&self, comparison: &Comparison) -> Result<(), Failure> {
        let json = render::json::comparison(comparison);
        files::write_atomically(&self.comparison_path(), json.as_bytes()).map_err(cannot_keep)
    }
}

/// Looks that were taken at repeats beside the stored baseline, and at pairs.
pub(super) fn looks_taken(looks: &[LookTaken]) -> (usize, usize) {
    let at_pairs = looks.iter().filter(|look| look.pairs > 0).count();
    (looks.len() - at_pairs, at_pairs)
}
