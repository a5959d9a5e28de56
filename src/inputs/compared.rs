//! Input of `perfgate compare`: the given or found runs, and the files that judge them.

use std::path::{Path, PathBuf};

use super::accepted::Files;
use super::base_ref::JudgingFiles;
use super::policy::{policy_at, policy_path};
use super::result_file::result_given;
use super::storage;
use crate::baseline::{self, Location, Part};
use crate::cli::compare::CompareArgs;
use crate::compare::ComparisonInputs;
use crate::environment::Environment;
use crate::event::Events;
use crate::exit::ExitStatus;
use crate::failure::Failure;
use crate::git::{GitError, work_tree};
use crate::policy::rule::Policy;
use crate::policy::{Circumstances, Labels, ThisLook, compare_evidence, complete};
use crate::record::{self, Run};
use crate::report::comparison::Comparison;
use crate::trial::Author;

/// Runs and rules, read.
pub(crate) struct Compared<'a> {
    args: &'a CompareArgs,
    judging_files: JudgingFiles,
    policy: Policy,
    candidate: Option<Run>,
    pairs: Option<(Run, Run)>,
    accepted: AcceptedRuns,
    /// The files that affect the verdict and that a change may have edited.
    criteria: Vec<PathBuf>,
}

impl<'a> Compared<'a> {
    /// Reads all files of the arguments.
    pub(crate) fn read(
        args: &'a CompareArgs,
        environment: &Environment,
        events: &Events,
    ) -> Result<Self, Failure> {
        let judging_files = of_change(args, environment)?;
        let policy = policy_at(&args.policy, judging_files.base())?;
        let files = Files(judging_files.base());
        let one = |path: &Option<PathBuf>| path.as_deref().map(result_given).transpose();
        let candidate = one(&args.candidate)?;
        let pairs = one(&args.ab_baseline)?.zip(one(&args.ab_candidate)?);
        let mut criteria = vec![policy_path(&args.policy).to_owned()];
        let accepted = if let (Some(location), Some(candidate)) = (&args.baselines, &candidate) {
            AcceptedRuns::find(
                location,
                candidate,
                files,
                &mut criteria,
                environment,
                events,
            )?
        } else {
            let named = [&args.baseline, &args.ledger, &args.release];
            criteria.extend(named.into_iter().flatten().cloned());
            AcceptedRuns::named(args, files)?
        };
        Ok(Self {
            args,
            judging_files,
            policy,
            candidate,
            pairs,
            accepted,
            criteria,
        })
    }

    /// The comparison, with the author's texts.
    pub(crate) fn judged(self, author: &Author) -> Result<Comparison, Failure> {
        let Self { args, accepted, .. } = &self;
        let stored = accepted.run.as_ref().zip(self.candidate.as_ref());
        let pairs = self.pairs.as_ref().map(|(old, new)| (old, new));
        let given = ComparisonInputs {
            stored,
            pairs,
            beside: self.candidate.as_ref(),
            is_one_run: pairs
                .or(stored)
                .is_some_and(|(old, new)| record::is_same_run(&old.file, &new.file)),
            ledger: &accepted.ledger,
            release: accepted.release.as_ref(),
        };
        let shown = |path: &Option<PathBuf>| {
            let path = path.as_deref().map(Path::display);
            path.map_or_else(String::new, |path| path.to_string())
        };
        let labels = Labels {
            baseline: accepted.path.as_deref().unwrap_or_default(),
            candidate: &shown(&args.candidate),
            pairs: (&shown(&args.ab_baseline), &shown(&args.ab_candidate)),
            ledger: accepted.ledger_path.as_deref(),
        };
        let this_look = ThisLook {
            analysis: author.analysis.as_ref(),
            explanation: author.explanation.as_ref(),
            ..ThisLook::ONLY
        };
        let judged = compare_evidence(&self.policy, &given, labels, this_look);
        let circumstances = Circumstances {
            judged_by: self.judging_files.judged_by(&self.criteria, &[], false)?,
            copies: accepted.of_copies.clone(),
            ..Circumstances::default()
        };
        Ok(complete(judged, circumstances))
    }
}

/// The judging files. Without a checkout, the job created all files itself.
fn of_change(args: &CompareArgs, environment: &Environment) -> Result<JudgingFiles, Failure> {
    let is_clone = !matches!(
        work_tree::top_of_working_tree(),
        Err(GitError::NoRepository)
    );
    let given = args.baseline_ref.as_deref();
    JudgingFiles::find(given.or((!is_clone).then_some("")), None, environment)
}

/// The accepted runs.
struct AcceptedRuns {
    run: Option<Run>,
    path: Option<String>,
    ledger: Vec<Run>,
    ledger_path: Option<String>,
    release: Option<Run>,
    /// A warning if local copies replaced a bucket.
    of_copies: Option<String>,
}

impl AcceptedRuns {
    /// The accepted runs of the given files.
    fn named(args: &CompareArgs, files: Files<'_>) -> Result<Self, Failure> {
        let run = |path: &Option<PathBuf>| {
            let run = path.as_deref().map(|path| files.run_given(path));
            run.transpose()
        };
        let called = |path: &Option<PathBuf>| path.as_deref().map(|path| files.called(path));
        let ledger = args.ledger.as_deref().map(|path| files.ledger_given(path));
        Ok(Self {
            run: run(&args.baseline)?,
            path: called(&args.baseline),
            ledger: ledger.transpose()?.unwrap_or_default(),
            ledger_path: called(&args.ledger),
            release: run(&args.release)?,
            of_copies: None,
        })
    }

    /// The accepted runs of the candidate's gate on its hardware; adds files that a change could edit to `criteria`.
    fn find(
        location: &Location,
        candidate: &Run,
        files: Files<'_>,
        criteria: &mut Vec<PathBuf>,
        environment: &Environment,
        events: &Events,
    ) -> Result<Self, Failure> {
        let Some(name) = candidate.file.name.as_deref() else {
            let message = "the candidate file does not name its gate";
            return Err(
                Failure::usage(message).hint("set the baseline file with `--baseline FILE`")
            );
        };
        let hardware = baseline::hardware_name(candidate.file.environment.as_ref());
        let opened = storage::open(location, environment, events)?;
        let place = opened.place(name, &hardware);
        let parts = [Part::Ledger, Part::Release, Part::Baseline];
        criteria.extend(parts.into_iter().filter_map(|part| place.file(part)));
        let found = files.at(&place, None)?;
        storage::warn_of_copies(location, &opened, events);
        let Some(found) = found else {
            let message = format!(
                "no baseline of `{name}` for `{hardware}`: `{}` does not exist",
                place.shown(Part::Baseline)
            );
            return Err(Failure::message(ExitStatus::NotComparable, message)
                .hint("`perfgate baseline list` shows existing baselines")
                .hint("accept a run with `perfgate baseline update RESULT`"));
        };
        Ok(Self {
            run: Some(found.run),
            path: Some(found.path),
            ledger: found.ledger,
            ledger_path: found.ledger_path,
            release: found.release,
            of_copies: storage::of_copies(location, &opened),
        })
    }
}
