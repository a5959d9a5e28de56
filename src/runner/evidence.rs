//! The evidence of one commit on disk. A re-run adds to it and continues the alpha spending; it never replaces it.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::failure::of_adapters::{cannot_keep, unreadable};
use crate::policy::parse_comparison;
use crate::record::Run;
use crate::record::format::ResultFile;
use crate::report::comparison::Comparison;
use crate::report::price::Price;
use crate::{files, record, secret};

/// Folder of repeats and interim looks that belong together.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceFolder {
    folder: PathBuf,
}

/// One of its three results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvidenceFile {
    /// Repeats of the candidate, compared with the stored baseline.
    Candidate,
    /// The baseline's alternating repeats.
    PairBaseline,
    /// The candidate's alternating repeats.
    PairCandidate,
}

impl EvidenceFile {
    pub(crate) const ALL: [Self; 3] = [Self::Candidate, Self::PairBaseline, Self::PairCandidate];
}

/// What several results cost together; `None` if none has a price.
pub(crate) fn price<'a>(measured: impl Iterator<Item = &'a ResultFile>) -> Option<Price> {
    measured.filter_map(|file| file.price).reduce(Price::and)
}

impl EvidenceFolder {
    /// A new folder without a commit, where a re-run cannot be distinguished from another build.
    pub(crate) fn without_commit(parent: &Path) -> Self {
        let now = crate::clock::unix_time().as_nanos();
        Self::at(parent.join(format!("{now:x}-{}", std::process::id())))
    }

    /// The given folder.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Whether an earlier run left repeats here.
    pub(crate) fn has_repeats(&self) -> bool {
        let sides = [EvidenceFile::Candidate, EvidenceFile::PairCandidate];
        sides.iter().any(|side| self.path(*side).is_file())
    }

    pub(crate) fn create(&self) -> Result<(), Failure> {
        files::create_folder(&self.folder).map_err(cannot_keep)
    }

    /// Removes all measurements and looks.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        let paths = EvidenceFile::ALL.map(|side| self.path(side)).into_iter();
        let paths = paths.chain([self.comparison_path()]);
        for path in paths.filter(|path| path.is_file()) {
            std::fs::remove_file(&path).map_err(|error| {
                Failure::system(format!("cannot remove `{}`", path.display()), error)
            })?;
        }
        Ok(())
    }

    /// Path of a side's result.
    pub(crate) fn path(&self, side: EvidenceFile) -> PathBuf {
        self.folder.join(match side {
            EvidenceFile::Candidate => "candidate.json",
            EvidenceFile::PairBaseline => "ab-baseline.json",
            EvidenceFile::PairCandidate => "ab-candidate.json",
        })
    }

    /// The checked result of a side.
    pub(crate) fn run(&self, side: EvidenceFile) -> Result<Option<Run>, Failure> {
        let path = self.path(side);
        let bytes = files::read_if_there(&path).map_err(unreadable)?;
        let read = bytes.map(|bytes| record::read(&path.display().to_string(), bytes));
        Ok(read.transpose()?)
    }

    /// All measurements of the candidate, those in pairs after the others, with the price of the whole evidence.
    pub(crate) fn candidate(&self) -> Result<Option<Run>, Failure> {
        let alone = self.run(EvidenceFile::Candidate)?;
        let base = self.run(EvidenceFile::PairBaseline)?;
        let in_pairs = self.run(EvidenceFile::PairCandidate)?;
        let all = [&alone, &base, &in_pairs].into_iter().flatten();
        let price = price(all.map(|run| &run.file));
        let candidate = match (alone, in_pairs) {
            (Some(alone), Some(in_pairs)) => Some(alone.followed_by(in_pairs)),
            (alone, in_pairs) => alone.or(in_pairs),
        };
        Ok(candidate.map(|mut candidate| {
            candidate.file.price = price;
            candidate
        }))
    }

    /// The result files that exist.
    pub(crate) fn measured(&self) -> Result<Vec<ResultFile>, Failure> {
        let runs = EvidenceFile::ALL.into_iter().map(|side| self.run(side));
        let files = runs.filter_map(|run| Some(run.transpose()?.map(|run| run.file)));
        files.collect()
    }

    fn comparison_path(&self) -> PathBuf {
        self.folder.join("comparison.json")
    }

    /// Pairs in which both repeats count.
    pub(crate) fn pairs(&self) -> Result<u32, Failure> {
        let base = self.run(EvidenceFile::PairBaseline)?;
        let candidate = self.run(EvidenceFile::PairCandidate)?;
        let pairs = base.zip(candidate);
        Ok(pairs.map_or(0, |(base, candidate)| candidate.counting_pairs(&base)))
    }

    /// The comparison of the last interim look.
    pub(crate) fn last_look(&self) -> Result<Option<Comparison>, Failure> {
        let path = self.comparison_path();
        let Some(bytes) = files::read_if_there(&path).map_err(unreadable)? else {
            return Ok(None);
        };
        let comparison = parse_comparison(&bytes).map_err(|error| {
            let message = format!("`{}` cannot be used: it {error}", path.display());
            Failure::usage(message).hint(
                "it counts the interim looks at this commit; move its folder away to start again",
            )
        })?;
        Ok(Some(comparison))
    }

    /// Saves the comparison of a look before it is shown.
    pub(crate) fn keep(&self, comparison: &Comparison) -> Result<(), Failure> {
        let json = secret::masked_json(&comparison.json());
        files::write_atomically(&self.comparison_path(), json.as_bytes()).map_err(cannot_keep)
    }
}
